"""Joins the parts of one daemon with those of other nodes: each is handed what it asks, and tells, by a protocol."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from bm.accounts.quota import Meter
from bm.gateway.services import Services
from bm.shared.claims import Claims
from bm.shared.conversations import Conversations
from bm.shared.findings import Grants, Lists
from bm.shared.learned import Learned
from bm.shared.leases import Leases
from bm.shared.limits import SharedLimits
from bm.shared.news import News
from bm.shared.nodes import Nodes
from bm.shared.outbox import Outbox
from bm.shared.probes import Probes
from bm.shared.store import Store, StoreAway
from bm.shared.usage import Usage


class Parts:
    """What the parts of one daemon share. `work` are loops that run as long as the daemon serves, `outbox` holds what
    the store has not got yet."""

    def __init__(self, store: Store, nodes: Nodes, services: Services) -> None:
        self._services = services
        self._meters: dict[str, Meter] = {}
        self._generation = -1
        outbox, news = Outbox(store), News(store, nodes.own.run, nodes.clock)
        self._news, self.outbox = news, outbox
        closed = services.config.shared.fail == "closed"
        self._limits = SharedLimits(store, services.spending, nodes=nodes.count, is_closed=closed)
        services.common = self._limits
        leases = Leases(store)
        services.share(Conversations(store, outbox, news, self._forget))
        services.affinities.claim = Claims(store, outbox, news, services.affinities).claim
        services.pool.share_counts(Usage(store, outbox, news, self._meter, nodes.count))
        services.pool.probes = Probes(store, leases)
        services.tokens.grants = Grants(leases)
        services.models.lists = Lists(leases, self._accounts)
        learned = services.calibration, services.context_limits, services.remedies
        self._learned = Learned(store, outbox, news, learned, lambda: services.settings.providers.values())
        store.back.append(self._learned.catch_up)
        self.work: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "sharing budgets and rates": self._limits.keep_in_step,
            "telling other nodes what they need": outbox.keep_sending,
            "reading what other nodes tell": self._keep_reading,
        }

    async def finish(self) -> None:
        """Tell the other nodes the rest, because this one ends."""
        await self.outbox.flush()
        await self._limits.step()

    async def _keep_reading(self) -> None:
        with suppress(StoreAway):
            # Otherwise it is read when the store is back.
            await self._learned.catch_up()
        await self._news.keep_reading()

    def _forget(self, kind: str, name: str) -> None:
        store = self._services.responses if kind == "response" else self._services.interactions
        store.forget(name)

    def _accounts(self, provider: str) -> list[str]:
        return [name for of, name in self._services.pool.runtimes if of == provider]

    def _meter(self, quota: str) -> Meter | None:
        """The meter of a quota; None where no account of this node has it."""
        pool = self._services.pool
        if self._generation != pool.generation:
            self._generation = pool.generation
            self._meters = {each.meter.quota: each.meter for each in pool.runtimes.values()}
        return self._meters.get(quota)

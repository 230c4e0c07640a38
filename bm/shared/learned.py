"""What nodes have learnt of models: context limits, remedies, and how far token estimates are off.

All of it is in one hash of the store, which a node reads when it joins or returns; news tell of what is learnt since.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from bm.errors import UNREADABLE
from bm.gateway.learned import (
    KEEP_REMEDY,
    ContextLimit,
    ContextLimits,
    LearnedRemedies,
    LearnedRemedy,
    TokenCalibration,
)
from bm.providers.provider import Provider
from bm.shared.news import Item, News
from bm.shared.outbox import Outbox
from bm.shared.store import Store, digest

STEP: Final = 0.05
"""Change of a factor, relative to what other nodes know, from which on they hear of it."""


class Known(msgspec.Struct, frozen=True, omit_defaults=True):
    """One fact: what of it is set."""

    remedy: LearnedRemedy | None = None
    limit: ContextLimit | None = None
    model: str = ""
    factor: float = 0.0

    @property
    def name(self) -> str:
        """A name under which the latest fact replaces earlier ones."""
        if self.remedy is not None:
            each = self.remedy
            return digest(repr((each.provider, each.model, each.protocol, each.remedy.key)))
        if self.limit is not None:
            return digest(repr((self.limit.provider, self.limit.model)))
        return digest(self.model)


def _of_limit(limit: ContextLimit) -> Known:
    return Known(limit=limit)


def _of_remedy(remedy: LearnedRemedy) -> Known:
    return Known(remedy=remedy)


class Learned:
    """Tells other nodes what this one learns, and takes over what they have learnt."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        news: News,
        learned: tuple[TokenCalibration, ContextLimits, LearnedRemedies],
        providers: Callable[[], Iterable[Provider]],
    ) -> None:
        self._store, self._outbox, self._news = store, outbox, news
        self._calibration, self._limits, self._remedies = learned
        self._providers = providers
        self._key = store.key("facts")
        self._known: dict[str, float] = {}
        news.on("fact", lambda item: self._take([item.value.encode()]))
        news.on("forget", self._forget)
        self._calibration.tell = self._tell_factor
        self._limits.tell = lambda limit: self._tell(_of_limit(limit))
        self._remedies.tell = lambda remedy: self._tell(_of_remedy(remedy))
        self._remedies.tell_forgotten = self._tell_forgotten

    async def catch_up(self) -> None:
        """Take over all that is known, and tell what is not: the store was away, or has lost what was in it.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        own = (*map(_of_limit, self._limits.saved()), *map(_of_remedy, self._remedies.saved()))
        known: dict[bytes, bytes] = await self._store.command("HGETALL", self._key)
        self._take(known.values())
        for fact in own:
            if fact.name.encode() not in known:
                self._tell(fact)

    def _take(self, values: Iterable[bytes]) -> None:
        facts: list[Known] = []
        for value in values:
            try:
                facts.append(msgspec.json.decode(value, type=Known))
            except UNREADABLE:
                # A newer bm knows more.
                continue
        # What is not among them must not count as changed: dispatch would plan anew.
        if limits := [each.limit for each in facts if each.limit]:
            self._limits.restore(limits, self._providers(), wall=time.time())
        if remedies := [each.remedy for each in facts if each.remedy]:
            self._remedies.restore(remedies, self._providers(), wall=time.time())
        factors = {each.model: each.factor for each in facts if each.factor}
        self._known |= factors
        self._calibration.restore(factors)

    def _tell(self, fact: Known) -> None:
        value = msgspec.json.encode(fact)
        self._outbox.put(("HSET", self._key, fact.name, value))
        self._outbox.put(("EXPIRE", self._key, round(KEEP_REMEDY)))
        self._outbox.put(self._news.words("fact", fact.name, value.decode()))

    def _tell_factor(self, model: str, factor: float) -> None:
        known = self._known.get(model, 0.0)
        if abs(factor - known) > STEP * known:
            self._known[model] = factor
            self._tell(Known(model=model, factor=factor))

    def _tell_forgotten(self, model: str) -> None:
        for each in self._remedies.about(model):
            self._outbox.put(("HDEL", self._key, Known(remedy=each).name))
        self._outbox.put(self._news.words("forget", model, ""))

    def _forget(self, item: Item) -> None:
        self._remedies.drop_model(item.subject)

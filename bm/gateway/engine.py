"""What a running daemon holds in memory, and the calls it serves with it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

import msgspec

from bm.accounts.access import Access
from bm.accounts.account import AccountId
from bm.accounts.affinity import Affinities
from bm.accounts.google import TokenError
from bm.accounts.pool import Pool
from bm.accounts.tokens import Tokens
from bm.config.redaction import Mask
from bm.config.schema import Config
from bm.dispatch.snapshot import Affinity, Member, Requirements, RouteQuery, Snapshot
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.call import Call, Client
from bm.gateway.decision import entry_of
from bm.gateway.exchange import Exchange
from bm.gateway.factors import Factors
from bm.gateway.models import Models
from bm.gateway.needs import requirements_of
from bm.gateway.record import Record
from bm.gateway.recorder import Recorder, secrets_of
from bm.gateway.refused_schemas import RefusedSchemas
from bm.gateway.responses import ResponseStore
from bm.gateway.settings import Settings
from bm.gateway.signatures import SignatureStore
from bm.gateway.tape import Tape
from bm.ledger.ledger import Ledger
from bm.upstream.authority import fetcher
from bm.upstream.client import UpstreamClient

RECENT: Final = 100
"""Calls whose decisions are held in memory as well: the ledger may not have them yet, or not be writable."""


class Engine:
    """One daemon's state. Everything is used from one event loop."""

    def __init__(self, settings: Settings, *, ledger: Ledger | None = None, recorder: Recorder | None = None) -> None:
        self.ledger, self._recorder = ledger, recorder
        self.mask = Mask(secrets_of(settings))
        self.client = UpstreamClient()
        self.pool = Pool(settings.credentials)
        self.tokens = Tokens(settings.accounts_file, fetcher(self.client, lambda: self.config))
        self.signatures = SignatureStore()
        self.factors = Factors()
        self.refused_schemas = RefusedSchemas()
        self.responses = ResponseStore()
        self.affinities = Affinities(size=settings.config.pool.affinity_size, ttl=settings.config.pool.affinity_ttl)
        self.models = Models(self)
        self.records: deque[Record] = deque(maxlen=RECENT)
        self.settings = settings
        self.under_way: dict[str, Record] = {}
        self.total = self.failed = 0
        self.disturbed = float("-inf")
        self.observers: list[Callable[[Record], None]] = []
        """Told of each call when it is over, in the event loop: they must be quick and must not fail."""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.settings.config

    def adopt(self, settings: Settings) -> None:
        """Serve by new settings from the next request on; those under way finish on the old ones."""
        before, self.settings = self.settings, settings
        self.affinities.rename(self.pool.reload(settings.credentials))
        self.tokens.retain(self.pool.runtimes.keys())
        self.affinities.resize(size=settings.config.pool.affinity_size, ttl=settings.config.pool.affinity_ttl)
        self.mask.learn(secrets_of(settings))
        if self.ledger is not None:
            self.ledger.decisions = settings.config.limits.decisions
        self.models.follow(before.providers)

    async def serve(self, call: Call, client: Client) -> None:
        """Answer one call."""
        self.total += 1
        exchange = Exchange(self, call, client)
        self.under_way[call.id] = exchange.record
        try:
            await exchange.run()
        finally:
            del self.under_way[call.id]

    @property
    def active(self) -> int:
        """How many calls are under way."""
        return len(self.under_way)

    async def access(self, account_id: AccountId, *, refused: str = "") -> Access:
        """What a request for an account carries. `refused` is a token that its service did not take.

        Raises:
            TokenError: there is nothing to be sent.
        """
        credential = self.pool.credential(account_id)
        if credential is None:
            provider, name = account_id
            raise TokenError(Failure(kind="unavailable", message=f"the account {name} of {provider} is gone"))
        return await self.tokens.access(credential, refused=refused)

    def snapshot(self, affinity: Affinity | None = None, asking: int = 0) -> Snapshot:
        """Everything dispatch decides by, now."""
        accounts = self.pool.facts(time.monotonic(), asking)
        members = self.settings.members.copy()
        for name in accounts.keys() | self.settings.keyless:
            if name in members:
                provider, contexts = members[name].provider, self.models.contexts.of(name)
                members[name] = Member(provider=provider, accounts=accounts.get(name, ()), contexts=contexts)
        return Snapshot(
            members=tuple(members.values()), aliases=self.config.aliases, affinity=affinity, limits=self.settings.limits
        )

    def question(self, call: Call) -> tuple[RouteQuery, Snapshot]:
        """A call as dispatch sees it."""
        requirements = self._requirements(call) if self.settings.choosy else Requirements()
        query = RouteQuery(model=call.model, protocol=call.protocol, requirements=requirements)
        return query, self.snapshot(self._affinity(call), hash(call.body))

    def _requirements(self, call: Call) -> Requirements:
        """What the call holds. Where losses are refused no note may stand for media."""
        requirements = requirements_of(call.body, call.protocol)
        return msgspec.structs.replace(requirements, past=frozenset()) if self.config.pool.strict else requirements

    def _affinity(self, call: Call) -> Affinity | None:
        conversation = call.conversation
        if not (self.config.pool.affinity and conversation.continues):
            return None
        account_id = self.affinities.get(conversation.key, time.monotonic())
        return Affinity(*account_id) if account_id else None

    def stay(self, call: Call, target: Target) -> None:
        """The next turn of the conversation should find the same target."""
        if self.config.pool.affinity and call.conversation.key:
            self.affinities.set(call.conversation.key, target.account_id, time.monotonic())

    @property
    def records_exchanges(self) -> bool:
        """Whether whole exchanges are to be kept."""
        return self._recorder is not None and self.config.record.enabled

    def keep(self, record: Record, tape: Tape | None = None) -> None:
        """Remember what became of a call."""
        self.records.append(record)
        if record.failure is not None:
            self.failed += 1
        for observe in self.observers:
            observe(record)
        if self.ledger is not None:
            self.ledger.put(partial(entry_of, record, self.mask))
        if self._recorder is not None and tape is not None:
            self._recorder.keep(tape, record, self.settings)

    def recall(self, request_id: str) -> Record | None:
        """One of the latest calls; `last` is the latest of all."""
        return next((record for record in reversed(self.records) if request_id in ("last", record.id)), None)

    def woke(self, slept: float, gone: Collection[str] = ()) -> int:
        """The machine slept so many seconds, or lost these addresses. Dead connections are broken; how many.

        What fails of the requests that were under way is not held against any account.
        """
        self.disturbed = time.monotonic()
        if slept:
            self.pool.slept(slept)
        return self.client.drop_connections(None if slept else gone)

    async def close(self) -> None:
        """Let go of every connection."""
        await self.tokens.close()
        await self.client.close()

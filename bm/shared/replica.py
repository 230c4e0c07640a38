"""The pool of one node as part of a team: what its requests add becomes facts, and facts of others become its state.

Requests change the pool as on a single machine; its logs report each change. `changes` compares them with the facts: an
entry that is new is a new fact, and one that is gone was taken back, by a success, by a person, or because a bad
request was the cause. `receive` adds and removes entries in the same logs. Nothing here does I/O or reads a clock:
`now` is monotonic seconds, and `anchor` what is added to make it the Unix time that all nodes share.

Times of facts are rounded, and entries get the times of their facts, so that all nodes compare the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, cast

import msgspec

from bm.accounts.cooldowns import CooldownEntry, CooldownLog, Kind
from bm.accounts.pool import Pool
from bm.accounts.runtime import MAX_SEEN, Health, digest
from bm.shared.facts import Fact, FactId, FactKind, Facts, Place

PLACES: Final = 6
"""Decimal places of the times of facts, which are seconds."""

OLD: Final = 1.0
"""Seconds from which on an entry may come from an earlier run, and be a fact already."""

SAME: Final = 0.05
"""Seconds by which the time of an event may differ between two runs."""

_Log = CooldownLog | Health
_Key = tuple[int, FactKind]
_Entry = CooldownEntry | float
"""An entry of a log, or the time of a fault."""


class _Part:
    """A log, and the facts of its entries by their ids and kinds. `pattern` is a fact about the same place."""

    def __init__(self, pattern: Fact, log: _Log, known: dict[_Key, FactId]) -> None:
        self.pattern, self.log, self.known = pattern, log, known
        self.place = pattern.place

    def entries(self) -> dict[_Key, _Entry]:
        """The entries of the log."""
        if isinstance(self.log, Health):
            # Those of an earlier run have no ids of their own. They are facts already, or soon forgotten.
            return {(id, "fault"): at for at, id in self.log.seen() if id > 0}
        return {(entry.id, entry.kind): entry for entry in self.log.entries()}

    def add(self, facts: Iterable[tuple[int, Fact]], anchor: float) -> None:
        """Add entries with these ids."""
        if isinstance(self.log, Health):
            self.log.merge((fact.at - anchor, id) for id, fact in facts)
        else:
            self.log.merge(_entry(fact, id, anchor) for id, fact in facts)

    def has_pushed_out(self, fact: Fact, anchor: float) -> bool:
        """Whether later answers have taken the place of a fault."""
        seen = self.log.seen() if isinstance(self.log, Health) else ()
        return len(seen) == MAX_SEEN and fact.at - anchor <= seen[0][0]


class Replica:
    """The facts that this node knows, and its pool kept in accordance with them. `changed` is called, in the course of
    a request, whenever `changes` has something to look at."""

    def __init__(self, pool: Pool, run: str, anchor: float, changed: Callable[[], None] = lambda: None) -> None:
        self.facts = Facts()
        self.anchor = anchor
        self._pool, self._run, self._changed = pool, run, changed
        self._parts: dict[Place, _Part] = {}
        self._touched: set[Place] = set()
        self._ids: dict[tuple[str, int], int] = {}
        self._writing = False

    def attach(self) -> None:
        """The pool has been made, or has other accounts now: watch its logs, and look at all of them."""
        before, self._parts = self._parts, {}
        for pattern, log in _logs(self._pool):
            if pattern.place in self._parts:
                continue
            old = before.get(pattern.place)
            part = self._parts[pattern.place] = _Part(pattern, log, old.known if old else {})
            if old is None or old.log is not log:
                log.watchers.append(partial(self._touch, part.place, log))
            self._touched.add(part.place)
        self._changed()

    def changes(self, now: float) -> list[Fact]:
        """What has changed in the pool since the last call, as facts for the other nodes."""
        touched, self._touched = self._touched, set()
        found: list[Fact] = []
        with self._quiet():
            for place in touched:
                if (part := self._parts.get(place)) is not None:
                    found += self._added(part, now)
                    found += self._gone(part, now)
                    self._apply(part, now)
        return found

    def receive(self, facts: Iterable[Fact], now: float) -> None:
        """Learn facts of other nodes. `changes` must have been called just before, or `attach` not yet: then entries of
        an earlier run are known by their facts."""
        news = [fact for fact in facts if fact.ends > now + self.anchor and self.facts.add(fact)]
        with self._quiet():
            for place in {fact.place for fact in news}:
                if (part := self._parts.get(place)) is not None:
                    self._apply(part, now)

    def state(self, fact: Fact) -> Fact:
        """Add a fact that no log has. It gets a number."""
        fact = msgspec.structs.replace(fact, run=self._run, number=next(self._pool.ids))
        self.facts.add(fact)
        return fact

    def expire(self, now: float) -> None:
        """Forget facts that have ended."""
        self.facts.expire(now + self.anchor)
        left = {(fact.run, fact.number) for fact in self.facts}
        self._ids = {name: id for name, id in self._ids.items() if name in left}

    def rebase(self, anchor: float, now: float) -> None:
        """A clock was set, or the machine has slept: entries get the times of their facts again. `changes` must have
        been called just before."""
        self.anchor = anchor
        with self._quiet():
            for part in self._parts.values():
                gone = {id for (id, _), fact in part.known.items() if self.facts.get(fact) is not None}
                part.known = {key: fact for key, fact in part.known.items() if key[0] not in gone}
                part.log.remove(frozenset(gone))
                self._apply(part, now)

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """What is changed here is no change of the pool's."""
        self._writing = True
        try:
            yield
        finally:
            self._writing = False

    def _touch(self, place: Place, log: _Log) -> None:
        part = self._parts.get(place)
        if not self._writing and part is not None and part.log is log:
            self._touched.add(place)
            self._changed()

    def _added(self, part: _Part, now: float) -> list[Fact]:
        """Facts of the entries that have none yet."""
        made: list[Fact] = []
        retimed: dict[_Key, Fact] = {}
        for key, entry in part.entries().items():
            if key in part.known:
                continue
            fact = self._earlier(part, entry, now)
            if fact is None:
                fact = _fact(part.pattern, key, entry, self._run, self.anchor)
                made += [fact] if fact.ends > now + self.anchor else []
            part.known[self._id(fact), fact.kind] = fact.id
            retimed[key] = fact
        if retimed and isinstance(part.log, CooldownLog):
            part.log.remove(frozenset(id for id, _ in retimed))
            part.add([(self._id(fact), fact) for fact in retimed.values()], self.anchor)
        for fact in made:
            self.facts.add(fact)
        return made

    def _gone(self, part: _Part, now: float) -> list[Fact]:
        """The facts whose entries are not there any more, as taken back."""
        voided: list[Fact] = []
        for key in part.known.keys() - part.entries().keys():
            fact = self.facts.get(part.known.pop(key))
            if fact is None or fact.void or fact.ends <= now + self.anchor or part.has_pushed_out(fact, self.anchor):
                continue
            voided.append(msgspec.structs.replace(fact, void=True))
        for fact in voided:
            self.facts.add(fact)
        return voided

    def _apply(self, part: _Part, now: float) -> None:
        """Remove from the log what was taken back, and add what holds."""
        void = {fact.id for fact in self.facts.at(part.place) if fact.void}
        gone = {id for (id, _), fact in part.known.items() if fact in void}
        if gone:
            # Entries of another kind with the same id go too, and come back below.
            part.known = {key: fact for key, fact in part.known.items() if key[0] not in gone}
            part.log.remove(frozenset(gone))
        held = set(part.known.values())
        fresh = [fact for fact in self.facts.holding(part.place, now + self.anchor) if fact.id not in held]
        if fresh:
            part.known |= {(self._id(fact), fact.kind): fact.id for fact in fresh}
            part.add([(self._id(fact), fact) for fact in fresh], self.anchor)

    def _id(self, fact: Fact) -> int:
        """The id that entries of a fact have in this pool. Those of one refusal have the same."""
        if fact.run == self._run:
            return fact.number
        name = fact.run, fact.number
        if name not in self._ids:
            self._ids[name] = next(self._pool.ids)
        return self._ids[name]

    def _earlier(self, part: _Part, entry: _Entry, now: float) -> Fact | None:
        """The fact that an entry is about which comes from an earlier run of this node."""
        if not isinstance(entry, CooldownEntry) or now - entry.at < OLD:
            return None
        taken = set(part.known.values())
        for fact in self.facts.at(part.place):
            alike = (fact.kind, fact.model, fact.reason) == (entry.kind, entry.model, entry.reason)
            if alike and abs(fact.at - self.anchor - entry.at) < SAME and fact.id not in taken:
                return fact
        return None


def _logs(pool: Pool) -> Iterator[tuple[Fact, _Log]]:
    """Every log of the pool, each with a fact about its place."""
    for runtime in pool.runtimes.values():
        account, proof = runtime.credential.account, digest(runtime.credential)[:16]
        own = Fact(
            run="", number=0, kind="disabled", provider=account.provider, account=account.name, proof=proof, at=0.0
        )
        yield own, runtime.own
        yield msgspec.structs.replace(own, kind="fault"), runtime.health
        project, location = account.project, account.location
        yield msgspec.structs.replace(own, shared=True, project=project, location=location), runtime.shared


def _fact(pattern: Fact, key: _Key, entry: _Entry, run: str, anchor: float) -> Fact:
    """The fact that an entry is about."""
    id, kind = key
    if not isinstance(entry, CooldownEntry):
        return msgspec.structs.replace(pattern, run=run, number=id, kind=kind, at=round(entry + anchor, PLACES))
    return msgspec.structs.replace(
        pattern,
        run=run,
        number=id,
        kind=kind,
        at=round(entry.at + anchor, PLACES),
        sent=round(entry.sent + anchor, PLACES),
        # Accounts of one project share its facts; alone, an account is what its facts are about.
        account=entry.account if pattern.project and entry.account else pattern.account,
        model=entry.model,
        seconds=entry.seconds,
        jitter=entry.jitter,
        # A service may say what is no text in UTF-8.
        reason=entry.reason.encode(errors="replace").decode(),
    )


def _entry(fact: Fact, id: int, anchor: float) -> CooldownEntry:
    """The entry that a fact is in a log."""
    return CooldownEntry(
        id=id,
        kind=cast(Kind, fact.kind),
        model=fact.model,
        at=fact.at - anchor,
        sent=fact.sent - anchor,
        reason=fact.reason,
        seconds=fact.seconds,
        jitter=fact.jitter,
        shared=fact.shared,
        account=fact.account,
    )

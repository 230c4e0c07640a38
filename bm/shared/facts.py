"""What the nodes of a team know of accounts, as a set of facts: refusals, faults, and what a person has switched.

A fact is named by the run of a node, a number, and its kind. It never changes, except that it can be taken back, once
and for ever. So the union of any two sets, in whatever order and however often facts arrive, is the same on all nodes,
and what follows from it too. A fact ends by time alone, and when can be seen from the fact itself: then all nodes
forget it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from bm.accounts.cooldowns import MAX_DELAY
from bm.accounts.runtime import WINDOW
from bm.errors import UNREADABLE

FactKind = Literal["delay", "backoff", "overload", "excluded", "disabled", "fault", "on", "off"]
"""The kinds of cooldown entries, a fault that counts against an account's health, and an account switched on or off."""

FactId: TypeAlias = tuple[str, int, FactKind]

Place: TypeAlias = tuple[str, ...]
"""What a fact is about: the accounts of one quota, or one account with its key."""

BACKOFF_LIFE: Final = 7_200.0
"""Seconds for which a step of a backoff is known. After so many steps more, the backoff has its full length anyway."""

LIFE: Final = MAX_DELAY
"""Seconds for which everything is known that lasts until it is taken back."""

MOST: Final = 20_000
"""Facts that are kept. Clients can invent model names, which accounts are then excluded for."""

_FORM: Final = 1
"""The version of the encoding of facts, as the first byte."""


class Fact(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One fact. `run`, `number` and `kind` identify it. Times are Unix times by the store's clock.

    A `shared` one is about all accounts with the same quota, of which `account` received the response. `proof` is a
    digest of the account's key: an account of the same name with another key is another one. The other fields have the
    meaning of those of `bm.accounts.cooldowns.CooldownEntry`.
    """

    run: str
    number: int
    kind: FactKind
    provider: str
    account: str
    proof: str
    at: float
    project: str = ""
    location: str = ""
    shared: bool = False
    model: str = ""
    sent: float = 0.0
    seconds: float = 0.0
    jitter: float = 0.0
    reason: str = ""
    void: bool = False
    """Whether it was taken back."""

    @property
    def id(self) -> FactId:
        """What it is named by. One refusal may lead to facts of two kinds, which have the same number."""
        return self.run, self.number, self.kind

    @property
    def place(self) -> Place:
        """What it is about."""
        if self.kind in ("on", "off"):
            return "switch", self.provider, self.account
        if self.kind == "fault":
            return "health", self.provider, self.account, self.proof
        if self.shared and self.project:
            return "quota", self.provider, self.project, self.location
        if self.shared:
            return "quota", self.provider, "", self.location, self.account, self.proof
        return "account", self.provider, self.account, self.proof

    @property
    def ends(self) -> float:
        """When it is of no effect any more."""
        if self.kind == "delay":
            return self.at + self.seconds
        if self.kind in ("backoff", "overload"):
            return self.at + BACKOFF_LIFE
        return self.at + (WINDOW if self.kind == "fault" else LIFE)


class Facts:
    """A set of facts, with those that were taken back."""

    def __init__(self) -> None:
        self._known: dict[FactId, Fact] = {}
        self._at: dict[Place, set[FactId]] = {}

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def get(self, id: FactId) -> Fact | None:
        """The fact with this id, if it is known."""
        return self._known.get(id)

    def add(self, fact: Fact) -> bool:
        """Add a fact, or that it was taken back. Returns whether that is news."""
        known = self._known.get(fact.id)
        if known is not None and (known.void or not fact.void):
            return False
        self._known[fact.id] = fact
        self._at.setdefault(fact.place, set()).add(fact.id)
        return True

    def at(self, place: Place) -> list[Fact]:
        """The facts about a place, also those that were taken back."""
        return [self._known[id] for id in self._at.get(place, ())]

    def holding(self, place: Place, now: float) -> list[Fact]:
        """The facts about a place that hold, the oldest first."""
        found = [fact for fact in self.at(place) if not fact.void and fact.ends > now]
        return sorted(found, key=lambda fact: (fact.at, fact.id))

    def expire(self, now: float) -> None:
        """Forget what has ended, and the oldest beyond `MOST`."""
        gone = [fact for fact in self._known.values() if fact.ends <= now]
        if (excess := len(self._known) - len(gone) - MOST) > 0:
            left = (fact for fact in self._known.values() if fact.ends > now)
            gone += sorted(left, key=lambda fact: (fact.at, fact.id))[:excess]
        for fact in gone:
            del self._known[fact.id]
            ids = self._at[fact.place]
            ids.discard(fact.id)
            if not ids:
                del self._at[fact.place]


def encoded(facts: Iterable[Fact]) -> bytes:
    """Facts as they are stored."""
    return bytes((_FORM,)) + msgspec.msgpack.encode(tuple(facts))


def decoded(content: bytes) -> tuple[Fact, ...]:
    """The facts of what was stored; none if a newer bm has written it in another form, or it is damaged."""
    if content[:1] != bytes((_FORM,)):
        return ()
    try:
        return _decode(content[1:])
    except UNREADABLE:
        return ()


_decode = msgspec.msgpack.Decoder(tuple[Fact, ...]).decode

"""The accounts of one provider as requests for one model find them, looked at again only where something has changed.

`Pool.states` looks at every account. A roster learns of each account that a request or a person has changed, and knows
when the state of an account changes by time alone, such as the end of a cooldown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Protocol

import msgspec

from bm.dispatch.rotation import Rank, Rotation
from bm.dispatch.snapshot import AccountState
from bm.dispatch.target import AccountId


class Watched:
    """A part of an account's state that tells of its changes. Accounts may share it."""

    def __init__(self) -> None:
        self.watchers: list[Callable[[], None]] = []

    def changed(self) -> None:
        """Something that decides on the use of an account is different now."""
        for tell in self.watchers:
            tell()


class Standing(msgspec.Struct, frozen=True):
    """Whether a model can be asked of an account now: its rank, None if it cannot, and then its state.

    That holds until the monotonic time `until`, unless a request or a person changes it.
    """

    rank: Rank | None
    until: float = inf
    state: AccountState | None = None


class Entrant(Protocol):
    """An account as a roster needs it: `bm.accounts.runtime`."""

    @property
    def id(self) -> AccountId: ...

    def standing(self, model: str, now: float, /) -> Standing: ...

    def state(self, now: float, /) -> AccountState: ...


class Roster:
    """The accounts that can serve a model now, in the order in which requests go to them, and the state of the others.

    Accounts are numbered in their order. `out` holds each account that cannot be asked now, with its state and the
    monotonic time at which it was looked at; `version` grows whenever `out` or the number of usable accounts changes.
    """

    def __init__(self, model: str, runtimes: Iterable[Entrant]) -> None:
        self.model = model
        self.runtimes = tuple(runtimes)
        self.rotation = Rotation()
        self.out: dict[int, tuple[AccountState, float]] = {}
        self.version = 0
        self._numbers = {runtime.id: number for number, runtime in enumerate(self.runtimes)}
        self._changed = set(range(len(self.runtimes)))
        self._due: dict[int, float] = {}
        self._schedule: list[tuple[float, int]] = []

    def note(self, runtime: Entrant) -> None:
        """Something about the account has changed."""
        number = self._numbers.get(runtime.id)
        if number is not None:
            self._changed.add(number)

    def number(self, account_id: AccountId) -> int | None:
        """The number of an account; None if it is not on the roster."""
        return self._numbers.get(account_id)

    def name(self, number: int) -> str:
        """The name of an account."""
        return self.runtimes[number].id[1]

    def state(self, number: int, now: float) -> AccountState:
        """All that dispatch decides by."""
        return self.runtimes[number].state(now)

    def refresh(self, now: float) -> None:
        """Look again at what has changed by now."""
        while self._schedule and self._schedule[0][0] <= now:
            at, number = heappop(self._schedule)
            if self._due.get(number) == at:
                del self._due[number]
                self._changed.add(number)
        if self._changed:
            changed, self._changed = self._changed, set()
            for number in changed:
                self._look(number, now)

    @property
    def next_change(self) -> float:
        """The monotonic time at which the state of an account changes next if nothing happens."""
        return self._schedule[0][0] if self._schedule else inf

    def _look(self, number: int, now: float) -> None:
        standing = self.runtimes[number].standing(self.model, now)
        known = number in self.rotation
        self.rotation.put(number, standing.rank)
        if standing.state is not None:
            self.out[number] = standing.state, now
            self.version += 1
        elif not known:
            self.out.pop(number, None)
            self.version += 1
        if standing.until < self._due.get(number, inf):
            self._due[number] = standing.until
            heappush(self._schedule, (standing.until, number))
            if len(self._schedule) > 2 * len(self._due) + 8:
                self._schedule = [(at, each) for each, at in self._due.items()]
                heapify(self._schedule)

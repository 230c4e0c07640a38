"""Accounts that can serve a request now, kept in the order in which requests go to them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Collection, Iterator
from typing import TypeAlias

Rank: TypeAlias = tuple[bool, bool, int, bool, int, float]
"""Orders accounts: probes and weak ones last, then by tier; in a tier, nearly spent ones last, then by the turns under
way, then the longest idle first. The last part is any number that grows with each use."""


class Rotation:
    """The accounts by rank. They are numbered; finding the first and moving one do not depend on how many there are."""

    def __init__(self) -> None:
        self._order: list[tuple[Rank, int]] = []
        self._ranks: dict[int, Rank] = {}
        self._tiers: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, number: int) -> bool:
        return number in self._ranks

    def __iter__(self) -> Iterator[int]:
        """The accounts in their order."""
        return (number for _, number in self._order)

    def rank(self, number: int) -> Rank:
        """The rank of an account that is in it."""
        return self._ranks[number]

    def put(self, number: int, rank: Rank | None) -> None:
        """Give an account its rank; None takes it out."""
        old = self._ranks.get(number)
        if old == rank:
            return
        if old is not None:
            del self._order[bisect_left(self._order, (old, number))]
            del self._ranks[number]
            self._tiers[old[2]] -= 1
            if not self._tiers[old[2]]:
                del self._tiers[old[2]]
        if rank is not None:
            insort(self._order, (rank, number))
            self._ranks[number] = rank
            self._tiers[rank[2]] += 1

    @property
    def tiers(self) -> Collection[int]:
        """The tiers of the accounts."""
        return self._tiers.keys()

    @property
    def best(self) -> Rank:
        """The rank of the first account.

        Raises:
            IndexError: there is none.
        """
        return self._order[0][0]

    def first(self, random_number: float) -> int:
        """The first account; the random number in [0, 1) decides between equals.

        Raises:
            IndexError: there is none.
        """
        best, number = self._order[0]
        if len(self._order) > 1 and self._order[1][0] == best:
            equals = bisect_right(self._order, best, key=lambda each: each[0])
            return self._order[min(int(random_number * equals), equals - 1)][1]
        return number

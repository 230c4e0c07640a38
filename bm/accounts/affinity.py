"""Which account served a conversation last, so that its next turn finds its prompt cache and its signatures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping

from bm.accounts.account import AccountId


class Affinities:
    """A map of bounded size and age. Times are seconds of one clock, whichever the caller keeps to."""

    def __init__(self, *, size: int, ttl: float) -> None:
        self.size, self.ttl = size, ttl
        self._seats: OrderedDict[str, tuple[AccountId, float]] = OrderedDict()

    def get(self, key: str, now: float) -> AccountId | None:
        """(provider, account) of the conversation's last turn, unless that was longer than `ttl` seconds ago."""
        seat, at = self._seats.get(key, (None, 0.0))
        if seat is None or now - at < self.ttl:
            return seat
        del self._seats[key]
        return None

    def set(self, key: str, seat: AccountId, now: float) -> None:
        """Note who served the conversation; beyond `size` the longest unserved one is forgotten."""
        self._seats[key] = seat, now
        self._seats.move_to_end(key)
        self._shrink()

    def rename(self, seats: Mapping[AccountId, AccountId]) -> None:
        """Follow accounts to their new seats; `seats` maps these to the old ones."""
        new = {old: seat for seat, old in seats.items()}
        for key, (seat, at) in self._seats.items():
            self._seats[key] = new.get(seat, seat), at

    def retain(self, seats: Collection[AccountId]) -> None:
        """Forget the conversations of accounts that are not among these."""
        for key in [key for key, (seat, _) in self._seats.items() if seat not in seats]:
            del self._seats[key]

    def resize(self, *, size: int, ttl: float) -> None:
        """Take over new bounds; conversations stay as far as they fit."""
        self.size, self.ttl = size, ttl
        self._shrink()

    def items(self, now: float) -> Iterator[tuple[str, AccountId, float]]:
        """Every live conversation with its seat and the time of its last turn, the longest unserved first."""
        for key, (seat, at) in self._seats.items():
            if now - at < self.ttl:
                yield key, seat, at

    def __len__(self) -> int:
        return len(self._seats)

    def _shrink(self) -> None:
        while len(self._seats) > self.size:
            self._seats.popitem(last=False)

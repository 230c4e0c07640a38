"""The account that served each conversation last. Its next turn goes there too, to its prompt cache and signatures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping

from bm.dispatch.target import AccountId


class Affinities:
    """A map of bounded size and age. Times are seconds of any one clock.

    `claim` tells other nodes of each turn: the conversation, the account that it was planned for, and the one that has
    served it.
    """

    def __init__(self, *, size: int, ttl: float) -> None:
        self.size, self.ttl = size, ttl
        self.claim: Callable[[str, AccountId | None, AccountId], None] | None = None
        self._account_ids: OrderedDict[str, tuple[AccountId, float]] = OrderedDict()

    def get(self, key: str, now: float) -> AccountId | None:
        """The account of the conversation's last turn, unless that was more than `ttl` seconds ago."""
        account_id, at = self._account_ids.get(key, (None, 0.0))
        if account_id is None or now - at < self.ttl:
            return account_id
        del self._account_ids[key]
        return None

    def set(self, key: str, account_id: AccountId, now: float) -> None:
        """Record the account of a turn. Beyond `size`, the conversation idle for longest is dropped."""
        if self.claim is not None:
            self.claim(key, self.get(key, now), account_id)
        self.learn(key, account_id, now)

    def learn(self, key: str, account_id: AccountId, now: float) -> None:
        """Record the account of a turn on any node."""
        self._account_ids[key] = account_id, now
        self._account_ids.move_to_end(key)
        self._shrink()

    def rename(self, account_ids: Mapping[AccountId, AccountId]) -> None:
        """Follow renamed accounts. `account_ids` maps their new ids to the old ones."""
        new = {old: account_id for account_id, old in account_ids.items()}
        for key, (account_id, at) in self._account_ids.items():
            self._account_ids[key] = new.get(account_id, account_id), at

    def retain(self, account_ids: Collection[AccountId]) -> None:
        """Drop the conversations of all other accounts."""
        for key in [key for key, (account_id, _) in self._account_ids.items() if account_id not in account_ids]:
            del self._account_ids[key]

    def resize(self, *, size: int, ttl: float) -> None:
        """Set new bounds, and drop the conversations beyond them."""
        self.size, self.ttl = size, ttl
        self._shrink()

    def items(self, now: float) -> Iterator[tuple[str, AccountId, float]]:
        """Every current conversation with its account and the time of its last turn, the oldest first."""
        for key, (account_id, at) in self._account_ids.items():
            if now - at < self.ttl:
                yield key, account_id, at

    def __len__(self) -> int:
        return len(self._account_ids)

    def _shrink(self) -> None:
        while len(self._account_ids) > self.size:
            self._account_ids.popitem(last=False)

"""One request that several accounts refuse alike is on trial: it may be the cause, and their rests undeserved.

While nobody else asks, only another request can tell. So the accounts rest as they were told to, but one other request
at a time may try one of them when nothing better is left. An answer clears the accounts; a refusal confirms the rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from bm.accounts.account import AccountId

Place: TypeAlias = tuple[AccountId, str]
"""An account and a model."""

RECENT = 300.0
"""Seconds for which an account that has answered counts as one that works."""

ALIKE = 2
"""So many accounts that worked must refuse a request before it comes under suspicion."""

OPEN = 60.0
"""Seconds a trial lasts at least: an answer within them clears what does not rest, such as health."""


class SuspectRequest(msgspec.Struct, kw_only=True):
    """`request` is what tells the suspect from others, `ids` are the bookings it caused, `at` and `until` monotonic
    seconds; `probe` is the account that another request tries just now."""

    request: int
    places: frozenset[Place]
    ids: frozenset[int]
    at: float
    until: float
    probe: AccountId | None = None

    @property
    def provider(self) -> str:
        """All places are one provider's."""
        (provider, _), _ = next(iter(self.places))
        return provider


class Suspects:
    """The trials that are open."""

    def __init__(self) -> None:
        self._open: list[SuspectRequest] = []

    def __bool__(self) -> bool:
        return bool(self._open)

    def begin(self, suspect: SuspectRequest) -> None:
        """Open a trial. One of the same request at the same provider goes on in it: it may have been sent again."""
        for each in self._open:
            if (each.request, each.provider) == (suspect.request, suspect.provider):
                suspect.ids, suspect.places = suspect.ids | each.ids, suspect.places | each.places
                suspect.until = max(suspect.until, each.until)
        self.acquit(suspect.request, suspect.provider)
        self._open.append(suspect)

    def acquit(self, request: int, provider: str) -> None:
        """The provider has answered the request: its trial ends without a verdict."""
        self._open = [each for each in self._open if (each.request, each.provider) != (request, provider)]

    def concerning(self, provider: str, model: str, asking: int, now: float) -> Iterator[SuspectRequest]:
        """The trials in which a request that is not the suspect may try the provider's accounts for the model."""
        for suspect in self._open:
            same = suspect.provider == provider and model in {each for _, each in suspect.places}
            if same and suspect.request != asking and now < suspect.until:
                yield suspect

    def forget(self, ids: frozenset[int]) -> None:
        """These bookings are taken out of the books."""
        self._open = [each for each in self._open if not each.ids <= ids]

    def answered(self, place: Place, asking: int, sent: float) -> frozenset[int]:
        """A request sent at `sent` was answered. Gives the bookings that are void by it."""
        self.acquit(asking, place[0][0])
        guilty = [each for each in self._open if place in each.places and sent > each.at]
        self._open = [each for each in self._open if each not in guilty]
        return frozenset[int]().union(*(each.ids for each in guilty))

    def refused(self, place: Place, asking: int, sent: float) -> None:
        """A request sent at `sent` was refused as well: if it is not the suspect itself, the rests are deserved."""
        self._open = [
            each for each in self._open if place not in each.places or sent <= each.at or each.request == asking
        ]

    def done(self, account_id: AccountId) -> None:
        """Whatever came of a try, the next one may follow."""
        for suspect in self._open:
            if suspect.probe == account_id:
                suspect.probe = None

    def tidy(self, now: float) -> None:
        """Forget trials that are over."""
        self._open = [each for each in self._open if now < each.until]

    def clear(self) -> None:
        """Forget all."""
        self._open.clear()

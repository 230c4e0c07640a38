"""Requests that several accounts refused alike. Such a request may be the cause, and the cooldowns undeserved.

Only another request can tell. The accounts therefore cool down anyway, but one other request at a time may probe one
of them when nothing better is left. An answer clears the accounts; a refusal confirms the cooldowns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import msgspec

from bm.dispatch.target import AccountId

Place: TypeAlias = tuple[AccountId, str]
"""An account and a model."""

ALIKE = 2
"""Accounts known to work that must refuse a request before it is suspect."""

MIN_OPEN = 60.0
"""Seconds a request stays suspect at least. An answer within them also clears what is no cooldown, such as health."""


class Probes(Protocol):
    """Sees to it that one of several nodes at a time probes an account that cools down."""

    def may_probe(self, place: Place) -> bool:
        """Whether a request may probe now. If not, that is asked for, without waiting."""

    async def decided(self, seconds: float) -> bool:
        """Wait for so long until what was asked for is known. Whether anything was."""

    def begun(self, place: Place) -> None:
        """A request probes."""

    def ended(self, place: Place) -> None:
        """The request that probes is over."""


class SuspectRequest(msgspec.Struct, kw_only=True):
    """A request under suspicion. `fingerprint` tells it from other requests, `ids` are the cooldown entries it caused.

    `at` and `until` are monotonic seconds; `probe` is the account that another request is probing.
    """

    fingerprint: int
    places: frozenset[Place]
    ids: frozenset[int]
    at: float
    until: float
    probe: AccountId | None = None

    @property
    def provider(self) -> str:
        (provider, _), _ = next(iter(self.places))
        return provider


class Suspects:
    """The suspect requests at present."""

    def __init__(self) -> None:
        self._open: list[SuspectRequest] = []

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, suspect: SuspectRequest) -> None:
        """Add a suspect request, and merge it with an earlier one of the same fingerprint and provider."""
        for each in self._open:
            if (each.fingerprint, each.provider) == (suspect.fingerprint, suspect.provider):
                suspect.ids, suspect.places = suspect.ids | each.ids, suspect.places | each.places
                suspect.until = max(suspect.until, each.until)
        self.drop(suspect.fingerprint, suspect.provider)
        self._open.append(suspect)

    def drop(self, fingerprint: int, provider: str) -> None:
        """The provider has answered the request: it is suspect no longer, and its cooldowns stay."""
        self._open = [each for each in self._open if (each.fingerprint, each.provider) != (fingerprint, provider)]

    def matching(self, provider: str, model: str, fingerprint: int, now: float) -> Iterator[SuspectRequest]:
        """The suspect requests for this provider and model, other than the one with this fingerprint."""
        for suspect in self._open:
            same = suspect.provider == provider and model in {each for _, each in suspect.places}
            if same and suspect.fingerprint != fingerprint and now < suspect.until:
                yield suspect

    def forget(self, ids: frozenset[int]) -> None:
        """These cooldown entries have been removed."""
        self._open = [each for each in self._open if not each.ids <= ids]

    def answered(self, place: Place, fingerprint: int, sent: float) -> frozenset[int]:
        """A request sent at `sent` was answered. Returns the cooldown entries this proves undeserved."""
        if not self._open:
            return frozenset()
        self.drop(fingerprint, place[0][0])
        guilty = [each for each in self._open if place in each.places and sent > each.at]
        self._open = [each for each in self._open if each not in guilty]
        return frozenset[int]().union(*(each.ids for each in guilty))

    def refused(self, place: Place, fingerprint: int, sent: float) -> None:
        """A request sent at `sent` was refused. Unless it is the suspect itself, the cooldowns are confirmed."""
        self._open = [
            each
            for each in self._open
            if place not in each.places or sent <= each.at or each.fingerprint == fingerprint
        ]

    def probe_ended(self, account_id: AccountId) -> None:
        """The probe of an account is over; the next one may follow."""
        for suspect in self._open:
            if suspect.probe == account_id:
                suspect.probe = None

    def expire(self, now: float) -> None:
        """Drop suspect requests whose time is over."""
        self._open = [each for each in self._open if now < each.until]

    def clear(self) -> None:
        self._open.clear()

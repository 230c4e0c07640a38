"""Whether requests should come here, in one answer for balancers."""

from __future__ import annotations

from typing import Any

import pytest

from bm.server.http import LimitedHttp
from bm.server.readiness import not_ready


class Account:
    def __init__(self, *, disabled: bool) -> None:
        self.disabled = disabled


class Member:
    """A provider as the router shows it."""

    def __init__(self, *accounts: bool, enabled: bool = True, pool: bool = True, mode: str = "pooled") -> None:
        self.provider = self
        self.enabled, self.pool, self.mode = enabled, pool, mode
        self.account_states = [Account(disabled=disabled) for disabled in accounts]


class Sharing:
    """With a store that may be away."""

    def __init__(self, found: str) -> None:
        self.found = found

    def problem(self, config: object) -> str:
        return self.found


class Services:
    settings = config = None

    def __init__(self, members: list[Member]) -> None:
        self.router, self.members = self, members

    def snapshot(self, settings: object) -> Services:
        return self


@pytest.mark.parametrize(
    ("members", "ending", "away", "problem"),
    [
        ([Member(False)], False, "", ""),
        ([Member(True, False)], False, "", ""),
        ([Member(False)], True, "", "about to end"),
        ([], False, "the store is away", "store"),
        ([], False, "", "bm accounts add"),
        ([Member(True)], False, "", "bm accounts add"),
        ([Member(False, enabled=False)], False, "", "bm accounts add"),
        ([Member(False, pool=False, mode="off")], False, "", "bm accounts add"),
        ([Member(True), Member(False, pool=False, mode="fallback")], False, "", ""),
    ],
)
def test_what_stands_in_the_way(
    members: list[Member], ending: bool, away: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedHttp, "ending", ending)
    services: Any = Services(members)
    sharing: Any = Sharing(away)
    found = not_ready(services, sharing)
    assert problem in found and bool(problem) == bool(found)

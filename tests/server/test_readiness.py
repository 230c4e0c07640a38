"""Whether requests should come here, in one answer for balancers."""

from __future__ import annotations

from typing import Any

import pytest

from bm.server.readiness import Readiness


class Account:
    def __init__(self, *, disabled: bool) -> None:
        self.disabled = disabled


class Member:
    """A provider as the router shows it."""

    def __init__(self, *accounts: bool, enabled: bool = True, pool: bool = True, mode: str = "pooled") -> None:
        self.provider = self
        self.enabled, self.pool, self.mode = enabled, pool, mode
        self.account_states = [Account(disabled=disabled) for disabled in accounts]


class Services:
    settings = None

    def __init__(self, members: list[Member]) -> None:
        self.router, self.members = self, members

    def snapshot(self, settings: object) -> Services:
        return self


@pytest.mark.parametrize(
    ("members", "checks", "problem"),
    [
        ([Member(False)], [], ""),
        ([Member(True, False)], [""], ""),
        ([Member(False)], ["", "this node is about to end"], "about to end"),
        ([], ["the store is away"], "store"),
        ([], [], "bm accounts add"),
        ([Member(True)], [], "bm accounts add"),
        ([Member(False, enabled=False)], [], "bm accounts add"),
        ([Member(False, pool=False, mode="off")], [], "bm accounts add"),
        ([Member(True), Member(False, pool=False, mode="fallback")], [], ""),
    ],
)
def test_what_stands_in_the_way(members: list[Member], checks: list[str], problem: str) -> None:
    services: Any = Services(members)
    readiness = Readiness(services)
    readiness.checks += [lambda text=text: text for text in checks]  # type: ignore[misc]
    found = readiness.problem()
    assert problem in found and bool(problem) == bool(found)

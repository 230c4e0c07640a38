"""`bm accounts order` puts accounts behind others and shares the requests among those of one tier."""

from __future__ import annotations

import pytest

from bm.accounts.account import MAX_ORDER
from bm.accounts.credentials import load
from bm.cli import order
from bm.config.paths import Paths
from tests.cli.conftest import Bm


@pytest.fixture
def accounts(bm: Bm) -> None:
    for name in ("paid", "free", "large"):
        assert bm("accounts", "add", name, "--no-verify", stdin=f"key-{name}").code == 0


@pytest.mark.usefixtures("accounts")
def test_accounts_of_a_lower_tier_come_first_in_the_plan(bm: Bm, paths: Paths) -> None:
    assert "TIER" not in bm("accounts").out
    bm("accounts", "order", "paid", "large", "--tier", "1")
    assert bm("accounts").out.splitlines()[0].endswith("TIER")
    for _ in range(5):
        assert bm("route", "opus", "--json").json["targets"][0]["account"] == "free"
    bm("accounts", "order", "paid", "large", "--tier", "0")
    assert "tier" not in paths.accounts.read_text()


@pytest.mark.usefixtures("accounts")
def test_several_accounts_are_put_in_their_order(bm: Bm) -> None:
    assert bm("accounts", "order", "free", "large", "paid").out.splitlines()[1:] == [
        "free     gemini    0     1       100%",
        "large    gemini    1     1       100%",
        "paid     gemini    2     1       100%",
    ]
    assert [each["account"] for each in bm("route", "opus", "--json").json["targets"]] == ["free", "large", "paid"]


@pytest.mark.usefixtures("accounts")
def test_a_weight_is_a_share_of_its_tier(bm: Bm, paths: Paths) -> None:
    ran = bm("accounts", "order", "large", "--weight", "3", "--json")
    assert [(row["name"], row["tier"], row["weight"], row["share"]) for row in ran.json["accounts"]] == [
        ("paid", 0, 1, "20%"),
        ("free", 0, 1, "20%"),
        ("large", 0, 3, "60%"),
    ]
    assert [each.weight for each in load(paths.accounts).accounts] == [1, 1, 3]
    assert bm("accounts").out.splitlines()[0].endswith("WEIGHT")


def test_an_account_is_added_in_its_place(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "paid", "--no-verify", "--tier", "2", "--weight", "5", stdin="key")
    assert [(each.tier, each.weight) for each in load(paths.accounts).accounts] == [(2, 5)]


@pytest.mark.usefixtures("accounts")
def test_an_order_of_one_account_says_nothing(bm: Bm) -> None:
    ran = bm("accounts", "order", "free")
    assert ran.code == 2
    assert "--tier" in ran.err
    assert bm("accounts", "order", "free", "--weight", "0").code == 2


def test_the_command_line_takes_what_is_stored() -> None:
    assert order.MOST == MAX_ORDER

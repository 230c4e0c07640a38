"""`bm accounts` and what it changes."""

from __future__ import annotations

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.paths import Paths
from bm.simulator import Rule, Simulator
from tests.cli.conftest import PLANTED, Bm


def test_none_yet(bm: Bm) -> None:
    assert bm("accounts") == (0, "no accounts (bm accounts add NAME)\n", "")
    assert bm("accounts", "--json").json == {"accounts": [], "warnings": []}


def test_an_account_is_added_and_its_key_never_shown(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    ran = bm("accounts", "add", "one", stdin=f"{PLANTED}\n")
    assert (ran.code, ran.out) == (0, "one: added to gemini\n")
    assert load(paths.accounts).accounts[0].key == PLANTED
    listed = bm("accounts", "list")
    assert listed.out == (
        "ACCOUNT  PROVIDER  STATE   MODEL  TODAY  FAILED  KEY        LAST USED\n"
        "one      gemini    usable  -      0      0       plan…cdef  never\n"
    )
    for shown in (ran, listed, bm("accounts", "--json"), bm("config", "show"), bm("doctor"), bm("test")):
        assert PLANTED not in shown.out + shown.err


def test_a_key_is_not_accepted_as_an_argument(bm: Bm) -> None:
    assert bm("accounts", "add", "one", PLANTED).code == 2


def test_a_taken_name_is_refused_before_asking_for_the_key(bm: Bm) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    ran = bm("accounts", "add", "one")
    assert (ran.code, ran.err) == (
        2,
        "error: gemini already has an account named 'one' (bm accounts remove one)\n",
    )


def test_the_same_key_twice_is_refused(bm: Bm) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="the-key")
    ran = bm("accounts", "add", "two", "--no-verify", stdin="the-key")
    assert (ran.code, ran.err) == (2, "error: the account 'one' of gemini has this key already\n")


def test_a_paid_provider_can_have_several_accounts(bm: Bm) -> None:
    bm("accounts", "add", "one", "--provider", "groq", "--project", "p", "--no-verify", stdin="key-one")
    (row,) = bm("accounts", "--json").json["accounts"]
    assert (row["provider"], row["project"]) == ("groq", "p")
    assert bm("accounts", "add", "one", "--provider", "unknown", "--no-verify", stdin="k").code == 2


def test_disable_enable_remove(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    before = load(paths.accounts).accounts[0].renewed_at
    assert bm("accounts", "disable", "one") == (0, "one: disabled\n", "")
    assert bm("accounts", "--json").json["accounts"][0]["state"] == "off"
    assert bm("accounts", "enable", "one") == (0, "one: enabled\n", "")
    after = load(paths.accounts).accounts[0].renewed_at
    assert before is not None
    assert after is not None
    assert after > before
    assert bm("accounts", "remove", "one", stdin="n\n").code == 1
    assert len(load(paths.accounts).accounts) == 1, "an answer other than yes removes nothing"
    assert bm("accounts", "remove", "one", "--yes") == (0, "one: removed\n", "")
    assert load(paths.accounts).accounts == ()
    assert bm("accounts", "remove", "one", "--yes").code == 2


def test_a_name_at_two_providers_needs_the_provider(bm: Bm) -> None:
    for provider in ("gemini", "groq"):
        bm("accounts", "add", "one", "--provider", provider, "--no-verify", stdin=f"key-of-{provider}")
    assert bm("accounts", "disable", "one").code == 2
    assert bm("accounts", "disable", "one", "--provider", "groq").code == 0
    states = {row["provider"]: row["state"] for row in bm("accounts", "--json").json["accounts"]}
    assert states == {"gemini": "usable", "groq": "off"}


def test_verify_renews_working_accounts_and_fails_for_others(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    for name in ("good", "bad"):
        bm("accounts", "add", name, "--no-verify", stdin=f"key-of-{name}")
    simulator.script(Rule(account="of-bad", operation="any", error="invalid_key", times=None))
    before = {account.name: account.renewed_at for account in load(paths.accounts).accounts}
    ran = bm("accounts", "verify")
    assert ran.code == 1
    after = {account.name: account.renewed_at for account in load(paths.accounts).accounts}
    assert [name for name in before if before[name] != after[name]] == ["good"]
    assert bm("accounts", "verify", "good").code == 0


def test_a_disabled_account_says_why_and_what_to_type(bm: Bm, paths: Paths) -> None:
    update(paths.accounts, lambda it: it.add(Account(name="r", kind="service_account", key="file:/not/there.json")))
    shown = bm("accounts").out.splitlines()
    assert shown[1].split()[:3] == ["r", "gemini", "disabled"]
    assert shown[-2:] == [
        "r of gemini is disabled: /not/there.json: cannot be read: No such file or directory",
        "    put it right, then: bm accounts verify r",
    ]


def test_missing_models_are_reported_and_unlimited_ones_left_out(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many lines only those with a known limit are shown."""
    quota = {"window": "day", "unit": "requests", "used": 3, "resets": None}
    quotas = [quota | {"model": f"m{number}", "limit": 9 if number == 7 else None} for number in range(30)]
    row = {
        "name": "my own",
        "provider": "gemini",
        "state": "usable",
        "reason": "",
        "remedy": "",
        "key_hint": "k",
        "kind": "api_key",
        "project": "",
        "location": "",
        "cooldowns": [],
        "last_used": None,
        "requests_today": 90,
        "failures_today": 1,
        "quotas": quotas,
        "last_error": "too busy",
        "excluded": {"pro": "limit: 0"},
    }
    monkeypatch.setattr("bm.cli.admin.ask", lambda *_: {"accounts": [row]})
    shown = bm("accounts").out
    assert "m7     3/9 per day" in shown and "m8" not in shown and "(29 lines without a known limit" in shown
    assert "my own of gemini has not answered since: too busy\n" in shown
    assert "my own of gemini does not have pro: limit: 0\n    bm accounts verify 'my own' asks again\n" in shown


def test_an_account_is_renamed_where_it_stands(bm: Bm, paths: Paths) -> None:
    for name in ("one", "two"):
        bm("accounts", "add", name, "--no-verify", stdin=f"key-{name}")
    assert bm("accounts", "rename", "one", "first") == (0, "one: renamed to first\n", "")
    assert [(each.name, each.key) for each in load(paths.accounts).accounts] == [
        ("first", "key-one"),
        ("two", "key-two"),
    ]
    for new, error in (
        ("two", "already has an account named"),
        ("", "cannot be the name"),
        ("a\nb", "cannot be the name"),
    ):
        ran = bm("accounts", "rename", "first", new)
        assert ran.code == 2 and error in ran.err
    assert bm("accounts", "rename", "none", "x").code == 2


def test_a_key_is_replaced_once_it_is_accepted(bm: Bm, paths: Paths, simulator: Simulator) -> None:
    for name in ("one", "two"):
        bm("accounts", "add", name, "--no-verify", stdin=f"key-{name}")
    simulator.script(keys=(PLANTED,))
    assert "not saved" in bm("accounts", "key", "one", stdin="wrong").err
    assert load(paths.accounts).accounts[0].key == "key-one"
    ran = bm("accounts", "key", "one", stdin=PLANTED)
    assert (ran.code, ran.out) == (0, "one: key replaced\n")
    assert [each.key for each in load(paths.accounts).accounts] == [PLANTED, "key-two"]
    again = bm("accounts", "key", "two", "--no-verify", stdin=PLANTED)
    assert (again.code, again.err) == (2, "error: the account 'one' of gemini has this key already\n")

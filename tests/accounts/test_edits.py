"""What people change of the stored accounts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bm.accounts.account import Account, Kind
from bm.accounts.credentials import Credentials
from bm.accounts.edits import begun, main_account, put, refuse_without_key, renewed, switched, with_key
from bm.errors import AccountError

NOW = datetime(2026, 4, 1, tzinfo=UTC)
OFF = Account(name="ann", key="key-one", enabled=False)


def test_a_new_account_has_its_time() -> None:
    account = begun(OFF, NOW)
    assert (account.added_at, account.renewed_at) == (NOW, NOW)


def test_another_key_switches_the_account_on() -> None:
    account = with_key(OFF, "key-two", NOW)
    assert (account.key, account.enabled, account.renewed_at) == ("key-two", True, NOW)


@pytest.mark.parametrize(
    ("kind", "remedy"), [("google_oauth", "bm accounts login ann"), ("adc", "bm accounts remove"), ("api_key", "")]
)
def test_only_some_kinds_have_a_key(kind: Kind, remedy: str) -> None:
    account = Account(name="ann", key="k", kind=kind)
    if not remedy:
        refuse_without_key(account)
        return
    with pytest.raises(AccountError, match=remedy):
        refuse_without_key(account)


@pytest.mark.parametrize("on", [True, False])
def test_an_account_is_switched(on: bool) -> None:
    account = switched(OFF, NOW, on=on)
    assert (account.enabled, account.renewed_at) == (on, NOW if on else None)


def test_a_main_account_replaces_the_one_before() -> None:
    stored = put(put(Credentials(), main_account("groq", "key-one", NOW)), main_account("groq", "key-two", NOW))
    assert [(each.provider, each.name, each.key) for each in stored.accounts] == [("groq", "main", "key-two")]


def test_only_those_that_worked_are_renewed() -> None:
    stored = Credentials(accounts=(OFF, Account(name="ben", key="key-two")))
    times = [each.renewed_at for each in renewed(stored, {("gemini", "ben")}, NOW).accounts]
    assert times == [None, NOW]

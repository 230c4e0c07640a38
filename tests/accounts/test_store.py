"""The accounts in accounts.toml: the lock that one refresh of a token holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.accounts.store import AccountFile
from bm.config.files import LockTimeout


def test_what_is_changed_is_read(tmp_path: Path) -> None:
    store = AccountFile(tmp_path / "accounts.toml")
    changed = store.update(lambda stored: stored.add(Account(name="work", key="a-key")))
    assert store.load().accounts == changed.accounts == (Account(name="work", key="a-key"),)


def test_one_refresh_of_an_account_excludes_another_and_no_other_account(tmp_path: Path) -> None:
    store = AccountFile(tmp_path / "accounts.toml")
    with store.refreshing(("gemini", "work"), 0):
        with store.refreshing(("gemini", "home"), 0):
            pass
        with pytest.raises(LockTimeout), store.refreshing(("gemini", "work"), 0):
            pass

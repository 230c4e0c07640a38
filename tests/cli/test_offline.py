"""The administration in this process."""

from __future__ import annotations

import os

import pytest

from bm.accounts.account import Account
from bm.accounts.store import update
from bm.cli.offline import ask
from bm.config.paths import Paths
from bm.errors import AccountError, ConfigError


def test_accounts_as_the_files_have_them(paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key="a-key-of-some-kind")))
    status, body = ask(paths, os.environ, "GET", "/admin/accounts")
    assert status == 200
    assert [(row["name"], row["provider"], row["state"]) for row in body["accounts"]] == [("one", "gemini", "usable")]


def test_a_question_with_a_body(paths: Paths) -> None:
    status, body = ask(paths, os.environ, "POST", "/admin/route", {"model": "opus", "protocol": "anthropic"})
    assert (status, body["targets"]) == (200, [])
    assert "bm accounts add" in body["failure"]["message"]


def test_a_wrong_question_is_refused(paths: Paths) -> None:
    status, body = ask(paths, os.environ, "POST", "/admin/route", {"protocol": "anthropic"})
    assert status == 400
    assert "model" in body["error"]


def test_files_that_cannot_be_used(paths: Paths) -> None:
    paths.accounts.write_text("[[[")
    with pytest.raises(AccountError):
        ask(paths, os.environ, "GET", "/admin/accounts")
    paths.config.write_text("[[[")
    with pytest.raises(ConfigError):
        ask(paths, os.environ, "GET", "/admin/accounts")

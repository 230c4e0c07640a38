"""The administration in this process."""

from __future__ import annotations

import os
import time

import pytest

from bm.accounts.account import Account
from bm.accounts.affinity import Affinities
from bm.accounts.credentials import Credential, update
from bm.accounts.pool import Pool
from bm.accounts.state_file import encoded, save, state_path
from bm.cli.offline import ask
from bm.config.paths import Paths
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.target import Target
from bm.errors import AccountError, ConfigError


def test_accounts_as_the_files_have_them(paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key="a-key-of-some-kind")))
    status, body = ask(paths, os.environ, "GET", "/admin/accounts")
    assert status == 200
    assert [(row["name"], row["provider"], row["state"]) for row in body["accounts"]] == [("one", "gemini", "usable")]


def test_accounts_as_the_last_daemon_has_left_them(paths: Paths) -> None:
    account = Account(name="one", key="a-key-of-some-kind")
    update(paths.accounts, lambda stored: stored.add(account))
    pool, now, wall = Pool([Credential(account=account, secret=account.key)]), time.monotonic(), time.time()
    target = Target("gemini", "one", "m", "gemini")
    pool.lease(target, sent=now).apply(AccountEffect("cooldown", 600, "its quota is spent"), now=now, wall=wall)
    save(encoded(pool, Affinities(size=1, ttl=1), now=now, wall=wall), state_path(paths))
    _, body = ask(paths, os.environ, "GET", "/admin/accounts")
    (row,) = body["accounts"]
    assert (row["state"], row["reason"]) == ("cooling down", "its quota is spent")


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

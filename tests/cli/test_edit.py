"""A change is in the file, and in a running daemon before the command ends."""

from __future__ import annotations

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import load
from bm.cli import admin, edit
from bm.config.paths import Paths
from bm.daemon.start import start


def test_settings_take_effect_at_once(paths: Paths) -> None:
    start(paths)
    edit.settings(paths, {"providers.groq.mode": "pooled", "providers.groq.enabled": True})
    assert admin.ask(paths, "GET", "/admin/status")["providers"] == [
        {"name": "groq", "mode": "pooled", "enabled": True}
    ]


def test_accounts_take_effect_at_once(paths: Paths) -> None:
    start(paths)
    edit.credentials(paths, lambda stored: stored.add(Account(name="one", key="a-key-of-some-kind")))
    assert admin.ask(paths, "GET", "/admin/status")["accounts"]["usable"] == 1
    assert [account.name for account in load(paths.accounts).accounts] == ["one"]


def test_an_environment_variable_that_outweighs_the_file_is_told(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BM_POOL_MAX_WAIT", "7")
    edit.settings(paths, {"pool.max_wait": 5, "pool.strict": True})
    told = "note: the environment variable BM_POOL_MAX_WAIT outweighs pool.max_wait where it is set\n"
    assert capsys.readouterr().err == told

"""Commands ask the daemon, or the same code in this process; their changes apply at once."""

from __future__ import annotations

import time

import pytest

from bm.accounts.account import Account
from bm.accounts.affinity import Affinities
from bm.accounts.credentials import Credential, load, update
from bm.accounts.pool import Pool
from bm.accounts.state_file import encoded, save, state_path
from bm.cli import admin
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.start import start
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.target import Target
from bm.errors import AccountError, ConfigError, DaemonError
from tests.daemon.support import answering, daemon


def test_the_home_comes_from_the_environment(paths: Paths) -> None:
    assert admin.here() == paths


def test_the_answer_is_the_same_with_and_without_a_daemon(paths: Paths) -> None:
    down = admin.ask(paths, "GET", "/admin/providers")
    assert admin.running(paths) is None
    started = start(paths).daemon
    assert admin.running(paths) == started
    assert admin.ask(paths, "GET", "/admin/providers") == down


def test_a_refusal_is_an_error_in_the_daemons_words(paths: Paths) -> None:
    with pytest.raises(DaemonError, match="there is no /admin/nothing here"):
        admin.ask(paths, "GET", "/admin/nothing")
    with answering(503, b"{}") as port, pytest.raises(DaemonError, match="responded with status 503"):
        admin.ask_daemon(paths, daemon(port=port), "GET", "/admin/status")


def test_without_a_daemon_there_is_nothing_to_reload(paths: Paths) -> None:
    admin.reload(paths)
    assert not paths.runtime.exists()


def test_a_daemon_that_cannot_use_the_files_says_so(paths: Paths) -> None:
    make_folders(paths)
    refusal = b'{"ok": false, "error": "line 3"}'
    with answering(200, refusal, proves=daemon()) as port:
        runtime.write(paths.runtime, daemon(port=port))
        with pytest.raises(DaemonError, match="keeps its old settings: line 3"):
            admin.reload(paths)


def test_without_a_daemon_accounts_are_as_in_the_file(paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key="a-key-of-some-kind")))
    (row,) = admin.ask(paths, "GET", "/admin/accounts")["accounts"]
    assert (row["name"], row["provider"], row["state"]) == ("one", "gemini", "usable")


def test_without_a_daemon_account_states_are_those_the_last_one_saved(paths: Paths) -> None:
    account = Account(name="one", key="a-key-of-some-kind")
    update(paths.accounts, lambda stored: stored.add(account))
    pool, now, wall = Pool([Credential(account=account, secret=account.key)]), time.monotonic(), time.time()
    target = Target("gemini", "one", "m", "gemini")
    pool.lease(target, sent=now).apply(AccountEffect("cooldown", 600, "its quota is spent"), now=now, wall=wall)
    save(encoded(pool, Affinities(size=1, ttl=1), now=now, wall=wall), state_path(paths))
    (row,) = admin.ask(paths, "GET", "/admin/accounts")["accounts"]
    assert (row["state"], row["reason"]) == ("cooling down", "its quota is spent")


def test_without_a_daemon_a_request_may_have_a_body(paths: Paths) -> None:
    body = admin.ask(paths, "POST", "/admin/route", {"model": "opus", "protocol": "anthropic"})
    assert body["targets"] == []
    assert "bm accounts add" in body["failure"]["message"]
    with pytest.raises(DaemonError, match="model"):
        admin.ask(paths, "POST", "/admin/route", {"protocol": "anthropic"})


def test_unusable_files_are_errors(paths: Paths) -> None:
    paths.accounts.write_text("[[[")
    with pytest.raises(AccountError):
        admin.ask(paths, "GET", "/admin/accounts")
    paths.config.write_text("[[[")
    with pytest.raises(ConfigError):
        admin.ask(paths, "GET", "/admin/accounts")


def test_settings_take_effect_at_once(paths: Paths) -> None:
    start(paths)
    admin.change_settings(paths, {"providers.groq.mode": "pooled", "providers.groq.enabled": True})
    assert admin.ask(paths, "GET", "/admin/status")["providers"] == [
        {"name": "groq", "mode": "pooled", "enabled": True}
    ]


def test_accounts_take_effect_at_once(paths: Paths) -> None:
    start(paths)
    admin.change_accounts(paths, lambda stored: stored.add(Account(name="one", key="a-key-of-some-kind")))
    assert admin.ask(paths, "GET", "/admin/status")["accounts"]["usable"] == 1
    assert [account.name for account in load(paths.accounts).accounts] == ["one"]


def test_an_environment_variable_that_overrides_the_file_is_reported(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BM_POOL_MAX_WAIT", "7")
    admin.change_settings(paths, {"pool.max_wait": 5, "pool.strict": True})
    expected = "note: the environment variable BM_POOL_MAX_WAIT overrides pool.max_wait where it is set\n"
    assert capsys.readouterr().err == expected

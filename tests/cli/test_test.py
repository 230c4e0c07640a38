"""`bm test` asks every account once; a key is tested before it is saved."""

from __future__ import annotations

import pytest

from bm.accounts.account import Account
from bm.cli.test import insist
from bm.config.paths import Paths
from bm.errors import AccountError, ConfigError
from bm.simulator import Rule, Simulator
from tests.cli.conftest import PLANTED, Bm


@pytest.mark.parametrize("daemon", [False, True])
def test_every_account_is_tested(bm: Bm, simulator: Simulator, daemon: bool) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("providers", "key", "anthropic", "--no-verify", stdin="key-two")
    if daemon:
        bm("start")
    ran = bm("test")
    assert ran.code == 0, ran
    rows = [line.split()[:4] for line in ran.out.splitlines()]
    assert rows[0] == ["PROVIDER", "ACCOUNT", "RESULT", "KEY"]
    assert rows[1:] == [["gemini", "one", "ok", "accepted"], ["anthropic", "main", "ok", "accepted"]]
    (row,) = bm("test", "anthropic", "--json").json["results"]
    assert (row["provider"], row["account"], row["ok"], row["key_accepted"]) == ("anthropic", "main", True, True)
    assert row["output_tokens"] > 0


def test_a_failure_is_printed_with_its_remedy(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    simulator.script(Rule(api="gemini", operation="any", error="invalid_key", times=None))
    ran = bm("test", "one")
    assert ran.code == 1
    assert ran.out.splitlines()[1].split()[:4] == ["gemini", "one", "failed", "refused"]
    assert "(bm accounts verify one; for another key: bm accounts key one (a key: https://" in ran.out
    assert bm("test", "one", "--json").code == 1


def test_nothing_to_test_is_a_failure(bm: Bm) -> None:
    ran = bm("test")
    assert ran.code == 1
    assert ran.out == "nothing to test: no provider in use has an account (bm accounts add NAME)\n"


def account(key: str = PLANTED) -> Account:
    return Account(name="one", provider="anthropic", key=key)


def test_a_key_that_works(paths: Paths, simulator: Simulator, capsys: pytest.CaptureFixture[str]) -> None:
    insist(paths, account())
    assert "accepted" in capsys.readouterr().err


def test_a_reference_is_followed(paths: Paths, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", PLANTED)
    insist(paths, account("env:SOME_NAME"))
    assert {record.account for record in simulator.log()} == {PLANTED[-6:]}
    with pytest.raises(ConfigError, match="env:NO_SUCH_NAME"):
        insist(paths, account("env:NO_SUCH_NAME"))


def test_a_key_that_is_refused(paths: Paths, simulator: Simulator) -> None:
    simulator.script(keys=("another-key",))
    with pytest.raises(AccountError, match="not saved") as caught:
        insist(paths, account())
    assert PLANTED not in str(caught.value)


def test_a_key_whose_limit_is_reached_is_kept(
    paths: Paths, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.script(Rule(operation="generate", error="rate_limit", times=None))
    insist(paths, account())
    assert "accepted, but" in capsys.readouterr().err


def test_a_provider_that_cannot_be_reached(paths: Paths, free_port: int) -> None:
    paths.config.write_text(f'[providers.anthropic]\nbase_url = "http://127.0.0.1:{free_port}"\n')
    with pytest.raises(AccountError, match="not saved"):
        insist(paths, account())

"""A key is tried before it is kept; a busy provider is no reason to refuse it."""

from __future__ import annotations

import pytest

from bm.accounts.account import Account
from bm.cli.verify import insist
from bm.config.paths import Paths
from bm.errors import AccountError, ConfigError
from bm.simulator import Rule, Simulator
from tests.cli.conftest import PLANTED


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

"""Commands run in this process; daemons they start are real and are ended afterwards."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.cli import main
from bm.config.paths import Paths
from bm.daemon.runtime import read
from bm.simulator import Simulator
from tests.daemon.conftest import paths

__all__ = ["paths"]

PLANTED = "planted-key-0123456789abcdef"
"""A provider's key; it belongs in accounts.toml and nowhere else."""


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The printed JSON."""
        return msgspec.json.decode(self.out)


Bm = Callable[..., Ran]


@pytest.fixture
def bm(paths: Paths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bm:
    """`bm("status", "--json")` in this test's home."""

    def run(*words: str, stdin: str = "") -> Ran:
        capsys.readouterr()
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main(list(words))
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture
def simulator(paths: Paths) -> Iterator[Simulator]:
    """Simulated providers, which the configuration of this test's home names."""
    with Simulator() as running:
        paths.config.write_text(
            f'[gemini]\nbase_url = "{running.url}"\n'
            f'[providers.anthropic]\nenabled = true\nmode = "fallback"\nbase_url = "{running.url}"\n'
            f'[providers.groq]\nbase_url = "{running.url}/groq/openai/v1"\n'
        )
        yield running


@pytest.fixture
def http(bm: Bm, paths: Paths, simulator: Simulator) -> Iterator[httpx.Client]:
    """A client of a running daemon with the accounts `first` and `second` in its pool and groq behind them."""
    protocols = 'protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]'
    paths.config.write_text(
        f'[gemini]\nbase_url = "{simulator.url}"\n[providers.groq]\nenabled = true\nmode = "fallback"\n'
        f'base_url = "{simulator.url}/groq/openai/v1"\napi_key = "key-of-the-account-groq"\n{protocols}\n'
    )
    for name in ("first", "second"):
        account = Account(name=name, key=f"key-of-the-account-{name}")
        update(paths.accounts, lambda stored, account=account: stored.add(account))  # type: ignore[misc]
    assert bm("start").code == 0
    daemon = read(paths.runtime)
    assert daemon is not None
    headers = {"x-api-key": load(paths.accounts).local_key}
    with httpx.Client(base_url=daemon.url, headers=headers, timeout=20, trust_env=False) as client:
        yield client

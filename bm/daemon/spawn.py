"""Start a detached daemon, which reports the outcome as one JSON line on its standard output."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Literal

import msgspec

from bm.config.files import open_private
from bm.config.paths import Paths

Cause = Literal["running", "handover", "config", "accounts", "away", "port", "files"]
"""Why a daemon did not start; `running` means another one holds the lock, `handover` that it does not hand over, `away`
that something it needs is not there now."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The report: `ready`, or a cause with its message."""

    ready: bool = False
    cause: Cause | Literal[""] = ""
    message: str = ""


class Report:
    """The daemon's end of the pipe. Errors are ignored: then `bm start` no longer waits."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def to_stdout(cls) -> Report:
        """Reserve standard output for the report; anything else printed is discarded."""
        sys.stdout.flush()
        own = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        return cls(own)

    def ready(self) -> None:
        """Report that the daemon serves, and close the pipe."""
        self._say(Line(ready=True))
        os.close(self._descriptor)

    def failed(self, cause: Cause, message: str) -> None:
        self._say(Line(cause=cause, message=message))

    def _say(self, line: Line) -> None:
        try:
            os.write(self._descriptor, msgspec.json.encode(line) + b"\n")
        except OSError:
            return


_MODULE = "bm.daemon.main"
TAKE_OVER = "--take-over"
"""The argument that makes it start in place of the running daemon."""


class Silence(Exception):
    """The daemon neither became ready nor failed in time, and was killed."""


def spawn(paths: Paths, environ: Mapping[str, str], limit: float, *arguments: str) -> Line | None:
    """Start a daemon and wait until it is ready or has failed; None if it ended without a report.

    Any exception meanwhile, including Ctrl-C, kills the daemon.

    Raises:
        Silence: it took longer than `limit` seconds.
        OSError: the process cannot be started.
    """
    with open_private(paths.log) as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _MODULE, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=paths.config.parent,
            env=_environment(paths, environ),
            start_new_session=True,
            creationflags=_flags(),
        )
    assert process.stdout is not None
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(process.stdout, lines), daemon=True).start()
    try:
        return _outcome(process, lines, limit)
    except BaseException:
        _end(process)
        raise


def _environment(paths: Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with an absolute `BM_HOME`, because the daemon runs in another folder."""
    home = {"BM_HOME": str(paths.config.parent)} if environ.get("BM_HOME") else {}
    return {**environ, **home}


def _flags() -> int:
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return 0


def _pump(source: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    """Put lines in the queue; an empty one marks the end."""
    with source:
        for line in source:
            lines.put(line)
    lines.put(b"")


def _outcome(process: subprocess.Popen[bytes], lines: queue.SimpleQueue[bytes], limit: float) -> Line | None:
    deadline = time.monotonic() + limit
    try:
        if sys.platform != "win32":
            process.wait(limit)  # the daemon is its child and lives on
        text = lines.get(timeout=max(deadline - time.monotonic(), 0))
    except (subprocess.TimeoutExpired, queue.Empty):
        raise Silence from None
    return msgspec.json.decode(text, type=Line) if text else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a daemon with all processes it started: it leads its own process group."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()

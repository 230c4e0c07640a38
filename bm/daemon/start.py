"""Start the daemon, exactly once under concurrent calls, and report why when it fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping

import msgspec

from bm.config.files import is_held
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.client import ask, find
from bm.daemon.log import tail
from bm.daemon.runtime import Daemon
from bm.daemon.service.manager import Unavailable
from bm.daemon.service.supervisor import supervisor
from bm.daemon.spawn import Line, Silence, spawn
from bm.errors import DaemonError

LIMIT = 20.0
"""Seconds a start may take."""
_POLL = 0.05
_LOG_LINES = 8


class StartError(DaemonError):
    """The daemon did not start. `usage` is true if the settings are the reason."""

    def __init__(self, message: str, *, usage: bool = False) -> None:
        self.usage = usage
        super().__init__(message)


class Started(msgspec.Struct, frozen=True):
    """The running daemon; `already` if this call did not start it. `note` is a message for the user."""

    daemon: Daemon
    already: bool
    note: str = ""


def start(paths: Paths, environ: Mapping[str, str] = os.environ, limit: float = LIMIT) -> Started:
    """Start the daemon unless it runs, and wait until it accepts the local key. An installed service starts it.

    Raises:
        StartError: it did not start within `limit` seconds; no process is left.
        ServiceError: the service manager refuses.
    """
    deadline = time.monotonic() + limit
    note = ""
    while True:
        found = find(paths)
        if found and found.answers:
            return Started(found.daemon, already=True)
        try:
            make_folders(paths)
            line, note = _begun(paths, environ, max(deadline - time.monotonic(), 1.0))
        except Silence:
            raise StartError(with_log(f"the daemon did not answer within {limit:g} seconds", paths)) from None
        except OSError as error:
            raise StartError(_unusable(error, paths)) from error
        if line is None:
            raise StartError(with_log("the daemon ended while it was starting", paths))
        if line.ready:
            return Started(verified(paths), already=False, note=note)
        if line.cause != "running":
            raise refused(line)
        _await_other(paths, deadline)


def _begun(paths: Paths, environ: Mapping[str, str], limit: float) -> tuple[Line | None, str]:
    """Start by the service or directly; returns the report and a note for the user."""
    service = supervisor(paths)
    if service is None:
        return spawn(paths, environ, limit), ""
    try:
        return service.begin(paths, limit), ""
    except Unavailable as error:
        return spawn(paths, environ, limit), f"started without its service: {error}"


def _unusable(error: OSError, paths: Paths) -> str:
    place = f"{error.filename or paths.config.parent}: {error.strerror or error}"
    return f"{place} (bm keeps its files there; BM_HOME names another folder for them)"


def refused(line: Line) -> StartError:
    """Why the daemon did not start, as it reports it."""
    return StartError(line.message, usage=line.cause in ("config", "accounts"))


def verified(paths: Paths) -> Daemon:
    """The daemon that has just reported ready, after checking that it accepts the local key."""
    from bm.accounts.credentials import load

    daemon = runtime.read(paths.runtime)
    if daemon is None:
        raise StartError(with_log("the daemon ended as soon as it was ready", paths))
    answer = ask(daemon, "GET", "/admin/status", key=load(paths.accounts).local_key)
    if answer.status != 200:
        raise StartError(f"{daemon.url} is running, but refuses the key in {paths.accounts} (status {answer.status})")
    return daemon


def _await_other(paths: Paths, deadline: float) -> None:
    """Wait until the daemon that holds the lock answers or ends.

    Raises:
        StartError: neither happened in time.
    """
    while time.monotonic() < deadline:
        found = find(paths)
        if found and found.answers:
            return
        if not is_held(paths.lock):
            return
        time.sleep(_POLL)
    present = runtime.read(paths.runtime)
    who = f"the daemon with pid {present.pid}" if present else "another bm process"
    raise StartError(f"{who} has not ended yet and does not answer (`bm stop` ends it)")


def with_log(message: str, paths: Paths) -> str:
    """The message with the end of the log."""
    lines = tail(paths.log, _LOG_LINES)
    return "\n".join([f"{message}; the last lines of {paths.log}:", *(f"  {line}" for line in lines)])


def main(home: str = "") -> int:
    """Start the daemon from a Windows task at login, whose output is not shown. `home` replaces `BM_HOME`."""
    environ = {**os.environ, **({"BM_HOME": home} if home else {})}
    try:
        start(Paths.default(environ), environ)
    except DaemonError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

"""Replace the daemon by a new one: it hands over where it can, else it is stopped and started."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping

import msgspec

from bm.config.paths import Paths
from bm.daemon.client import find
from bm.daemon.runtime import Daemon
from bm.daemon.service.manager import Unavailable
from bm.daemon.service.supervisor import supervisor
from bm.daemon.spawn import TAKE_OVER, Line, Silence, spawn
from bm.daemon.start import LIMIT, Started, StartError, refused, start, verified, with_log
from bm.daemon.stop import Stopped, end_now, stop
from bm.daemon.take_over import PATIENCE


class Restarted(msgspec.Struct, frozen=True):
    """The new daemon, and the earlier one: it has handed over to the new one, or was stopped. `note` says why it did
    not hand over."""

    started: Started
    handed_over: Daemon | None = None
    stopped: Stopped | None = None
    note: str = ""


def restart(
    paths: Paths,
    environ: Mapping[str, str],
    drain: float,
    *,
    now: bool = False,
    waiting: Callable[[float], None] = lambda seconds: None,
) -> Restarted:
    """Start a daemon in place of the running one. Clients notice nothing if that one can hand over.

    Running answers are finished, or ended `now`. If the daemon cannot hand over they get `drain` seconds, and `waiting`
    is called with the seconds waited for them.

    Raises:
        StartError: the new daemon does not start. The running one goes on if it could have handed over.
        DaemonError: the running daemon does not end.
    """
    found = find(paths, PATIENCE)
    reason = "it did not answer" if found else ""
    if found and found.answers:
        reason = _hand_over(paths, environ, found.daemon)
        if not reason:
            if now:
                end_now(found.daemon)
            return Restarted(Started(verified(paths), already=False), handed_over=found.daemon)
    stopped = stop(paths, drain, now=now, waiting=waiting)
    return Restarted(start(paths, environ), stopped=stopped, note=reason)


def _hand_over(paths: Paths, environ: Mapping[str, str], daemon: Daemon) -> str:
    """Start the next daemon, which takes over from the running one; returns why that is impossible."""
    if sys.platform == "win32":
        return "Windows cannot pass sockets between processes"
    try:
        line = _begun(paths, environ, daemon)
    except Silence:
        raise StartError(with_log(f"the new daemon did not answer within {LIMIT:g} seconds", paths)) from None
    if line is None:
        raise StartError(with_log("the new daemon ended while it was starting", paths))
    if line.cause == "handover":
        return line.message
    if not line.ready:
        raise refused(line)
    return ""


def _begun(paths: Paths, environ: Mapping[str, str], daemon: Daemon) -> Line | None:
    """Start by the service or directly."""
    if service := supervisor(paths):
        with contextlib.suppress(Unavailable):
            return service.hand_over(paths, daemon)
    if daemon.foreground:
        # A supervisor would start it again beside the next daemon.
        return Line(cause="handover", message="it runs in the foreground, as under a supervisor")
    return spawn(paths, environ, LIMIT, TAKE_OVER)


def main() -> int:
    """Start the next daemon as a command of its service, which waits for it."""
    try:
        line = spawn(Paths.default(os.environ), os.environ, LIMIT, TAKE_OVER)
    except (Silence, OSError):
        return 1
    return 0 if line and line.ready else 1


if __name__ == "__main__":
    raise SystemExit(main())

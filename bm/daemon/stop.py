"""Stop the daemon: ask it to, give its streams time, and only then insist."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from bm.config.files import LockTimeout, locked
from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.client import Found, NoAnswer, ask, find
from bm.daemon.runtime import Daemon
from bm.daemon.service.supervisor import supervisor
from bm.errors import AccountError, DaemonError

MARGIN = 5.0
"""Seconds a daemon gets beyond its drain limit to close its files."""

_LETS_GO = 2.0
"""Seconds in which the system frees the lock of a process that it has just killed."""

_INSIST = 2.0
_POLL = 0.5
_STEP = 0.01


class Stopped(msgspec.Struct, frozen=True):
    """What became of the daemon: it ended `asked`, ended at a second signal (`hurried`), or was `killed`."""

    daemon: Daemon
    how: Literal["asked", "hurried", "killed"]


def stop(
    paths: Paths, drain: float, *, now: bool = False, waiting: Callable[[float], None] = lambda seconds: None
) -> Stopped | None:
    """Stop the daemon of these paths; None when there is none. Its service, where one is installed, stays stopped too.

    Its streams have `drain` seconds, or none for `now`. `waiting` is called with the seconds waited so far.

    Raises:
        DaemonError: it does not end, or cannot be told from another process.
    """
    found = find(paths)
    if found is None:
        _hold(paths)
        _clear(paths)
        return None
    how = _brought_to_end(paths, found, drain, now, waiting)
    _hold(paths)
    return Stopped(found.daemon, how)


def _hold(paths: Paths) -> None:
    """Leave a service no reason to start the daemon again: it may be between two attempts, or take a kill for a crash.

    Raises:
        DaemonError: its manager refuses.
    """
    if service := supervisor(paths):
        service.hold()


def _brought_to_end(
    paths: Paths, found: Found, drain: float, now: bool, waiting: Callable[[float], None]
) -> Literal["asked", "hurried", "killed"]:
    daemon = found.daemon
    if not (found.answers and _asked(paths, daemon)):
        _signal(daemon, signal.SIGTERM)
    if not now and _ended(paths, daemon, drain + MARGIN, waiting):
        return "asked"
    _signal(daemon, signal.SIGTERM)
    if _ended(paths, daemon, _INSIST, waiting):
        return "hurried"
    _kill(daemon)
    if _ended(paths, daemon, _INSIST, waiting):
        return "killed"
    raise DaemonError(f"the daemon with pid {daemon.pid} does not end")


def _clear(paths: Paths) -> None:
    """Remove what a crash left behind.

    Raises:
        DaemonError: a process that cannot be identified holds the lock.
    """
    if not paths.lock.exists():
        return
    try:
        with locked(paths.lock, timeout=_LETS_GO):
            paths.runtime.unlink(missing_ok=True)
    except LockTimeout:
        raise DaemonError(f"a bm process holds {paths.lock}, but it is still starting: try again") from None


def _asked(paths: Paths, daemon: Daemon) -> bool:
    """Whether the daemon agreed to end. Windows has no signal that a process could answer to."""
    from bm.accounts.credentials import load

    try:
        key = load(paths.accounts).local_key
        return ask(daemon, "POST", "/admin/stop", key=key).status < 300
    except (AccountError, NoAnswer):
        return False


def _signal(daemon: Daemon, number: signal.Signals) -> None:
    """Signal the daemon's process, and no other: pid, start and, where it answers, token must be its own.

    Raises:
        DaemonError: the system does not allow it.
    """
    import psutil

    process = runtime.same_process(daemon)
    if process is None:
        return
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise DaemonError(f"the daemon with pid {daemon.pid} belongs to another user") from None


def _kill(daemon: Daemon) -> None:
    _signal(daemon, getattr(signal, "SIGKILL", signal.SIGTERM))


def _ended(paths: Paths, daemon: Daemon, seconds: float, waiting: Callable[[float], None]) -> bool:
    """Whether the daemon is gone within `seconds`: its lock first, then its process. Its file is removed too."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) <= seconds:
        with contextlib.suppress(LockTimeout), locked(paths.lock, timeout=min(_POLL, seconds)):
            runtime.remove(paths.runtime, daemon)
            if runtime.same_process(daemon) is None:
                return True
        waiting(waited)
        time.sleep(_STEP)
    return False

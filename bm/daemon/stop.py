"""Stop the daemon: ask it to end, wait for its streams, then signal it, then kill it."""

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
"""Seconds beyond the drain limit for the daemon to close its files."""

_RELEASE_WAIT = 2.0
"""Seconds in which the system releases the lock of a killed process."""

_FORCE_WAIT = 2.0
_POLL = 0.5
_STEP = 0.01


class Stopped(msgspec.Struct, frozen=True):
    """How the daemon ended: when `asked`, at a second signal (`hurried`), or `killed`."""

    daemon: Daemon
    how: Literal["asked", "hurried", "killed"]


def stop(
    paths: Paths, drain: float, *, now: bool = False, waiting: Callable[[float], None] = lambda seconds: None
) -> Stopped | None:
    """Stop the daemon of these paths; None if there is none. An installed service stays stopped too.

    Streams get `drain` seconds to finish, or none with `now`. `waiting` is called with the seconds waited so far.

    Raises:
        DaemonError: it does not end, or cannot be identified.
    """
    found = find(paths)
    if found is None:
        _hold(paths)
        _clear(paths)
        return None
    how = _end(paths, found, drain, now, waiting)
    _hold(paths)
    return Stopped(found.daemon, how)


def _hold(paths: Paths) -> None:
    """Stop the service, which may be between two start attempts, or treat a kill as a crash.

    Raises:
        DaemonError: the service manager refuses.
    """
    if service := supervisor(paths):
        service.hold()


def _end(
    paths: Paths, found: Found, drain: float, now: bool, waiting: Callable[[float], None]
) -> Literal["asked", "hurried", "killed"]:
    daemon = found.daemon
    if not (found.answers and _asked(paths, daemon)):
        _signal(daemon, signal.SIGTERM)
    if not now and _ended(paths, daemon, drain + MARGIN, waiting):
        return "asked"
    _signal(daemon, signal.SIGTERM)
    if _ended(paths, daemon, _FORCE_WAIT, waiting):
        return "hurried"
    _kill(daemon)
    if _ended(paths, daemon, _FORCE_WAIT, waiting):
        return "killed"
    raise DaemonError(f"the daemon with pid {daemon.pid} does not end")


def _clear(paths: Paths) -> None:
    """Remove a daemon.json that a crash left.

    Raises:
        DaemonError: an unidentified process holds the lock.
    """
    if not paths.lock.exists():
        return
    try:
        with locked(paths.lock, timeout=_RELEASE_WAIT):
            paths.runtime.unlink(missing_ok=True)
    except LockTimeout:
        raise DaemonError(f"a bm process holds {paths.lock}, but it is still starting: try again") from None


def _asked(paths: Paths, daemon: Daemon) -> bool:
    """Ask the daemon to end; returns whether it agreed. Windows has no signal a process could handle."""
    from bm.accounts.credentials import load

    try:
        key = load(paths.accounts).local_key
        return ask(daemon, "POST", "/admin/stop", key=key).status < 300
    except (AccountError, NoAnswer):
        return False


def _signal(daemon: Daemon, number: signal.Signals) -> None:
    """Send a signal to the daemon's process, identified by pid and start time.

    Raises:
        DaemonError: not permitted.
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


def end_now(daemon: Daemon) -> None:
    """End the running answers of a daemon that has handed over. Two signals of one kind could be taken for one.

    Raises:
        DaemonError: not permitted.
    """
    _signal(daemon, signal.SIGTERM)
    _signal(daemon, signal.SIGINT)


def _kill(daemon: Daemon) -> None:
    _signal(daemon, getattr(signal, "SIGKILL", signal.SIGTERM))


def _ended(paths: Paths, daemon: Daemon, seconds: float, waiting: Callable[[float], None]) -> bool:
    """Wait up to `seconds` for lock and process to be gone, and remove daemon.json; returns whether they are."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) <= seconds:
        with contextlib.suppress(LockTimeout), locked(paths.lock, timeout=min(_POLL, seconds)):
            runtime.remove(paths.runtime, daemon)
            if runtime.same_process(daemon) is None:
                return True
        waiting(waited)
        time.sleep(_STEP)
    return False

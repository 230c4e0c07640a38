"""The installed service that runs the daemon; starting and stopping the daemon go through it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from bm.config.files import is_held, stamp
from bm.config.paths import Paths
from bm.daemon.client import find
from bm.daemon.runtime import Daemon
from bm.daemon.service.manager import Manager, ServiceError, State, Unavailable, Unit, unit_of
from bm.daemon.spawn import Cause, Line, Silence

NOT_STARTED = "not started: "
"""The prefix of the log line that says why the daemon did not start."""
NOT_HANDED_OVER = "not handed over: "
"""The prefix of the one that says why the running daemon did not hand over to it."""

_CAUSES: dict[str, Cause] = {NOT_STARTED: "files", NOT_HANDED_OVER: "handover"}
_POLL = 0.1
_SETTINGS = 2
"""The exit code of a daemon with invalid settings."""


class Supervisor(msgspec.Struct, frozen=True):
    """A manager with an installed service, as its definition says."""

    manager: Manager
    unit: Unit
    content: bytes

    @property
    def interpreter(self) -> str:
        """The Python that the installed definition runs."""
        return self.manager.interpreter(self.content)

    @property
    def problem(self) -> str:
        """The problem with the interpreter and its remedy; empty if there is none."""
        if Path(self.interpreter).exists():
            return ""
        return f"the service runs {self.interpreter or 'an unknown Python'}, which no longer exists: bm service install"

    def begin(self, paths: Paths, limit: float) -> Line | None:
        """Start the service and wait until it answers or has failed; None if it failed without a reason.

        Raises:
            Silence: it took longer than `limit` seconds.
            Unavailable: the manager cannot be reached.
            ServiceError: the manager does not start it.
        """
        self.manager.check()
        if self.problem:
            return Line(cause="files", message=self.problem)
        seen = max(stamp(paths.log).size, 0)
        deadline = time.monotonic() + limit
        self.manager.start(self.unit)
        while time.monotonic() < deadline:
            found = find(paths)
            if found and found.answers:
                return Line(ready=True)
            state = self.manager.state(self.unit)
            if state.failed:
                self.manager.stop(self.unit)
                return _failure(paths, state, seen)
            time.sleep(_POLL)
        self.manager.stop(self.unit)
        raise Silence

    def hand_over(self, paths: Paths, daemon: Daemon) -> Line | None:
        """Replace the running daemon by the next one; None if that failed without a reason.

        Raises:
            Unavailable: the manager cannot be reached.
        """
        self.manager.check()
        title = self.manager.title
        if self.problem:
            return Line(cause="files", message=self.problem)
        if not self.manager.can_hand_over(self.content):
            message = f"{title} cannot start the next daemon beside it"
            if self.manager.can_hand_over(self.manager.definition(self.unit)):
                message = "the service was installed by an earlier bm (bm service install)"
            return Line(cause="handover", message=message)
        if self.manager.state(self.unit).pid != daemon.pid:
            return Line(cause="handover", message=f"{title} does not run the present daemon")
        seen = max(stamp(paths.log).size, 0)
        try:
            self.manager.hand_over(self.unit)
        except ServiceError as error:
            return _logged(paths, seen) or Line(cause="files", message=str(error))
        return Line(ready=True)

    def hold(self) -> None:
        """Keep the manager from starting the daemon again. Does nothing if it cannot be reached.

        Raises:
            ServiceError: it refuses.
        """
        try:
            self.manager.check()
        except Unavailable:
            return
        self.manager.stop(self.unit)


def supervisor(paths: Paths) -> Supervisor | None:
    """The service that runs the daemon of these paths; None if there is none, or if it only starts it at login."""
    manager = this_manager()
    unit = unit_of(paths, {}, 0)
    try:
        content = manager.file(unit).read_bytes()
    except OSError:
        return None
    return Supervisor(manager, unit, content) if manager.supervises else None


def _failure(paths: Paths, state: State, seen: int) -> Line | None:
    """Why it failed, from the log since position `seen`."""
    if is_held(paths.lock):
        return Line(cause="running")
    reason = _logged(paths, seen)
    if reason and state.exit_code == _SETTINGS:
        return msgspec.structs.replace(reason, cause="config")
    return reason


def _logged(paths: Paths, seen: int) -> Line | None:
    """The last reason that the log gives since position `seen`."""
    try:
        with paths.log.open("rb") as log:
            log.seek(seen)
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        for prefix, cause in _CAUSES.items():
            if prefix in line:
                # The log joins the lines of a message by " | ".
                return Line(cause=cause, message=line.partition(prefix)[2].replace(" | ", "\n"))
    return None


def this_manager() -> Manager:
    if sys.platform == "win32":
        from bm.daemon.service.scheduler import Scheduler

        return Scheduler()
    if sys.platform == "darwin":
        from bm.daemon.service.launchd import Launchd

        return Launchd()
    from bm.daemon.service.systemd import Systemd

    return Systemd()

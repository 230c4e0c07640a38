"""User agents of launchd: launchd.plist(5), launchctl(1)."""

from __future__ import annotations

import os
import plistlib
import re
import sys
import time
from collections.abc import Collection
from pathlib import Path
from xml.parsers.expat import ExpatError

from bm.config.paths import in_home
from bm.daemon.service.manager import Manager, State, Unavailable, Unit, run_checked, run_tool

_GONE = 5.0
"""Seconds in which launchd removes an unloaded job."""


class Launchd(Manager):
    """Runs the daemon as a launch agent. launchd reports only the exit code of a failed job."""

    title = "launchd"
    supervises = True
    remedy = "launchctl setenv NAME VALUE after each login, or use file:PATH or keyring:NAME; then bm restart"

    def file(self, unit: Unit) -> Path:
        """The agent's property list. launchd loads the files in this folder at login."""
        return in_home("~") / "Library" / "LaunchAgents" / f"{unit.name}.plist"

    def definition(self, unit: Unit) -> bytes:
        """The property list. A daemon that exits with 0 was stopped and stays stopped; one that fails is restarted,
        at most every ten seconds."""
        return plistlib.dumps(
            {
                "Label": unit.name,
                "ProgramArguments": list(unit.command),
                "EnvironmentVariables": unit.environment,
                "WorkingDirectory": str(unit.folder),
                "RunAtLoad": True,
                "KeepAlive": {"SuccessfulExit": False},
                "ThrottleInterval": 10,
                "ExitTimeOut": unit.grace,
                "ProcessType": "Interactive",
                "Umask": 0o077,
            },
            sort_keys=False,
        )

    def interpreter(self, content: bytes) -> str:
        try:
            return str(plistlib.loads(content)["ProgramArguments"][0])
        except (plistlib.InvalidFileException, ExpatError, LookupError, TypeError):
            return ""

    def check(self) -> None:
        """Check that the user has a graphical session, in which agents run."""
        if run_tool("launchctl", "print", _domain()).code:
            instead = "log in at the screen, or run `bm start` after each login"
            raise Unavailable(f"launchd has no session of yours ({_domain()}): {instead}")

    def register(self, unit: Unit) -> None:
        """Enable the job; `start` or the next login loads it."""
        run_checked("launchctl", "enable", _target(unit))

    def start(self, unit: Unit) -> None:
        """Load the job from its present file and run it."""
        if not self.state(unit).known:
            run_checked("launchctl", "bootstrap", _domain(), str(self.file(unit)))
        run_checked("launchctl", "kickstart", _target(unit))

    def stop(self, unit: Unit) -> None:
        """Unload the job and wait until launchd has done so, which happens after the call."""
        if self.state(unit).known:
            run_tool("launchctl", "bootout", _target(unit))
        limit = time.monotonic() + _GONE
        while self.state(unit).known and time.monotonic() < limit:
            time.sleep(0.1)

    def state(self, unit: Unit) -> State:
        """Parse `launchctl print`. Its output is meant for humans; missing facts are unknown."""
        ran = run_tool("launchctl", "print", _target(unit))
        if ran.code:
            return State(words="not loaded")
        word, pid, code = (_fact(ran.out, name) for name in ("state", "pid", "last exit code"))
        ended = re.match(r"\d+", code)
        return State(
            words=word or "loaded",
            known=True,
            running=word == "running",
            failed=not pid and ended is not None and ended[0] != "0",
            pid=int(pid) if pid.isdigit() else None,
            exit_code=int(ended[0]) if ended else None,
        )

    def when(self) -> str:
        return "when you log in, and ends when you log out"

    def knows(self, unit: Unit, variables: Collection[str]) -> set[str]:
        return {name for name in variables if run_tool("launchctl", "getenv", name).out.strip()}


def _fact(text: str, name: str) -> str:
    """The first fact of that name; facts about parts of the job come later."""
    found = re.search(rf"^\s*{re.escape(name)} = (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _domain() -> str:
    return f"gui/{os.getuid() if sys.platform != 'win32' else 0}"


def _target(unit: Unit) -> str:
    return f"{_domain()}/{unit.name}"

"""launchd's agents of a logged-in person: launchd.plist(5), launchctl(1)."""

from __future__ import annotations

import os
import plistlib
import re
import sys
import time
from collections.abc import Collection
from pathlib import Path
from xml.parsers.expat import ExpatError

from bm.daemon.service.manager import State, Unavailable, Unit, insist, tool

_GONE = 5.0
"""Seconds in which launchd lets go of a job that has been unloaded."""


class Launchd:
    """Runs the daemon as a launch agent. It tells nothing of why a job failed but its exit code."""

    title = "launchd"
    supervises = True
    cure = "launchctl setenv NAME VALUE after each login, or better file:PATH or keyring:NAME; then bm restart"

    def file(self, unit: Unit) -> Path:
        """The agent's property list; launchd loads what is in this folder at each login."""
        return Path.home() / "Library" / "LaunchAgents" / f"{unit.name}.plist"

    def definition(self, unit: Unit) -> bytes:
        """The property list. A daemon that ends with 0 was stopped and is left alone; one that fails is tried again,
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
        """The first of the program's arguments."""
        try:
            return str(plistlib.loads(content)["ProgramArguments"][0])
        except (plistlib.InvalidFileException, ExpatError, LookupError, TypeError):
            return ""

    def check(self) -> None:
        """See whether somebody is logged in at the screen: agents live in that session."""
        if tool("launchctl", "print", _domain()).code:
            instead = "log in at the screen, or run `bm start` after each login"
            raise Unavailable(f"launchd has no session of yours ({_domain()}): {instead}")

    def register(self, unit: Unit) -> None:
        """Allow it; loading is left to `start` and to the next login."""
        insist("launchctl", "enable", _target(unit))

    def forget(self, unit: Unit) -> list[Path]:
        """Unload the job and remove its file."""
        self.stop(unit)
        file = self.file(unit)
        if not file.exists():
            return []
        file.unlink()
        return [file]

    def start(self, unit: Unit) -> None:
        """Load the job, as its file has it now, and run it."""
        if not self.state(unit).known:
            insist("launchctl", "bootstrap", _domain(), str(self.file(unit)))
        insist("launchctl", "kickstart", _target(unit))

    def stop(self, unit: Unit) -> None:
        """Unload the job, which launchd finishes after the call."""
        if self.state(unit).known:
            tool("launchctl", "bootout", _target(unit))
        limit = time.monotonic() + _GONE
        while self.state(unit).known and time.monotonic() < limit:
            time.sleep(0.1)

    def state(self, unit: Unit) -> State:
        """What `launchctl print` tells: it is meant for people, and what is not found in it is unknown."""
        ran = tool("launchctl", "print", _target(unit))
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
        """At login."""
        return "when you log in, and ends when you log out"

    def knows(self, unit: Unit, variables: Collection[str]) -> set[str]:
        """Those of the session."""
        return {name for name in variables if tool("launchctl", "getenv", name).out.strip()}


def _fact(text: str, name: str) -> str:
    """The first fact of that name: those of parts of the job are further down."""
    found = re.search(rf"^\s*{re.escape(name)} = (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _domain() -> str:
    return f"gui/{os.getuid() if sys.platform != 'win32' else 0}"


def _target(unit: Unit) -> str:
    return f"{_domain()}/{unit.name}"

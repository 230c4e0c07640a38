"""The interface of the service managers (systemd, launchd, Task Scheduler), the unit they run, and their tools."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar, NamedTuple

import msgspec

from bm.config.paths import APP_NAME, Paths, is_default
from bm.errors import DaemonError

DESCRIPTION = "Better Manager: a gateway between coding tools and models"

MARGIN = 15.0
"""Seconds beyond the drain limit after which the manager kills the service."""

_FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""Variables that move the platform's folders."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One service. `environment` is all it is given, without secrets; `grace` is its time to end in seconds."""

    name: str
    interpreter: str
    environment: dict[str, str]
    folder: Path
    grace: int

    @property
    def command(self) -> tuple[str, ...]:
        """The command that runs the daemon in the foreground. `-P` excludes modules in its working folder."""
        return (self.interpreter, "-P", "-m", "bm", "start", "--foreground")

    @property
    def variables(self) -> Path:
        """A file of `NAME=value` lines that the user may create, for managers that support one."""
        return self.folder / "service.env"


def name_of(paths: Paths) -> str:
    """The name of the service of these paths; each `BM_HOME` has its own."""
    if is_default(paths):
        return APP_NAME
    return f"{APP_NAME}-{hashlib.sha256(str(paths.config.parent).encode()).hexdigest()[:8]}"


def unit_of(paths: Paths, environ: Mapping[str, str], drain: float) -> Unit:
    """The service of these paths, run by the current Python. `drain` is the time for streams to end, in seconds.

    `PATH` is included for `cmd:` references, because managers use a short one of their own.
    """
    given = {name: environ[name] for name in ("PATH", *_FOLDERS) if environ.get(name)}
    if not is_default(paths):
        given["BM_HOME"] = str(paths.config.parent)
    return Unit(
        name=name_of(paths),
        interpreter=sys.executable,
        environment=dict(sorted(given.items())),
        folder=paths.config.parent,
        grace=round(drain + MARGIN),
    )


_PATIENCE = 120.0
"""Seconds a manager's tool may take; stopping a service waits until it has ended."""


class ServiceError(DaemonError):
    """The service manager refused or failed."""


class Unavailable(ServiceError):
    """This login has no service manager. The message says what to do instead."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a service according to its manager; `words` is the manager's own description.

    `failed`: it has ended by itself, or keeps crashing. `enabled`: it starts by itself, as far as is known. `exit_code`
    is that of its last process.
    """

    words: str
    known: bool = False
    enabled: bool = True
    running: bool = False
    failed: bool = False
    pid: int | None = None
    exit_code: int | None = None


class Manager(ABC):
    """A system's service manager."""

    title: ClassVar[str]
    """Its display name."""
    supervises: ClassVar[bool]
    """Whether it starts and restarts the daemon as its child process. Else it only runs `bm start` at login."""
    remedy: ClassVar[str]
    """How to pass a variable to its services."""

    @abstractmethod
    def file(self, unit: Unit) -> Path:
        """The path of the definition."""

    @abstractmethod
    def definition(self, unit: Unit) -> bytes:
        """The content of the definition."""

    @abstractmethod
    def interpreter(self, content: bytes) -> str:
        """The Python that a definition runs; empty if unknown."""

    @abstractmethod
    def check(self) -> None:
        """Check that the manager can be reached.

        Raises:
            Unavailable: it cannot.
        """

    @abstractmethod
    def register(self, unit: Unit) -> None:
        """Read the definition, which has just been written, and run it at each login from now on.

        Raises:
            ServiceError: it refuses.
        """

    def forget(self, unit: Unit) -> list[Path]:
        """Undo `register` if the manager can be reached, and remove the definition; returns the removed files."""
        self.stop(unit)
        file = self.file(unit)
        if not file.exists():
            return []
        file.unlink()
        return [file]

    @abstractmethod
    def start(self, unit: Unit) -> None:
        """Start it, regardless of earlier failures.

        Raises:
            ServiceError: it cannot be started.
        """

    @abstractmethod
    def stop(self, unit: Unit) -> None:
        """Stop it until it is started again or at the next login.

        Raises:
            ServiceError: it cannot be stopped.
        """

    def can_hand_over(self, content: bytes) -> bool:
        """Whether the service with this definition can be replaced by a new process that takes its sockets over."""
        return False

    def hand_over(self, unit: Unit) -> None:
        """Start the next process, and wait until it serves.

        Raises:
            ServiceError: it does not.
        """
        raise ServiceError(f"{self.title} cannot start the next daemon beside the running one")

    @abstractmethod
    def state(self, unit: Unit) -> State:
        """The state of the service."""

    @abstractmethod
    def when(self) -> str:
        """When it starts, as a phrase to display."""

    @abstractmethod
    def knows(self, unit: Unit, variables: Collection[str]) -> set[str]:
        """The variables that the service has, as far as is known."""


class Ran(NamedTuple):
    """The output and exit code of a tool."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Its message on one line."""
        return " ".join((self.err.strip() or self.out.strip()).split())


def run_tool(*words: str) -> Ran:
    """Run a manager's tool, with output in English.

    Raises:
        Unavailable: the tool is not installed.
        ServiceError: it does not finish in time.
    """
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            env={**os.environ, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"},
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable(f"{words[0]} is not on PATH") from None
    except subprocess.TimeoutExpired:
        raise ServiceError(f"{' '.join(words)} has not ended within {_PATIENCE:g} seconds") from None
    return Ran(done.returncode, done.stdout, done.stderr)


def run_checked(*words: str) -> Ran:
    """Run a tool that must succeed.

    Raises:
        ServiceError: it fails.
    """
    ran = run_tool(*words)
    if ran.code:
        raise ServiceError(f"{' '.join(words)}: {ran.words or f'exit code {ran.code}'}")
    return ran

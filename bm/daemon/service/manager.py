"""What a service runs, whatever the system calls it: the facts that each manager's file is written from."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from bm.config.paths import APP_NAME, Paths
from bm.errors import DaemonError

DESCRIPTION = "Better Manager: a gateway between coding tools and models"

MARGIN = 15.0
"""Seconds that a service gets beyond the drain limit before its manager ends it by force."""

_FOLDERS = ("XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""Where the platform's own folders are, if somebody has moved them."""


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """One service. `environment` is all that it is given, and holds no secret; `grace` is how long it may take to end,
    in seconds."""

    name: str
    interpreter: str
    environment: dict[str, str]
    folder: Path
    grace: int

    @property
    def command(self) -> tuple[str, ...]:
        """The daemon in the foreground. `-P` keeps modules of its working folder out."""
        return (self.interpreter, "-P", "-m", "bm", "start", "--foreground")

    @property
    def variables(self) -> Path:
        """A file of `NAME=value` lines that a person may write, for managers that can read one."""
        return self.folder / "service.env"


def name_of(paths: Paths) -> str:
    """What the service of these paths is called: each `BM_HOME` has its own."""
    if paths == Paths.default({}):
        return APP_NAME
    return f"{APP_NAME}-{hashlib.sha256(str(paths.config.parent).encode()).hexdigest()[:8]}"


def unit_of(paths: Paths, environ: Mapping[str, str], drain: float) -> Unit:
    """The service of these paths, run by the Python that runs now. `drain` is how long streams may take to end.

    `PATH` goes along for the sake of `cmd:` references: managers have a short one of their own.
    """
    given = {name: environ[name] for name in ("PATH", *_FOLDERS) if environ.get(name)}
    if paths != Paths.default({}):
        given["BM_HOME"] = str(paths.config.parent)
    return Unit(
        name=name_of(paths),
        interpreter=sys.executable,
        environment=dict(sorted(given.items())),
        folder=paths.config.parent,
        grace=round(drain + MARGIN),
    )


_PATIENCE = 120.0
"""Seconds one call of a manager's tool may take: to stop a service is to wait for its end."""


class ServiceError(DaemonError):
    """The manager of services did not do what it was asked for."""


class Unavailable(ServiceError):
    """This login has no manager of services; the text says what to do instead."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the manager knows of a service, in its own `words`. `failed`: it has ended by itself, or crashes again and
    again. `enabled`: it starts by itself, as far as the manager tells. `exit_code` is that of its last process."""

    words: str
    known: bool = False
    enabled: bool = True
    running: bool = False
    failed: bool = False
    pid: int | None = None
    exit_code: int | None = None


class Manager(Protocol):
    """One system's way to keep a program running."""

    title: str
    """What people call it."""
    supervises: bool
    """Whether the daemon is its child: then it starts and restarts it. Else it only runs `bm start` at each login."""
    cure: str
    """How a variable is brought to its services."""

    def file(self, unit: Unit) -> Path:
        """Where the definition is."""
        ...

    def definition(self, unit: Unit) -> bytes:
        """The file's content."""
        ...

    def interpreter(self, content: bytes) -> str:
        """The Python that a definition runs; empty when it cannot be told."""
        ...

    def check(self) -> None:
        """See whether it can be asked at all.

        Raises:
            Unavailable: it cannot.
        """
        ...

    def register(self, unit: Unit) -> None:
        """Take over the definition, which has just been written, and run it at each login from now on.

        Raises:
            ServiceError: it does not want to.
        """
        ...

    def forget(self, unit: Unit) -> list[Path]:
        """Undo `register` and remove the definition, as far as the manager can be reached; gives what was removed."""
        ...

    def start(self, unit: Unit) -> None:
        """Begin to run it, however often it has failed before.

        Raises:
            ServiceError: it cannot be started.
        """
        ...

    def stop(self, unit: Unit) -> None:
        """End it, and leave it so until it is started or somebody logs in.

        Raises:
            ServiceError: it cannot be stopped.
        """
        ...

    def state(self, unit: Unit) -> State:
        """How it is."""
        ...

    def when(self) -> str:
        """When it is started, in words."""
        ...

    def knows(self, unit: Unit, variables: Collection[str]) -> set[str]:
        """Which of the variables the service has, as far as it can be told."""
        ...


class Ran(NamedTuple):
    """What a tool printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it said, on one line."""
        return " ".join((self.err.strip() or self.out.strip()).split())


def tool(*words: str) -> Ran:
    """Run a manager's tool, which answers in English.

    Raises:
        Unavailable: there is no such tool.
        ServiceError: it does not come to an end.
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


def insist(*words: str) -> Ran:
    """Run a tool that must succeed.

    Raises:
        ServiceError: it does not.
    """
    ran = tool(*words)
    if ran.code:
        raise ServiceError(f"{' '.join(words)}: {ran.words or f'exit code {ran.code}'}")
    return ran

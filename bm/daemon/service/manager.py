"""What the three managers of services have in common: what they are asked for, and how their tools are run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from bm.daemon.service.unit import Unit
from bm.errors import DaemonError

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


def this_manager() -> Manager:
    """The manager of services of this system."""
    if sys.platform == "win32":
        from bm.daemon.service.scheduler import Scheduler

        return Scheduler()
    if sys.platform == "darwin":
        from bm.daemon.service.launchd import Launchd

        return Launchd()
    from bm.daemon.service.systemd import Systemd

    return Systemd()

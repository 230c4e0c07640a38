"""What a service runs, whatever the system calls it: the facts that each manager's file is written from."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bm.config.paths import APP_NAME, Paths

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

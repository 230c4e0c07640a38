"""What a starting daemon tells the `bm start` that waits for it: one JSON line through the daemon's standard output."""

from __future__ import annotations

import os
import sys
from typing import Literal

import msgspec

Cause = Literal["running", "config", "accounts", "port", "files"]
"""Why a daemon did not start; `running`: another one has the lock."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The line: either `ready` or a cause with its words."""

    ready: bool = False
    cause: Cause | Literal[""] = ""
    message: str = ""


class Report:
    """The daemon's end of the pipe. What goes wrong with it is of no matter: then nobody listens."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def to_stdout(cls) -> Report:
        """Take standard output for the report alone; what others print goes nowhere."""
        sys.stdout.flush()
        own = os.dup(1)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        return cls(own)

    def ready(self) -> None:
        """It serves; nothing follows."""
        self._say(Line(ready=True))
        os.close(self._descriptor)

    def failed(self, cause: Cause, message: str) -> None:
        """It does not start; nothing follows."""
        self._say(Line(cause=cause, message=message))

    def _say(self, line: Line) -> None:
        try:
            os.write(self._descriptor, msgspec.json.encode(line) + b"\n")
        except OSError:
            return

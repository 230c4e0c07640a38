"""daemon.json: which process serves, where, and how to tell it from any other one.

The file outlives a `kill -9` and a reboot, so its word alone counts for nothing: `same_process` and the token that
`/healthz` answers with are what is believed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bm.config.address import reachable, url_of
from bm.config.files import write_private

if TYPE_CHECKING:
    import psutil

CLOCK_SLACK = 2.0
"""Seconds by which two readings of one process' start may differ: the system derives it from an adjusted clock."""


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the daemon. `created` is the process' start as the system tells it, `started_at` bm's own clock;
    both are Unix times. `token` is a secret that only this run and readers of daemon.json know."""

    pid: int
    created: float
    host: str
    port: int
    version: str
    token: str
    started_at: float

    @property
    def address(self) -> str:
        """The host to connect to."""
        return reachable(self.host)

    @property
    def url(self) -> str:
        """Where tools reach it, without a slash at the end."""
        return url_of(self.host, self.port)

    @property
    def fingerprint(self) -> str:
        """What `/healthz` shows of the token."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"Daemon(pid={self.pid!r}, url={self.url!r}, version={self.version!r})"


def read(path: Path) -> Daemon | None:
    """What daemon.json says; None when it is absent or not what bm writes."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Daemon)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write(path: Path, daemon: Daemon) -> None:
    """Say that `daemon` serves.

    Raises:
        OSError: the file cannot be written.
    """
    write_private(path, msgspec.json.format(msgspec.json.encode(daemon)) + b"\n")


def remove(path: Path, daemon: Daemon) -> None:
    """Take the file away, unless another run has written it since.

    Raises:
        OSError: the file cannot be removed.
    """
    present = read(path)
    if present is None or present.token == daemon.token:
        path.unlink(missing_ok=True)


def same_process(daemon: Daemon) -> psutil.Process | None:
    """The process of `daemon`; None when it has ended, even if its pid belongs to another process by now."""
    import psutil

    try:
        process = psutil.Process(daemon.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(process.create_time() - daemon.created) <= CLOCK_SLACK else None
    except (psutil.Error, OverflowError, ValueError):
        return None

"""daemon.json: the running daemon's process, address and identity.

The file survives a `kill -9` and a reboot, so it proves nothing by itself. `same_process` and the proof that
`/healthz` returns for a challenge do.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bm.config.address import reachable, url_of
from bm.config.files import write_private
from bm.errors import UNREADABLE

if TYPE_CHECKING:
    import psutil

CLOCK_SLACK = 2.0
"""Seconds by which two readings of a process's start time may differ: it is derived from an adjusted clock."""


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the daemon.

    `created` is the start of the process according to the system, `started_at` according to bm; both are Unix times.
    `token` is a secret known only to this run and to readers of daemon.json. `foreground` means that the process
    belongs to a terminal or a supervisor. `tls` says that it speaks HTTPS.
    """

    pid: int
    created: float
    host: str
    port: int
    version: str
    token: str
    started_at: float
    foreground: bool = False
    tls: bool = False

    @property
    def address(self) -> str:
        """The host to connect to."""
        return reachable(self.host)

    @property
    def url(self) -> str:
        """The base URL for clients, without a trailing slash."""
        return url_of(self.host, self.port, tls=self.tls)

    def proof(self, challenge: str) -> str:
        """The answer that only this run can give to a challenge."""
        return hmac.new(self.token.encode(), challenge.encode(), hashlib.sha256).hexdigest()

    def permit(self, path: str) -> str:
        """Shows that whoever names a path can read daemon.json. Never equal to a `proof`, which anybody can ask for."""
        return hmac.new(self.token.encode(), path.encode(), hashlib.sha512).hexdigest()

    def __repr__(self) -> str:
        return f"Daemon(pid={self.pid!r}, url={self.url!r}, version={self.version!r})"


def read(path: Path) -> Daemon | None:
    """The content of daemon.json; None if it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Daemon)
    except (OSError, *UNREADABLE):
        return None


def write(path: Path, daemon: Daemon) -> None:
    """Write daemon.json.

    Raises:
        OSError: the file cannot be written.
    """
    write_private(path, msgspec.json.format(msgspec.json.encode(daemon)) + b"\n")


def remove(path: Path, daemon: Daemon) -> None:
    """Remove the file, unless another run has written it since.

    Raises:
        OSError: the file cannot be removed.
    """
    present = read(path)
    if present is None or present.token == daemon.token:
        path.unlink(missing_ok=True)


def same_process(daemon: Daemon) -> psutil.Process | None:
    """The process of `daemon`; None if it has ended, even if another process now has its pid."""
    import psutil

    try:
        process = psutil.Process(daemon.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(process.create_time() - daemon.created) <= CLOCK_SLACK else None
    except (psutil.Error, OverflowError, ValueError):
        return None

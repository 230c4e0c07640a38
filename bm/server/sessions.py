"""Sessions of the dashboard: one-time codes that open them, and what lasts of them over a restart.

A session has two halves. The browser keeps one in a cookie that no script can read; the page keeps the other in its
origin's storage, which no other port sees. Cookies go to every port of a name: alone, that half is of no use to another
server on this machine, nor can another page have a browser act with it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from bm.config.atomic import write_private
from bm.config.paths import Paths
from bm.errors import Failure, RequestError

CODE_LASTS: Final = 300.0
"""Seconds in which a code must be used."""

LASTS: Final = 30 * 86_400
"""Seconds after which a session ends."""

MOST: Final = 20
"""Sessions, and codes, that are kept; the oldest go first."""


class Session(NamedTuple):
    """The two halves, as the browser shows them; empty where it has none."""

    browser: str
    page: str


class _Code(msgspec.Struct):
    ends: float
    opened: str = ""


class Sessions:
    """Codes and sessions of one daemon. The file holds digests made with the local key, so a new key ends them all."""

    def __init__(self, path: Path, local_key: Callable[[], str], clock: Callable[[], float] = time.time) -> None:
        self._path, self._key, self._clock = path, local_key, clock
        self._codes: dict[str, _Code] = {}
        self._ends: dict[str, float] = _read(path)

    def new_code(self) -> str:
        """A code that opens one session."""
        code = secrets.token_urlsafe(24)
        self._codes[self._digest(code)] = _Code(self._clock() + CODE_LASTS)
        while len(self._codes) > MOST:
            del self._codes[next(iter(self._codes))]
        return code

    def redeem(self, code: str) -> Session:
        """The session that a code opens.

        A code that comes twice was seen by somebody else: on its way to a browser it stands in a command line. The
        session that it has opened ends then, whoever was the first.

        Raises:
            RequestError: the code is unknown, has ended or was used.
        """
        found = self._codes.get(self._digest(code))
        if found is None or self._clock() >= found.ends:
            raise _refused("this address is too old or was never bm's: run bm dashboard again")
        if found.opened:
            self._ends.pop(found.opened, None)
            raise _refused("this address was used before, so the session it opened has ended: run bm dashboard again")
        session = self.open()
        found.opened = self._digest(*session)
        return session

    def open(self) -> Session:
        """A new session."""
        session = Session(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        now = self._clock()
        self._ends = {digest: ends for digest, ends in self._ends.items() if now < ends}
        self._ends[self._digest(*session)] = now + LASTS
        while len(self._ends) > MOST:
            del self._ends[next(iter(self._ends))]
        return session

    def admits(self, session: Session) -> bool:
        """Whether both halves are those of a session that lasts."""
        return self._clock() < self._ends.get(self._digest(*session), 0.0)

    def end(self, session: Session) -> None:
        """Let it count no more."""
        self._ends.pop(self._digest(*session), None)

    def write(self) -> None:
        """Keep the sessions for the next run. Blocks.

        Raises:
            OSError: the file cannot be written.
        """
        write_private(self._path, msgspec.json.encode(self._ends))

    def _digest(self, *parts: str) -> str:
        return hmac.new(self._key().encode(), " ".join(parts).encode(), hashlib.sha256).hexdigest()


def sessions_path(paths: Paths) -> Path:
    """Where the file is: beside the ledger."""
    return paths.ledger.with_name("sessions.json")


def _read(path: Path) -> dict[str, float]:
    """What the last run kept; nothing when the file is absent or not what bm writes."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _refused(message: str) -> RequestError:
    return RequestError(Failure(kind="unauthorized", message=message))

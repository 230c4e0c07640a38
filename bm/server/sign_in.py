"""Sessions of the dashboard: one-time codes that open them, and what lasts of them over a restart.

A session has two halves. The browser keeps one in a cookie that no script can read; the page keeps the other in its
origin's storage, which no other port sees. Cookies go to every port of a name: alone, that half is of no use to another
server on this machine, nor can another page have a browser act with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bm.chat.parts import Json
from bm.config.files import write_private
from bm.config.paths import Paths
from bm.errors import BmError, Failure, RequestError
from bm.gateway.services import Services
from bm.server.asgi import Handler, JsonResponse
from bm.server.guard import Guard

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


HALF = "x-bm-session"
"""The header with the page's half of a session."""


class Admission:
    """Lets callers in, and tells them what is wrong with their question."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services, self._sessions = services, sessions

    def keyed(self, handler: Handler) -> Handler:
        """Only for callers who hold the key."""
        return self._guarded(handler, lambda request, guard: guard.admits(request.headers))

    def shown(self, handler: Handler) -> Handler:
        """For callers who hold the key, and for the dashboard."""

        def admits(request: Request, guard: Guard) -> bool:
            return guard.admits(request.headers) or self._sessions.admits(session_of(request))

        return self._guarded(handler, admits)

    def open(self, handler: Handler) -> Handler:
        """For callers who are about to show what they hold."""
        return self._guarded(handler, lambda request, guard: True)

    @property
    def asks_for_key(self) -> bool:
        """Whether the key is needed at all."""
        return not self._guard().open

    def admits_key(self, key: str) -> bool:
        """Whether it is the daemon's key."""
        return self._guard().admits({"x-api-key": key})

    def _guard(self) -> Guard:
        settings = self._services.settings
        return Guard(settings.config.server, settings.local_key)

    def _guarded(self, handler: Handler, admits: Callable[[Request, Guard], bool]) -> Handler:
        async def checked(request: Request) -> Response:
            guard = self._guard()
            if (foreign := guard.foreign(request.headers)) is not None:
                return JsonResponse({"error": foreign.message}, 403)
            if request.method not in ("GET", "HEAD") and not is_own_page(request.headers):
                return JsonResponse({"error": "only bm's own page may change anything from within a browser"}, 403)
            if not admits(request, guard):
                return JsonResponse({"error": "the key is not this daemon's"}, 401)
            try:
                return await handler(request)
            except RequestError as error:
                return JsonResponse({"error": str(error)}, error.failure.http_status)
            except (BmError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                return JsonResponse({"error": str(error)}, 400)

        return checked


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from the daemon's own page or from no page at all.

    Pages of other servers on this machine are of the same *site* to a browser, whatever their port, so neither
    `SameSite` nor the guard's look at the name in `Origin` keeps them from posting here. Browsers send `Origin` with
    every request that is not GET or HEAD (fetch.spec.whatwg.org, "append a request Origin header").
    """
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def session_of(request: Request) -> Session:
    """What the request shows of a session: the browser's half and the page's."""
    return Session(request.cookies.get(cookie_name(request), ""), request.headers.get(HALF, ""))


def cookie_name(request: Request) -> str:
    """Browsers keep one set of cookies for all ports of a name, so the port is part of the cookie's name."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"bm_session_{port if port.isdecimal() else 80}"


LARGEST: Final = 4096
"""Bytes that are read of somebody who has shown nothing yet."""

_log = logging.getLogger("bm")


class _Shown(msgspec.Struct, forbid_unknown_fields=True):
    code: str = ""
    key: str = ""


class SignIn:
    """Answers of `/admin/session`."""

    def __init__(self, sessions: Sessions, admission: Admission) -> None:
        self._sessions, self._admission = sessions, admission

    async def code(self, request: Request) -> Json:
        """A code that opens one session within so many seconds; None where no key is asked for."""
        return {"code": self._sessions.new_code() if self._admission.asks_for_key else None, "seconds": CODE_LASTS}

    async def enter(self, request: Request) -> Response:
        """A session for a code or the key. The cookie holds the browser's half, the body the page's.

        Raises:
            RequestError: neither is right.
        """
        shown = msgspec.json.decode(await _short_body(request), type=_Shown)
        if shown.code:
            try:
                session = self._sessions.redeem(shown.code)
            except RequestError as error:
                _log.warning("a browser was not let in to the dashboard: %s", error)
                await self._keep()
                raise
        elif shown.key and self._admission.admits_key(shown.key):
            session = self._sessions.open()
        else:
            message = "this is not the daemon's key: bm env prints it"
            raise RequestError(Failure(kind="unauthorized", message=message))
        _log.info("a browser has signed in to the dashboard by %s", "a code" if shown.code else "the key")
        self._sessions.end(session_of(request))
        await self._keep()
        answer = JsonResponse({"session": session.page})
        answer.set_cookie(
            cookie_name(request), session.browser, max_age=LASTS, path="/admin", httponly=True, samesite="strict"
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """End the session that the request shows, if it shows one."""
        self._sessions.end(session_of(request))
        await self._keep()
        answer = JsonResponse({"ended": True})
        answer.delete_cookie(cookie_name(request), path="/admin", httponly=True, samesite="strict")
        return answer

    async def _keep(self) -> None:
        try:
            await asyncio.to_thread(self._sessions.write)
        except OSError as error:
            _log.warning("the dashboard's sessions cannot be kept over a restart: %s", error)


async def _short_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST:
            raise RequestError(Failure(kind="too_large", message="this is no code and no key", status=413))
    return body

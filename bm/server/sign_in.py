"""Sign-in to the dashboard: one-time codes, sessions, and which requests to the admin app are allowed.

A session has two halves. The browser keeps one in a cookie that scripts cannot read; the page keeps the other in the
storage of its origin, which other ports cannot read. Browsers send a cookie to every port of a host, so the cookie
alone must be useless to other servers on this machine and to pages that make a browser send it.
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
from bm.errors import UNREADABLE, BmError, Failure, RequestError
from bm.gateway.services import Services
from bm.server.asgi import Handler, JsonResponse
from bm.server.guard import Guard, guard_of

CODE_LASTS: Final = 300.0
"""Seconds for which a code is valid."""

SESSION_LASTS: Final = 30 * 86_400
"""Seconds for which a session is valid."""

MOST: Final = 20
"""The number of sessions, and of codes, that are kept; the oldest are removed first."""

PAGE_HALF: Final = "x-bm-session"
"""The header with the page's half of a session."""

_LARGEST: Final = 4096
"""Bytes read from a client that is not signed in."""

_log = logging.getLogger("bm")


class Session(NamedTuple):
    """The two halves of a session as a request contains them; a missing half is empty."""

    browser: str
    page: str


class _Code(msgspec.Struct):
    ends: float
    opened: str = ""


class Sessions:
    """Codes and sessions of one daemon. The file holds digests made with the local key; a new key ends all sessions."""

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
        """Open a session by a code.

        A code that is used twice was read by another process, because it is part of a command line on its way to the
        browser. Therefore the second use ends the session opened by the first.

        Raises:
            RequestError: the code is unknown, has expired or was used before.
        """
        found = self._codes.get(self._digest(code))
        if found is None or self._clock() >= found.ends:
            raise _refused("this address is too old or not from bm: run bm dashboard again")
        if found.opened:
            self._ends.pop(found.opened, None)
            raise _refused("this address was used before, so its session has ended: run bm dashboard again")
        session = self.open()
        found.opened = self._digest(*session)
        return session

    def open(self) -> Session:
        session = Session(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        now = self._clock()
        self._ends = {digest: ends for digest, ends in self._ends.items() if now < ends}
        self._ends[self._digest(*session)] = now + SESSION_LASTS
        while len(self._ends) > MOST:
            del self._ends[next(iter(self._ends))]
        return session

    def admits(self, session: Session) -> bool:
        """Whether both halves are those of a valid session."""
        return self._clock() < self._ends.get(self._digest(*session), 0.0)

    def end(self, session: Session) -> None:
        self._ends.pop(self._digest(*session), None)

    def write(self) -> None:
        """Save the sessions for the next run. Blocks.

        Raises:
            OSError: the file cannot be written.
        """
        write_private(self._path, msgspec.json.encode(self._ends))

    def _digest(self, *parts: str) -> str:
        return hmac.new(self._key().encode(), " ".join(parts).encode(), hashlib.sha256).hexdigest()


def sessions_path(paths: Paths) -> Path:
    """The path of sessions.json, next to the ledger."""
    return paths.ledger.with_name("sessions.json")


def _read(path: Path) -> dict[str, float]:
    """The saved sessions; empty if the file is missing or damaged, which the log reports."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, float])
    except FileNotFoundError:
        return {}
    except (OSError, *UNREADABLE):
        _log.warning("%s cannot be read: sign in to the dashboard again (bm dashboard)", path)
        return {}


def _refused(message: str) -> RequestError:
    return RequestError(Failure(kind="unauthorized", message=message))


class Admission:
    """Wraps handlers of the admin app: checks who may call them, and turns errors into responses."""

    def __init__(self, services: Services, sessions: Sessions) -> None:
        self._services, self._sessions = services, sessions

    def keyed(self, handler: Handler) -> Handler:
        """Require the key."""
        return self._guarded(handler, lambda request, guard: guard.admits(request.headers))

    def shown(self, handler: Handler) -> Handler:
        """Require the key or a session of the dashboard."""

        def admits(request: Request, guard: Guard) -> bool:
            return guard.admits(request.headers) or self._sessions.admits(session_of(request))

        return self._guarded(handler, admits)

    def open(self, handler: Handler) -> Handler:
        """Require neither key nor session, as for signing in."""
        return self._guarded(handler, lambda request, guard: True)

    @property
    def requires_key(self) -> bool:
        """Whether the daemon requires its key."""
        return not self._guard().open

    def admits_key(self, key: str) -> bool:
        """Whether `key` is the daemon's key."""
        return self._guard().admits({"x-api-key": key})

    def _guard(self) -> Guard:
        return guard_of(self._services.settings)

    def _guarded(self, handler: Handler, admits: Callable[[Request, Guard], bool]) -> Handler:
        async def checked(request: Request) -> Response:
            guard = self._guard()
            if (foreign := guard.foreign(request.headers)) is not None:
                return JsonResponse({"error": foreign.message}, 403)
            if request.method not in ("GET", "HEAD") and not is_own_page(request.headers):
                return JsonResponse({"error": "a browser may change something only from bm's own page"}, 403)
            if not admits(request, guard):
                key = guard.caller(request.headers)
                if key is not None:
                    message = f"the key {key.name} opens the model APIs only: administration takes bm's own key"
                    return JsonResponse({"error": message}, 403)
                return JsonResponse({"error": "the key is not the daemon's"}, 401)
            try:
                return await handler(request)
            except RequestError as error:
                return JsonResponse({"error": str(error)}, error.failure.http_status)
            except (BmError, *UNREADABLE) as error:
                return JsonResponse({"error": str(error)}, 400)

        return checked


def is_own_page(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from the daemon's own page, or not from a page at all.

    To a browser, pages of other servers on this machine are of the same *site* regardless of their port, so neither
    `SameSite` nor the guard's check of the host in `Origin` keeps them from posting here. Browsers send `Origin` with
    every request other than GET and HEAD (fetch.spec.whatwg.org, "append a request Origin header").
    """
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def session_of(request: Request) -> Session:
    """The halves of a session that a request contains."""
    return Session(request.cookies.get(cookie_name(request), ""), request.headers.get(PAGE_HALF, ""))


def cookie_name(request: Request) -> str:
    """The name of the cookie. It contains the port, because browsers share cookies among all ports of a host."""
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"bm_session_{port if port.isdecimal() else 80}"


class _Shown(msgspec.Struct, forbid_unknown_fields=True):
    code: str = ""
    key: str = ""


class SignIn:
    """The handlers of `/admin/session`."""

    def __init__(self, sessions: Sessions, admission: Admission) -> None:
        self._sessions, self._admission = sessions, admission

    async def code(self, request: Request) -> Json:
        """A code that opens one session, and the seconds for which it is valid; None if no key is required."""
        return {"code": self._sessions.new_code() if self._admission.requires_key else None, "seconds": CODE_LASTS}

    async def enter(self, request: Request) -> Response:
        """Open a session by a code or the key. The cookie contains the browser's half, the body the page's half.

        Raises:
            RequestError: the code or key is wrong.
        """
        shown = msgspec.json.decode(await _short_body(request), type=_Shown)
        if shown.code:
            try:
                session = self._sessions.redeem(shown.code)
            except RequestError as error:
                _log.warning("a browser was refused at the dashboard: %s", error)
                await self._keep()
                raise
        elif shown.key and self._admission.admits_key(shown.key):
            session = self._sessions.open()
        else:
            message = "this is not the daemon's key; bm env prints it"
            raise RequestError(Failure(kind="unauthorized", message=message))
        _log.info("a browser has signed in to the dashboard with %s", "a code" if shown.code else "the key")
        self._sessions.end(session_of(request))
        await self._keep()
        answer = JsonResponse({"session": session.page})
        name = cookie_name(request)
        answer.set_cookie(name, session.browser, SESSION_LASTS, path="/admin", httponly=True, samesite="strict")
        return answer

    async def leave(self, request: Request) -> Response:
        """End the session of the request, if any."""
        self._sessions.end(session_of(request))
        await self._keep()
        answer = JsonResponse({"ended": True})
        answer.delete_cookie(cookie_name(request), path="/admin", httponly=True, samesite="strict")
        return answer

    async def _keep(self) -> None:
        try:
            await asyncio.to_thread(self._sessions.write)
        except OSError as error:
            _log.warning("the sessions of the dashboard cannot be saved: %s", error)


async def _short_body(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            raise RequestError(Failure(kind="too_large", message="this is neither a code nor a key", status=413))
    return body

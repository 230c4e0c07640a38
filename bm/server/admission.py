"""Who may use the daemon's own paths: holders of the key, and the dashboard for what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bm.errors import BmError, RequestError
from bm.gateway.services import Services
from bm.server.answer import Handler, Json
from bm.server.guard import Guard
from bm.server.sessions import Session, Sessions

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
                return Json({"error": foreign.message}, 403)
            if request.method not in ("GET", "HEAD") and not is_own_page(request.headers):
                return Json({"error": "only bm's own page may change anything from within a browser"}, 403)
            if not admits(request, guard):
                return Json({"error": "the key is not this daemon's"}, 401)
            try:
                return await handler(request)
            except RequestError as error:
                return Json({"error": str(error)}, error.failure.http_status)
            except (BmError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                return Json({"error": str(error)}, 400)

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

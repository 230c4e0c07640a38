"""How a browser comes to a session of the dashboard, and how it gives it up."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bm.chat.parts import Json as Document
from bm.errors import Failure, RequestError
from bm.server.admission import Admission, cookie_name, session_of
from bm.server.answer import Json
from bm.server.sessions import CODE_LASTS, LASTS, Sessions

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

    async def code(self, request: Request) -> Document:
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
        answer = Json({"session": session.page})
        answer.set_cookie(
            cookie_name(request), session.browser, max_age=LASTS, path="/admin", httponly=True, samesite="strict"
        )
        return answer

    async def leave(self, request: Request) -> Response:
        """End the session that the request shows, if it shows one."""
        self._sessions.end(session_of(request))
        await self._keep()
        answer = Json({"ended": True})
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

"""How the daemon's own paths answer: JSON that no cache keeps and no browser takes for anything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

Handler = Callable[[Request], Awaitable[Response]]

_HEADERS: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Json(Response):
    """A JSON answer."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200) -> None:
        super().__init__(content, status_code, _HEADERS)

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return msgspec.json.encode(content)


def told(answer: Callable[[Request], Awaitable[Any]]) -> Handler:
    """A handler that answers with what `answer` returns."""

    async def handler(request: Request) -> Response:
        return Json(await answer(request))

    return handler

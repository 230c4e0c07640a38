"""Questions that a person asks on the page: requests like those of tools, allowed by the session instead of the key."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bm.gateway.services import Services
from bm.names import ANTHROPIC, PATHS
from bm.server.app import App
from bm.server.asgi import JsonResponse
from bm.server.sign_in import Admission

USER_AGENT: Final = "bm-dashboard"

_KEPT: Final = (b"host", b"content-type", b"content-length")
"""Headers of the browser that the request keeps. Cookies and the session are no one else's business."""


class Playground:
    """Serves `/admin/ask`: a request of Anthropic's Messages API, answered as the daemon answers those."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._app = App(services, _nothing)

    def routes(self, admission: Admission) -> list[Route]:
        return [Route("/admin/ask", admission.shown(self.ask), methods=["POST"])]

    async def ask(self, request: Request) -> Response:
        """The answer of the model API, which reads the body itself."""
        return _Answer(self._app, self._services.settings.local_key)


class _Answer(Response):
    def __init__(self, app: ASGIApp, key: str) -> None:
        super().__init__()
        self._app, self._key = app, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = PATHS[ANTHROPIC, "generate"]
        headers = [(name, value) for name, value in scope["headers"] if name in _KEPT]
        headers += [(b"x-api-key", self._key.encode()), (b"user-agent", USER_AGENT.encode())]
        headers += [(b"anthropic-version", b"2023-06-01")]
        asked = {"path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
        await self._app({**scope, **asked}, receive, send)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The application of the model API passes other paths on; there are none here."""
    await JsonResponse({"error": "there is no such path here"}, 404)(scope, receive, send)

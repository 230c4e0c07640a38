"""The application: serves the model APIs itself, and passes the other paths to the admin app.

Calls of models come straight from the HTTP protocol (`direct`), all else by ASGI.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from bm.chat.parts import Json
from bm.errors import Failure, RequestError
from bm.gateway import stored
from bm.gateway.call import Call, Client, check_model, conversation_of, json_object, new_id, read_head
from bm.gateway.exchange import serve
from bm.gateway.fault import own_fault
from bm.gateway.reply import error_headers
from bm.gateway.services import Services
from bm.keys.key import MAIN
from bm.names import ProtocolName
from bm.protocols import interactions
from bm.protocols.outline import outline_of
from bm.protocols.reading import string_of
from bm.protocols.registry import CODECS
from bm.server import cors
from bm.server.asgi import AsgiClient, ClientGone, Cut, declares_more
from bm.server.direct import DirectClient
from bm.server.guard import guard_of
from bm.server.interactions import InteractionsClient
from bm.server.routes import (
    InteractionsRoute,
    ModelsRoute,
    Probe,
    Route,
    StoredRoute,
    caller,
    find,
    wants_array,
    without_key,
)
from bm.server.websocket import Connection
from bm.surrogates import without_halves
from bm.upstream.headers import Headers

_log = logging.getLogger("bm.requests")
_ADMIN = ("/admin/", "/healthz", "/readyz", "/metrics")
"""Path prefixes of the admin app."""


class App:
    """The application of one daemon. `admin` serves the paths that belong to no model API."""

    def __init__(self, services: Services, admin: ASGIApp) -> None:
        self._services, self._admin = services, admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await Connection(self._services, scope, receive, send).serve()
            return
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(_ADMIN) or (path == "/" and scope["method"] == "GET"):
            await self._admin(scope, receive, send)
            return
        client, query = AsgiClient(receive, send), scope["query_string"].decode("latin-1")
        await _Request(self._services, scope["method"], path, query, _decoded(scope["headers"])).serve(client)
        if client.is_cut:
            raise Cut

    def direct(self, method: str, path: str, query: str, headers: list[tuple[bytes, bytes]]) -> _Request | None:
        """The call of a model in a request; None if it is something else, which is asked by ASGI."""
        if method != "POST" or path.startswith(_ADMIN):
            return None
        request = _Request(self._services, method, path, query, _decoded(headers))
        return request if request.calls_model else None


def _decoded(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


class _Request:
    """One request to a model API."""

    _client: AsgiClient | DirectClient

    def __init__(self, services: Services, method: str, path: str, query: str, headers: Headers) -> None:
        self._services = services
        self._method, self._path, self._query, self._headers = method, path, query, headers
        self._by_name: Mapping[str, str] = dict(reversed(headers))
        self._id = new_id("req_")
        self._preflight = cors.is_preflight(self._method, self._by_name)
        asked = self._by_name["access-control-request-method"] if self._preflight else self._method
        found = self._found = find(asked, self._path, self._by_name)
        self._key = MAIN
        self._protocol: ProtocolName = getattr(found, "protocol", None) or caller(self._by_name, self._path)

        self._refusal = self._refused_for()

    @property
    def calls_model(self) -> bool:
        return isinstance(self._found, Route)

    @property
    def refused(self) -> bool:
        """Whether the head is reason enough to refuse the request."""
        return self._refusal is not None or declares_more(self._by_name, self.limit_mb)

    @property
    def limit_mb(self) -> int:
        """The largest body, in MiB."""
        return self._services.config.server.max_body_mb

    def left(self) -> None:
        """The client has left before its request was complete."""
        _log.info("%s %s %s: the client left before its request was complete", self._id, self._method, self._path)

    async def serve(self, client: AsgiClient | DirectClient) -> None:
        """Answer the request. Errors are sent in the caller's protocol and logged on one line."""
        self._client = client
        client.headers = cors.headers_for(self._services.config.server, self._headers)
        try:
            await self._answer()
        except RequestError as error:
            await self._refuse(error.failure)
        except ClientGone:
            self.left()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the client gets an answer
            own_fault(error)
            _log.error("%s %s %s: ended by the internal error above", self._id, self._method, self._path)
            if self._client.status:
                await self._client.cut()
                return
            await self._refuse(
                Failure(kind="server", message="internal error of bm; see `bm logs`", status=500, should_retry=False)
            )

    async def _answer(self) -> None:
        found = self._found
        if self._refusal is not None:
            raise RequestError(self._refusal)
        if self._preflight:
            await self._client.respond(204, cors.preflight(self._by_name), b"")
            return
        match found:
            case Failure():
                raise RequestError(found)
            case Probe():
                await self._client.respond(200, [("content-type", "application/json")], b"{}")
            case ModelsRoute():
                body = await self._services.models.listing(found.protocol, found.model, self._query, self._key)
                await self._json(200, body)
            case StoredRoute():
                about = (found.response, found.action, self._query)
                await self._services.responses.recall(found.response)
                await self._json(200, await stored.answer(self._services, self._method, *about))
            case InteractionsRoute(name=name) if name:
                whole, _ = await self._interaction(name, "")
                if self._method == "DELETE":
                    self._services.interactions.drop(name)
                await self._json(200, {} if self._method == "DELETE" else whole)
            case InteractionsRoute():
                await self._interact()
            case Route():
                await self._call(found)

    def _refused_for(self) -> Failure | None:
        """What is wrong with the head of the request, if anything is."""
        guard = guard_of(self._services.settings)
        if (foreign := guard.foreign(self._by_name, api=True)) is not None:
            return foreign
        if isinstance(self._found, Probe) or self._preflight:
            return None
        key = guard.caller(self._by_name, self._query)
        if key is None:
            message = "the key is not the daemon's; `bm env` prints the right settings for each tool"
            return Failure(kind="unauthorized", message=message, should_retry=False)
        self._key = key
        return key.expired(time.time())

    async def _call(self, route: Route) -> None:
        body = without_halves(await self._client.read(self._by_name, self.limit_mb))
        outline = outline_of(body) if route.protocol == "anthropic" else None
        head = read_head(body, needs_model=not route.model, outline=outline)
        check_model(route.model)
        streams = bool(head.stream) if route.streams is None else route.streams
        call = Call(
            id=self._id,
            protocol=route.protocol,
            operation=route.operation,
            headers=self._headers,
            body=body,
            model=route.model or head.model,
            stream=streams,
            path=quote(self._path, safe="/:"),
            query=without_key(self._query),
            version=route.version,
            array=route.protocol == "gemini" and streams and wants_array(self._query),
            conversation=conversation_of(head, self._by_name),
            outline=outline,
            key=self._key.name,
        )
        await self._run(call, self._client)

    async def _interaction(self, name: str, param: str) -> tuple[Json, list[Json]]:
        await self._services.interactions.recall(name)
        if (kept := self._services.interactions.get(name)) is None:
            raise RequestError(Failure(kind="not_found", message=f"there is no interaction {name}", param=param))
        return kept

    async def _interact(self) -> None:
        """Serve an interaction as a request to generate."""
        body = without_halves(await self._client.read(self._by_name, self.limit_mb))
        given = json_object(body)
        earlier: list[Json] = []
        if name := string_of(given.get("previous_interaction_id")):
            whole, before = await self._interaction(name, "previous_interaction_id")
            earlier = [*before, *whole["steps"]]
        asked = interactions.decode(given, earlier)
        document = msgspec.json.encode(asked.body)
        call = Call(
            id=self._id,
            protocol="gemini",
            operation="generate",
            headers=self._headers,
            body=document,
            model=asked.model,
            stream=asked.stream,
            path=quote(self._path, safe="/:"),
            query="alt=sse" if asked.stream else "",
            version="v1beta",
            conversation=conversation_of(read_head(document, needs_model=False), self._by_name),
            losses=asked.losses,
            key=self._key.name,
        )
        own = new_id("int_")

        async def keep(interaction: Json) -> None:
            if given.get("store") is not False:
                self._services.interactions.keep(interaction, asked.steps)
            if self._services.elsewhere is not None:
                await self._services.elsewhere.settled()

        await self._run(call, InteractionsClient(self._client, interactions.Writer(own, asked.model), keep))

    async def _run(self, call: Call, client: Client) -> None:
        """Run the call. If the client disconnects, it is cancelled together with its upstream request."""
        await self._client.while_there(serve(self._services, call, client))

    async def _refuse(self, failure: Failure) -> None:
        status, body = CODECS[self._protocol].encode_error(failure, self._id)
        if isinstance(self._found, InteractionsRoute):
            body = {"error": interactions.error_object(body["error"])}
        _log.info("%s %s %s %d %s: %s", self._id, self._method, self._path, status, failure.kind, failure.message)
        await self._json(status, body, error_headers(failure))

    async def _json(self, status: int, body: Json, headers: Headers | None = None) -> None:
        head = [("content-type", "application/json"), ("x-bm-request-id", self._id), *(headers or [])]
        if self._protocol == "anthropic":
            head.append(("request-id", self._id))
        await self._client.respond(status, head, b"" if self._method == "HEAD" else msgspec.json.encode(body))

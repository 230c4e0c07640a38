"""The ASGI application: serves the model APIs itself, and passes the other paths to the admin app.

A plain ASGI callable costs a third of a Starlette endpoint with a StreamingResponse, but must itself watch for clients
that disconnect: a response that is not read would continue to use quota.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from urllib.parse import quote

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from bm.chat.parts import Json
from bm.chat.surrogates import without_halves
from bm.errors import Failure, RequestError
from bm.gateway import stored
from bm.gateway.call import Call, Client, check_model, conversation_of, json_object, new_id, read_head
from bm.gateway.exchange import Exchange
from bm.gateway.fault import own_fault
from bm.gateway.reply import error_headers
from bm.gateway.services import Services
from bm.keys.key import MAIN
from bm.names import ProtocolName
from bm.protocols import interactions
from bm.protocols.reading import string_of
from bm.protocols.registry import CODECS
from bm.server import cors
from bm.server.asgi import AsgiClient, ClientGone, Cut, read_body
from bm.server.guard import guard_of
from bm.server.interactions import InteractionsClient
from bm.server.routes import (
    Found,
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
from bm.tasks import spawn
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
        headers: Headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        shared = cors.headers_for(self._services.config.server, headers)
        await _Request(self._services, scope, headers, AsgiClient(send, shared)).serve(receive)


class _Request:
    """One request to a model API."""

    def __init__(self, services: Services, scope: Scope, headers: Headers, client: AsgiClient) -> None:
        self._services, self._client = services, client
        self._method: str = scope["method"]
        self._path: str = scope["path"]
        self._query: str = scope["query_string"].decode("latin-1")
        self._headers = headers
        self._by_name: Mapping[str, str] = dict(reversed(headers))
        self._id = new_id("req_")
        self._preflight = cors.is_preflight(self._method, self._by_name)
        asked = self._by_name["access-control-request-method"] if self._preflight else self._method
        found = self._found = find(asked, self._path, self._by_name)
        self._key = MAIN
        self._protocol: ProtocolName = getattr(found, "protocol", None) or caller(self._by_name, self._path)

    async def serve(self, receive: Receive) -> None:
        """Answer the request. Errors are sent in the caller's protocol and logged on one line."""
        try:
            await self._answer(receive)
        except RequestError as error:
            await self._refuse(error.failure)
        except ClientGone:
            _log.info("%s %s %s: the client left before its request was complete", self._id, self._method, self._path)
        except Exception as error:
            own_fault(error)
            _log.error("%s %s %s: ended by the internal error above", self._id, self._method, self._path)
            if self._client.status:
                raise
            await self._refuse(
                Failure(kind="server", message="internal error of bm; see `bm logs`", status=500, should_retry=False)
            )
        if self._client.is_cut:
            raise Cut

    async def _answer(self, receive: Receive) -> None:
        found = self._found
        self._admit(found)
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
                await self._json(200, await stored.answer(self._services, self._method, *about))
            case InteractionsRoute(name=name) if name:
                whole, _ = self._interaction(name, "")
                if self._method == "DELETE":
                    self._services.interactions.drop(name)
                await self._json(200, {} if self._method == "DELETE" else whole)
            case InteractionsRoute():
                await self._interact(receive)
            case Route():
                await self._call(found, receive)

    def _admit(self, found: Found | Failure) -> None:
        guard = guard_of(self._services.settings)
        if (foreign := guard.foreign(self._by_name, api=True)) is not None:
            raise RequestError(foreign)
        if isinstance(found, Probe) or self._preflight:
            return
        key = guard.caller(self._by_name, self._query)
        if key is None:
            message = "the key is not the daemon's; `bm env` prints the right settings for each tool"
            raise RequestError(Failure(kind="unauthorized", message=message, should_retry=False))
        if (expired := key.expired(time.time())) is not None:
            raise RequestError(expired)
        self._key = key

    async def _call(self, route: Route, receive: Receive) -> None:
        body = without_halves(await read_body(receive, self._by_name, self._services.config.server.max_body_mb))
        head = read_head(body, needs_model=not route.model)
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
            key=self._key.name,
        )
        await self._run(call, receive, self._client)

    def _interaction(self, name: str, param: str) -> tuple[Json, list[Json]]:
        if (kept := self._services.interactions.get(name)) is None:
            raise RequestError(Failure(kind="not_found", message=f"there is no interaction {name}", param=param))
        return kept

    async def _interact(self, receive: Receive) -> None:
        """Serve an interaction as a request to generate."""
        body = without_halves(await read_body(receive, self._by_name, self._services.config.server.max_body_mb))
        given = json_object(body)
        earlier: list[Json] = []
        if name := string_of(given.get("previous_interaction_id")):
            whole, before = self._interaction(name, "previous_interaction_id")
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

        def keep(interaction: Json) -> None:
            if given.get("store") is not False:
                self._services.interactions.keep(interaction, asked.steps)

        await self._run(call, receive, InteractionsClient(self._client, interactions.Writer(own, asked.model), keep))

    async def _run(self, call: Call, receive: Receive, client: Client) -> None:
        """Run the call. If the client disconnects, cancel it together with its upstream request."""
        work = asyncio.current_task()
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            if work is not None:
                work.cancel()

        watcher = spawn(watch(), "watching for a disconnect")
        try:
            await Exchange(self._services, call, client).run()
        except asyncio.CancelledError:
            if not gone:
                raise
            if work is not None:
                work.uncancel()
        finally:
            watcher.cancel()

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

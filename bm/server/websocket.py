"""Responses over one WebSocket connection, as Codex asks for them: a message for each request, one for each event.

Each request is served as its HTTP twin is. What the protocol adds is kept by the connection: it remembers the latest
responses, whether they are stored or not, so a client sends only what is new (OpenAI, "WebSocket mode", 2026-11).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Mapping
from weakref import WeakSet

import msgspec
from starlette.types import Receive, Scope, Send

from bm import sse
from bm.chat.parts import Json
from bm.errors import Failure, RequestError
from bm.gateway.call import Call, conversation_of, json_object, new_id, read_head
from bm.gateway.exchange import serve
from bm.gateway.fault import own_fault
from bm.gateway.services import Services
from bm.keys.key import MAIN
from bm.names import RESPONSES
from bm.protocols.openai.errors import encode_error
from bm.protocols.openai_responses.items import continued, input_items, output_items, without_identity
from bm.protocols.reading import json_of, object_of, string_of
from bm.server.guard import guard_of
from bm.server.routes import Route, find, without_key
from bm.tasks import spawn
from bm.upstream.headers import Headers

_log = logging.getLogger("bm.requests")
MAX_KEPT = 8
"""Responses that a connection remembers; clients follow on the last, or on one of a few branches."""
MAX_WAITING = 16
"""Requests that wait for the one that is being served; the connection ends with more."""
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_TRANSPORT = ("type", "stream", "stream_id", "background", "generate")
"""Members of a message that no HTTP request has."""
_REFUSED, _FAILED, _RESTART = 4403, 1011, 1012
"""Codes that close a connection (RFC 6455, 7.4; the last one is registered with IANA)."""
_CLOSING = 1.0
"""Seconds in which a client can be sent the close."""
_BETA = "responses_websockets"


class WebSocketClient:
    """Sends one response as messages: the events of a stream, or an error. `response` is the last event's."""

    write = None

    def __init__(self, send: Send) -> None:
        self._send = send
        self._parser = sse.Parser()
        self._status = 200
        self._body: list[bytes] = []
        self.response: Json = {}

    async def start(self, status: int, headers: Headers) -> None:
        self._status = status

    async def send(self, data: bytes) -> None:
        if self._status // 100 != 2:
            self._body.append(data)
            return
        for event in self._parser.feed(data):
            if event.name in _ENDS:
                self.response = object_of(object_of(json_of(event.data)).get("response"))
            await self.message(event.data)

    async def end(self, rest: bytes = b"") -> None:
        await self.send(rest)
        if self._status // 100 != 2:
            error = object_of(json_of(b"".join(self._body))).get("error")
            await self.message(msgspec.json.encode({"type": "error", "status": self._status, "error": error}))

    async def cut(self) -> None:
        # A client that has stopped reading takes no close either.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._send({"type": "websocket.close", "code": _FAILED})

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response."""
        await self.start(status, headers)
        await self.end(body)

    async def message(self, data: bytes) -> None:
        """Send one message."""
        await self._send({"type": "websocket.send", "text": data.decode()})


_connections: WeakSet[Connection] = WeakSet()


def leave_all() -> None:
    """Close every connection once it has answered what its client has sent. Codex connects again."""
    for connection in list(_connections):
        connection.leave()


class Connection:
    """Serves one connection, one request after the other."""

    def __init__(self, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
        self._services, self._receive, self._send = services, receive, send
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        self._headers: Headers = [(name, value) for name, value in headers if _BETA not in value]
        self._by_name: Mapping[str, str] = dict(reversed(headers))
        self._path: str = scope["path"]
        self._query: str = scope["query_string"].decode("latin-1")
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING + 1)
        self._work: asyncio.Task[None] | None = None
        self._kept: OrderedDict[str, list[Json]] = OrderedDict()
        self._leaving = False
        self._key = MAIN

    def leave(self) -> None:
        """Close the connection after the messages that have arrived."""
        if not self._leaving and not self._messages.full():
            self._leaving = True
            self._messages.put_nowait(None)

    async def serve(self) -> None:
        """Serve the connection until the client closes it."""
        await self._receive()
        guard = guard_of(self._services.settings)
        key = guard.caller(self._by_name, self._query) if guard.foreign(self._by_name) is None else None
        if (
            key is None
            or key.expired(time.time()) is not None
            or find("POST", self._path, self._by_name) != Route(RESPONSES, "generate")
        ):
            await self._send({"type": "websocket.close", "code": _REFUSED})
            return
        self._key = key
        await self._send({"type": "websocket.accept"})
        _connections.add(self)
        reader = spawn(self._read(), "reading from a WebSocket")
        try:
            while (message := await self._messages.get()) is not None:
                work = self._work = asyncio.ensure_future(self._answer(message))
                await asyncio.wait({work})
                if not work.cancelled() and isinstance(error := work.exception(), Exception):
                    own_fault(error)
                    await self._send({"type": "websocket.close", "code": _FAILED})
            if self._leaving:
                await self._send({"type": "websocket.close", "code": _RESTART})
        finally:
            reader.cancel()
            if self._work is not None:
                self._work.cancel()

    async def _read(self) -> None:
        """Queue the client's messages. When it leaves, cancel the request that is being served."""
        while (message := await self._receive())["type"] == "websocket.receive":
            text = message.get("text")
            if self._messages.full():
                break
            self._messages.put_nowait(text.encode() if text is not None else message.get("bytes", b""))
        if self._work is not None:
            self._work.cancel()
        if self._messages.full():
            self._messages.get_nowait()
        self._messages.put_nowait(None)

    async def _answer(self, message: bytes) -> None:
        name, client = new_id("req_"), WebSocketClient(self._send)
        try:
            given = json_object(message)
            if given.get("type") != "response.create":
                text = f"{given.get('type')!r} is not offered here; send response.create"
                raise RequestError(Failure(kind="bad_request", message=text, param="type"))
            body = self._completed(given)
            if given.get("generate") is False:
                await self._prepare(body, client)
            else:
                await serve(self._services, self._call(name, body), client)
                self._keep(body, client.response)
        except RequestError as error:
            status, refusal = encode_error(error.failure, name)
            await client.respond(status, [], msgspec.json.encode(refusal))

    def _completed(self, given: Json) -> Json:
        """The body of the request, with the conversation that this connection remembers."""
        body = {**{field: given[field] for field in given if field not in _TRANSPORT}, "stream": True}
        earlier = self._kept.get(string_of(body.get("previous_response_id")))
        if earlier is None:
            return body
        whole = continued(body, earlier)
        if any(item.get("type") == "reasoning" and not item.get("encrypted_content") for item in whole["input"]):
            whole["input"] = without_identity(whole["input"])
        return whole

    async def _prepare(self, body: Json, client: WebSocketClient) -> None:
        """Remember a request that is not to be answered yet; a later one follows on it."""
        response: Json = {"id": new_id("resp_"), "object": "response", "model": body.get("model"), "output": []}
        for number, status in enumerate(("created", "completed")):
            state = {**response, "status": "in_progress" if status == "created" else status}
            event = {"type": f"response.{status}", "sequence_number": number, "response": state}
            await client.message(msgspec.json.encode(event))
        self._keep(body, response)

    def _keep(self, body: Json, response: Json) -> None:
        if name := string_of(response.get("id")):
            self._kept[name] = [*input_items(body), *output_items(response)]
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)

    def _call(self, name: str, body: Json) -> Call:
        data = msgspec.json.encode(body)
        head = read_head(data, needs_model=True)
        return Call(
            id=name,
            protocol=RESPONSES,
            operation="generate",
            headers=[*self._headers, ("content-type", "application/json")],
            body=data,
            model=head.model,
            stream=True,
            path=self._path,
            query=without_key(self._query),
            conversation=conversation_of(head, self._by_name),
            key=self._key.name,
        )

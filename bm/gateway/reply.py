"""Sends the client its response: the head of an answer, a complete body, or an error."""

from __future__ import annotations

import asyncio

import msgspec

from bm.chat.events import Failed
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.call import Call, Client, Write
from bm.gateway.full_response import EVENT_STREAM, JSON_TYPE
from bm.gateway.record import Record
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.counting import count_response
from bm.protocols.registry import CODECS
from bm.upstream.headers import Headers, to_client

MAX_HEADER = 1024

QUICK = 1.0
"""Seconds that an upstream has to refuse a request before its client is kept waiting: a refusal then has a status."""

_NEVER = float("inf")


class WaitingClient:
    """A client whose stream may begin before an upstream has answered; `opened` is true from then on.

    The head of the answer itself is then not sent: other targets may still be tried. `started` is true once the client
    has received any head. The end of the response is kept until the exchange is over, so a client that has received it
    finds it recorded.
    """

    def __init__(self, client: Client) -> None:
        self._client, self.opened, self.started = client, False, False
        self._rest: bytes | None = None
        self.send, self.cut = client.send, client.cut

    @property
    def write(self) -> Write | None:
        return self._client.write

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the response, unless it has been sent."""
        if not self.started:
            self.started = True
            await self._client.start(status, headers)

    async def open(self, headers: Headers) -> None:
        """Send the head of a stream."""
        self.opened = True
        await self.start(200, headers)

    async def end(self, rest: bytes = b"") -> None:
        """End the response with these bytes, when the exchange is over."""
        self._rest = rest

    async def close(self) -> None:
        """The exchange is over: end the response that is to be ended."""
        if self._rest is not None:
            await self._client.end(self._rest)


class KeepAlive:
    """When a client that waits for its stream is next sent a keep-alive: `due`, in the event loop's time.

    That is `first` seconds after the request came in, if an upstream is being asked by then, and again after `every`
    seconds; never if that is 0.
    """

    def __init__(self, client: WaitingClient, *, first: float, every: float) -> None:
        self._client, self._every = client, every
        self._quick = min(QUICK, first)
        self._now = asyncio.get_running_loop().time
        self.due = self._now() + first if every else _NEVER

    def expect(self, sent: float) -> None:
        """A request is sent at that time. It may be refused at once, which a status says better than a stream."""
        self.due = max(self.due, (self._now() if self._client.started else sent) + self._quick)

    def sent(self) -> None:
        """A keep-alive is sent now."""
        self.due = self._now() + self._every


class Reply:
    """The response to one call. Notes in the call's `record` what it sends the `client`."""

    def __init__(self, call: Call, client: Client, record: Record) -> None:
        self._call, self.client, self.record = call, WaitingClient(client), record

    def head(self, upstream: UpstreamCall, received: Headers, content_type: str) -> Headers:
        """The headers of an answer: bm's own, and the upstream's where it speaks the client's protocol.

        `content_type` is what the client asked for, whatever the upstream calls it; empty where the upstream's holds.
        """
        headers = to_client(received) if upstream.passes_through else []
        if content_type and not dict(headers).get("content-type", "").startswith(content_type):
            headers = [*(each for each in headers if each[0] != "content-type"), ("content-type", content_type)]
        own_id = any(name == "request-id" for name, _ in headers)
        headers += [each for each in self._headers(upstream.target) if each[0] != "request-id" or not own_id]
        if upstream.losses:
            dropped = ", ".join(loss.field for loss in upstream.losses)
            headers.append(("x-bm-dropped", dropped[:MAX_HEADER]))
        return headers

    def stream_head(self, upstream: UpstreamCall, received: Headers, content_type: str) -> Headers:
        """The headers of a stream."""
        return [*self.head(upstream, received, content_type), ("cache-control", "no-cache")]

    def _headers(self, target: Target | None) -> Headers:
        """The headers that bm adds to every response."""
        headers = [("x-bm-request-id", self._call.id), ("x-bm-attempts", str(len(self.record.attempts)))]
        if self._call.protocol == "anthropic":
            headers.append(("request-id", self._call.id))
        if target is not None:
            headers += [("x-bm-provider", target.provider), ("x-bm-account", target.account)]
            headers.append(("x-bm-model", target.model))
        return headers

    async def keep_waiting(self) -> None:
        """Send a client that waits for its stream a keep-alive, after the stream's head."""
        if not self.client.opened:
            headers = [("content-type", EVENT_STREAM), ("cache-control", "no-cache"), *self._headers(None)]
            await self.client.open(headers)
        await self.client.send(self._call.notices(self._call.model).keepalive())

    async def complete(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a response that is not a stream."""
        await self.client.start(status, [*headers, ("content-length", str(len(body)))])
        await self.client.end(body)

    @property
    def cuts(self) -> bool:
        """Whether a failed stream ends in a broken connection.

        Google's JavaScript SDKs pass over an error event: without the cut they take the response for complete.
        """
        return self._call.protocol == "gemini"

    async def break_off(self, error: bytes) -> None:
        """End a stream that has begun with an error of its protocol."""
        await self.client.send(error)
        await (self.client.cut() if self.cuts else self.client.end())

    async def estimate(self, tokens: int) -> None:
        """Send an estimated token count, marked as such."""
        self.record.status, self.record.finish = 200, "estimated"
        headers = [("content-type", JSON_TYPE), ("x-bm-request-id", self._call.id), ("x-bm-estimate", "true")]
        await self.complete(200, headers, count_response(self._call.protocol, tokens))

    async def fail(self, failure: Failure) -> None:
        """Send why there is no answer: in the upstream's own bytes where it spoke the client's protocol."""
        record = self.record
        record.failure = failure
        if self.client.opened:
            record.status = 200
            await self.break_off(self._call.notices(self._call.model).feed(Failed(failure)))
            return
        last = record.attempts[-1].target if record.attempts else None
        headers = [("content-type", JSON_TYPE), *self._headers(last), *error_headers(failure)]
        if failure.upstream_body and failure.status in (0, failure.upstream_status):
            status, body = failure.upstream_status, failure.upstream_body
        else:
            status, document = CODECS[self._call.protocol].encode_error(failure, self._call.id)
            body = msgspec.json.encode(document)
        record.status = status
        await self.complete(status, headers, body)


def error_headers(failure: Failure) -> Headers:
    """The headers by which the official SDKs decide whether and when to retry."""
    headers: Headers = []
    if failure.retry_after is not None:
        headers.append(("retry-after", str(max(1, -int(-failure.retry_after // 1)))))
    if failure.should_retry is not None:
        headers.append(("x-should-retry", "true" if failure.should_retry else "false"))
    if failure.kind == "method":
        headers.append(("allow", failure.code))
    return headers

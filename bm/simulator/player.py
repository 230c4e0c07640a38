"""Sends an answer or a fault on a connection, event by event."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence

import msgspec

from bm.simulator.answer import Answer
from bm.simulator.connection import Exchange
from bm.simulator.faults import Trouble, trouble_of
from bm.simulator.request import Json, Record, Request
from bm.simulator.rules import BREAKS, Rule
from bm.simulator.wire import Frame, Wire

JSON = "application/json"
_FLOOD = 1000
"""Comments at a time, if there is no pause between them."""
_BROKEN = b'data: {"broken": \r\n\r\n'


class Player:
    """Sends the response to one request under one rule, and records how much was sent."""

    def __init__(self, exchange: Exchange, record: Record, request: Request, wire: Wire, rule: Rule) -> None:
        self._exchange = exchange
        self._record = record
        self._request = request
        self._wire = wire
        self._rule = rule

    async def generate(self, answer: Answer) -> None:
        """Send the answer, streamed or not as requested, or the fault of the rule."""
        if await self._before():
            return
        if self._rule.afterwards is not None:
            self._exchange.retire(self._rule.afterwards)
        if self._request.stream and self._rule.raw_body is None:
            await self._stream(self._wire.frames(self._request, answer))
        else:
            await asyncio.sleep(self._rule.first_token_delay)
            await self._respond(self._wire.full_response(self._request, answer))

    async def plain(self, body: Json) -> None:
        """Send the response of an operation that is not streamed."""
        if not await self._before():
            await self._respond(body)

    async def fail(self, trouble: Trouble) -> None:
        """Send an error instead of an answer."""
        status, headers, body = self._wire.error(self._request, trouble)
        raw = msgspec.json.encode(body) if self._rule.raw_body is None else self._rule.raw_body.encode()
        headers = {"content-type": self._rule.content_type or JSON} | headers
        if self._rule.gzip:
            raw = gzip.compress(raw, mtime=0)
            headers["content-encoding"] = "gzip"
        self._record.status = status
        await self._exchange.respond(status, headers, raw)
        self._record.events = 1

    async def _before(self) -> bool:
        """Apply what the rule does before an answer. Return whether that replaces the answer."""
        if self._rule.silent:
            await asyncio.Event().wait()
        await asyncio.sleep(self._rule.head_delay)
        if self._rule.reset:
            await self._exchange.reset()
            return True
        if self._rule.fails and self._rule.error_after is None:
            await self.fail(trouble_of(self._rule))
            return True
        if self._rule.comments is not None:
            await self._comment(self._rule.comments)
        return False

    def _headers(self, content_type: str) -> dict[str, str]:
        own = {"content-type": self._rule.content_type or content_type}
        return own | self._wire.headers(self._request) | self._rule.headers

    async def _comment(self, pause: float) -> None:
        """Send comments for ever; white space where the answer is a document."""
        self._record.status = 200
        streams = self._request.stream and self._request.sse
        await self._exchange.head(200, self._headers("text/event-stream" if streams else JSON))
        comment = (b": waiting\n\n" if streams else b" \n") * (1 if pause else _FLOOD)
        while True:
            await self._exchange.data(comment)
            await asyncio.sleep(pause)

    async def _respond(self, body: Json) -> None:
        self._record.status = 200
        raw = msgspec.json.encode(body)
        if self._rule.raw_body is not None:
            raw = self._rule.raw_body.encode()
        if self._rule.error_after is not None:
            raw = msgspec.json.encode(self._wire.error(self._request, trouble_of(self._rule))[2])
        elif any(getattr(self._rule, name) is not None for name in BREAKS):
            await self._exchange.head(200, self._headers(JSON))
            half = len(raw) // 2
            await self._events([Frame(raw[:half]), Frame(raw[half:])], least=1)
            return
        if self._rule.drip is not None:
            await self._exchange.head(200, self._headers(JSON))
            await self._events([Frame(raw)])
            return
        await self._exchange.respond(200, self._headers(JSON), raw)
        self._record.events = 1

    async def _stream(self, frames: Sequence[Frame]) -> None:
        self._record.status = 200
        content_type = "text/event-stream; charset=utf-8" if self._request.sse else JSON
        await self._exchange.head(200, self._headers(content_type))
        await self._events(frames)

    async def _events(self, frames: Sequence[Frame], least: int = 0) -> None:
        """Send `frames`, and break the stream as the rule says: before the last one at the latest."""
        breaking = next((name for name in BREAKS if getattr(self._rule, name) is not None), "")
        where = max(least, min(getattr(self._rule, breaking), len(frames) - 1)) if breaking else -1
        begun = False
        for place, frame in enumerate(frames):
            if place == where and await self._break(breaking, place):
                return
            if frame.content:
                await asyncio.sleep(self._rule.delay if begun else self._rule.first_token_delay)
                begun = True
            await self._send(frame.data)
        await self._exchange.end()

    async def _send(self, data: bytes) -> None:
        if self._rule.drip is None:
            await self._exchange.data(data)
        for place in range(len(data) if self._rule.drip is not None else 0):
            await self._exchange.data(data[place : place + 1])
            await asyncio.sleep(self._rule.drip or 0.0)
        self._record.events += 1

    async def _break(self, how: str, place: int) -> bool:
        """Break the stream before event `place`. Return whether that ended it."""
        match how:
            case "stall_after":
                await asyncio.Event().wait()
            case "cut_after":
                await self._exchange.reset()
            case "end_after":
                await self._exchange.end()
            case "error_after":
                await self._send(self._wire.in_band(self._request, trouble_of(self._rule), place).data)
                await self._exchange.end()
            case _:
                await self._send(_BROKEN)
                return False
        return True

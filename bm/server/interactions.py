"""A client of Google's Interactions API, served as one of generateContent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec

from bm import sse
from bm.chat.parts import Json
from bm.gateway.call import Client
from bm.protocols.interactions import Writer, error_object
from bm.protocols.reading import json_of, object_of
from bm.upstream.headers import Headers


class InteractionsClient:
    """Writes a response to generateContent as an interaction. `keep` is handed one that is complete."""

    write = None

    def __init__(self, client: Client, writer: Writer, keep: Callable[[Json], Awaitable[None]]) -> None:
        self._client, self._writer, self._keep = client, writer, keep
        self._parser = sse.Parser()
        self._status, self._headers = 0, list[tuple[str, str]]()
        self._streams = False

    async def start(self, status: int, headers: Headers) -> None:
        by_name = dict(headers)
        self._streams = by_name.get("content-type", "").startswith("text/event-stream")
        self._status, self._headers = status, [(name, by_name[name]) for name in by_name if name != "content-length"]
        if self._streams:
            await self._client.start(status, self._headers)
            await self._client.send(_written([self._writer.begin()]))

    async def send(self, data: bytes) -> None:
        if self._streams and (events := self._events(data)):
            await self._client.send(events)
        elif self._streams:
            await self._client.send(b": keep-alive\n\n")

    def _events(self, data: bytes) -> bytes:
        chunks = [object_of(json_of(item.data)) for item in self._parser.feed(data)]
        return _written(event for chunk in chunks for event in self._writer.feed(chunk))

    async def end(self, rest: bytes = b"") -> None:
        if self._streams:
            last = self._events(rest)
            if self._writer.failure is None:
                last += _written(self._writer.end()) + sse.encode(b"[DONE]")
                await self._keep(self._writer.whole())
            await self._client.end(last)
            return
        answer = object_of(json_of(rest))
        if self._status // 100 == 2:
            for _ in self._writer.feed(answer):
                pass
            answer = self._writer.whole()
            await self._keep(answer)
        else:
            answer = {"error": error_object(object_of(answer.get("error")))}
        body = msgspec.json.encode(answer)
        await self._client.start(self._status, [*self._headers, ("content-length", str(len(body)))])
        await self._client.end(body)

    async def cut(self) -> None:
        await self._client.cut()


def _written(events: Iterable[Json]) -> bytes:
    return b"".join([sse.encode(msgspec.json.encode(event), event["event_type"]) for event in events])

"""Carries one stream from an upstream to the client.

Start-up events are held until the first content, so that an answer that dies at birth can still be had elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from bm.config.schema import Limits, Timeouts
from bm.errors import Failure
from bm.gateway.alarm import Alarm
from bm.gateway.call import Client
from bm.protocols.passthrough import ResponsePipe
from bm.sse import EventTooLarge
from bm.upstream.client import UpstreamError, UpstreamResponse
from bm.upstream.headers import Headers

_AFTER_THE_END = 2.0
"""Seconds an upstream may keep its connection open after the last event; then bm ends the answer itself."""

Deadline = Literal["end", "idle", "first_token", "hold", "keep_alive"]


class Relay:
    """One stream on its way.

    `committed` turns true when the client has received the head of the answer, and is from the start where the stream
    goes on with another's; `on_content` is called when the first content has arrived.
    """

    def __init__(
        self,
        response: UpstreamResponse,
        pipe: ResponsePipe,
        client: Client,
        headers: Headers,
        limits: Limits,
        timeouts: Timeouts,
        *,
        committed: bool = False,
    ) -> None:
        self._response, self._pipe, self._client, self._headers = response, pipe, client, headers
        self._limits, self._timeouts = limits, timeouts
        self._now = asyncio.get_running_loop().time
        self._started = self._last_sent = self._now()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._alarm = Alarm()
        self.committed = committed
        self.first_content: float | None = None
        self.on_content: Callable[[], None] = _nothing

    async def run(self) -> Failure | None:
        """Carry the stream to its end. None means it is complete.

        A failure was told to the client if `committed`, unless the pipe `can_go_on`.
        """
        try:
            return await self._carried()
        finally:
            self._alarm.close()

    async def _carried(self) -> Failure | None:
        try:
            while chunk := await self._next():
                await self._take(self._pipe.feed(chunk))
                failure = self._pipe.watch.failure
                if failure is not None and (self._pipe.ended or self._unknown):
                    return await self._failed(failure)
            await self._take(self._pipe.close())
        except UpstreamError as error:
            return await self._broken(error.failure)
        except EventTooLarge as error:
            return await self._broken(Failure(kind="malformed", message=f"the upstream sent {error}"))
        if self._pipe.watch.failure is not None:
            return await self._failed(self._pipe.watch.failure)
        await self._commit()
        await self._client.end()
        return None

    async def _broken(self, failure: Failure) -> Failure:
        """Tell the client in its own protocol that the answer is not complete, if it has received any of it."""
        if self._unknown:
            self._pipe.watch.failure = failure
            return failure
        if told := self._pipe.abort(failure):
            await self._client.send(told)
        return await self._failed(failure)

    async def _failed(self, failure: Failure) -> Failure:
        """End an answer whose failure was told where it can be; where not, the missing end tells."""
        if not self._unknown:
            await (self._client.cut() if self._pipe.ended and not self._pipe.reports_errors else self._client.end())
        return failure

    @property
    def _unknown(self) -> bool:
        """Whether the client knows nothing of a failure: it has received nothing, or another target may go on."""
        return not self.committed or self._pipe.resumable

    async def _take(self, data: bytes) -> None:
        watch = self._pipe.watch
        if watch.begun and self.first_content is None:
            self.first_content = self._now()
            self.on_content()
        if self.committed:
            if data:
                await self._client.send(data)
                self._last_sent = self._now()
            return
        self._held.append(data)
        self._held_bytes += len(data)
        full = watch.events > self._limits.hold_events or self._held_bytes > self._limits.hold_kb * 1024
        if watch.failure is None and (watch.begun or full):
            await self._commit()

    async def _commit(self) -> None:
        if self.committed:
            return
        self.committed = True
        await self._client.start(200, self._headers)
        if held := b"".join(self._held):
            await self._client.send(held)
        self._held.clear()
        self._last_sent = self._now()

    async def _next(self) -> bytes:
        """The next bytes; empty at the end. Keeps the client waiting meanwhile."""
        if arrived := self._response.read_now():
            return arrived
        silent_since = self._now()
        while True:
            name, due = self._deadline(silent_since)
            try:
                return await self._alarm.until(due, self._response.read_some())
            except TimeoutError:
                if name == "end":
                    return b""
                if name == "hold":
                    await self._commit()
                elif name == "keep_alive":
                    await self._client.send(self._pipe.keepalive())
                    self._last_sent = self._now()
                else:
                    raise UpstreamError(self._silent(name)) from None

    def _deadline(self, silent_since: float) -> tuple[Deadline, float]:
        """What is due first, and when."""
        limits, timeouts, watch = self._limits, self._timeouts, self._pipe.watch
        name: Deadline = "idle"
        due = silent_since + timeouts.idle if timeouts.idle else float("inf")
        if watch.complete and (end := silent_since + _AFTER_THE_END) < due:
            name, due = "end", end
        if timeouts.first_token and not watch.begun and (first := self._started + timeouts.first_token) < due:
            name, due = "first_token", first
        if not self.committed:
            if (hold := self._started + limits.hold_time) < due:
                name, due = "hold", hold
        elif limits.keep_alive and (keep := self._last_sent + limits.keep_alive) < due:
            name, due = "keep_alive", keep
        return name, due

    def _silent(self, name: Deadline) -> Failure:
        limit = self._timeouts.idle if name == "idle" else self._timeouts.first_token
        what = "nothing further" if name == "idle" else "no content"
        return Failure(kind="timeout", message=f"the upstream sent {what} within {limit:g} s", code=name)


def _nothing() -> None:
    """Nobody waits for the first content."""

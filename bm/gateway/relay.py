"""Relays one stream from an upstream to the client.

Events are held until the first content, so that a stream that fails or is silent at its start can still be replaced by
another target's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from bm.config.schema import Limits, Timeouts
from bm.config.secrets import Mask
from bm.errors import Failure
from bm.gateway.call import Client
from bm.gateway.fault import own_fault
from bm.gateway.race import Running
from bm.protocols.passthrough import ResponsePipe
from bm.sse import EventTooLarge
from bm.upstream.client import UpstreamError, UpstreamResponse
from bm.upstream.headers import Headers

AFTER_END = 2.0
"""Seconds an upstream may keep its connection open after the last event; then bm ends the response itself."""

LINES = 64
"""Lines of a chunk that are read in one go."""

TURN = 0.002
"""Seconds after which other requests get their turn within a chunk."""

GRACE = 5.0
"""Seconds after a deadline for which bytes that have arrived are still read."""

_NEVER = float("inf")
Result = TypeVar("Result")
Due = Literal["end", "idle", "whole", "first_byte", "first_token", "keep_alive"]


class ClientStalled(Exception):
    """The client has read nothing for too long."""


class Deadline:
    """A deadline for many waits in a row, with one timer for all of them. Times are the event loop's.

    `asyncio.timeout` makes and cancels a timer for each wait, which for a stream of small pieces costs as much as
    relaying them. This timer is only moved when it fires too early. `close` it in the end.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = self._due = _NEVER
        self._waiting: asyncio.Task[object] | None = None
        self._later: Callable[[], float] | None = None
        self._expired = False

    async def wait(self, due: float, work: Awaitable[Result], later: Callable[[], float] | None = None) -> Result:
        """Await `work` in the current task, until `due` at the latest, or by then as long as `later` says.

        Raises:
            TimeoutError: it took longer, and was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None
        self._due, self._later, self._waiting, self._expired = due, later, task, False
        if due < self._set_for:
            self._set(due)
        cancelled_before = task.cancelling()
        try:
            return await work
        except asyncio.CancelledError:
            if self._expired and task.uncancel() <= cancelled_before:
                raise TimeoutError from None
            raise
        finally:
            self._waiting = self._later = None

    def _set(self, due: float) -> None:
        self.close()
        if due < _NEVER:
            self._timer, self._set_for = self._loop.call_at(due, self._fire), due

    def _fire(self) -> None:
        self._timer, self._set_for = None, _NEVER
        if self._waiting is None:
            return
        if self._later is not None:
            self._due = max(self._due, self._later())
        if self._loop.time() < self._due:
            self._set(self._due)
            return
        self._expired = True
        self._waiting.cancel()

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._set_for = None, _NEVER


class Relay:
    """One stream on its way to the client.

    `committed` is true once `running` has claimed the client for its response; from the start where the stream goes on
    with one that was cut. Where a tool call is awaited (`Watch.said`), text is held as well, and an answer without a
    call is not relayed. `head` gives the response's headers. `document` holds the first bytes of a response that is a
    JSON object in spite of its content type; then nothing of it has been relayed. `on_content` is called when the first
    content has arrived. `cuts` breaks the connection of a failed response, also after its error. `mask` hides
    secrets in the error of a stream. `before_end` is awaited before the client receives the end of a complete response.
    """

    def __init__(
        self,
        response: UpstreamResponse,
        pipe: ResponsePipe,
        client: Client,
        head: Callable[[], Headers],
        limits: Limits,
        timeouts: Timeouts,
        *,
        running: Running,
        on_content: Callable[[], None],
        mask: Mask,
        before_end: Callable[[], Awaitable[None]] | None = None,
        committed: bool = False,
        cuts: bool = False,
    ) -> None:
        self._response, self._pipe, self._client, self._head = response, pipe, client, head
        self._limits, self._timeouts = limits, timeouts
        self._running, self._on_content = running, on_content
        self._mask = mask
        self._now = asyncio.get_running_loop().time
        self._started = self._last_sent = self._last_item = self._last_content = self._now()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._read = False
        self._deadline = Deadline()
        self._begun = False
        self._cuts, self._before_end = cuts, before_end
        self.committed = committed
        self.document = b""

    async def run(self) -> Failure | None:
        """Relay the stream to its end. None means that it is complete.

        The client has received a failure if `committed`, unless the pipe is `resumable`.

        Raises:
            ClientStalled: the client has read nothing for `timeouts.idle` seconds.
        """
        self._response.hand_over(self._pass_on)
        try:
            return await self._relay()
        except ClientStalled:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of bm's own ends this response, not what runs it
            return await self._break_off(own_fault(error))
        finally:
            self._response.hand_over(None)
            self._deadline.close()

    def _pass_on(self) -> bool:
        """Pass on what has arrived while the task waits, if it is pieces of a text alone, which most of a stream is.

        Returns whether it was: waking the task would cost as much again.
        """
        write = self._client.write if self.committed and self._begun else None
        if write is None:
            return False
        chunk = self._response.read_now()
        passed = self._pipe.pass_pieces(chunk)
        if passed is None:
            self._response.unread(chunk)
            return False
        now = self._last_item = self._last_content = self._running.heard = self._now()
        if passed:
            write(passed)
            self._last_sent = now
        return True

    async def _break_off(self, failure: Failure) -> Failure:
        """End the response by an error of its protocol, or by a broken connection if not even that can be written."""
        try:
            return await self._abort(failure)
        except ClientStalled:
            raise
        except Exception as error:  # noqa: BLE001 - see above
            own_fault(error)
            self._pipe.watch.failure = failure
            await self._client.cut()
            return failure

    async def _relay(self) -> Failure | None:
        try:
            while chunk := await self._next():
                if not self._read and self._pipe.reports_errors and chunk.lstrip()[:1] == b"{":
                    self.document = chunk
                    return None
                self._read = True
                if (failure := await self._feed(chunk)) is not None:
                    return await self._fail(failure)
            closing = self._pipe.close()
            await self._send(closing if self._pipe.watch.failure is None else self._mask.masked_bytes(closing))
        except UpstreamError as error:
            if not self._pipe.finished:
                return await self._abort(error.failure)
            await self._send(self._pipe.close())
        except EventTooLarge as error:
            return await self._abort(Failure(kind="malformed", message=f"the upstream sent {error}"))
        if self._pipe.watch.failure is not None:
            return await self._fail(self._pipe.watch.failure)
        if not self.committed and (self._pipe.watch.uncalled or self._pipe.watch.empty):
            return None
        await self._commit()
        await self._client.end()
        return None

    async def _feed(self, chunk: bytes) -> Failure | None:
        """Pass on what the upstream has sent. Returns the failure that ends the stream.

        Small events can take a second of work in one chunk, so other requests get their turn in between.

        Raises:
            UpstreamError: there is nothing in it, and the upstream was silent for too long.
        """
        watch = self._pipe.watch
        size = len(chunk) * LINES // max(chunk.count(b"\n"), LINES)
        before = watch.items, watch.contents
        ready: list[bytes] = []
        began = time.monotonic()  # uvloop's clock stands still within a turn
        for start in range(0, len(chunk), size):
            if start and time.monotonic() - began > TURN:
                await self._send(b"".join(ready))
                ready.clear()
                await self._give_way()
                began = time.monotonic()
            items, contents = watch.items, watch.contents
            fed = self._pipe.feed(chunk[start : start + size])
            if watch.items == items and self._full and not self.committed and self._pipe.reports_errors:
                continue  # comments, of which enough are held
            ready.append(fed if watch.failure is None else self._mask.masked_bytes(fed))
            if not self.committed or watch.failure is not None:
                await self._send(b"".join(ready))
                ready.clear()
            self._hear(items, contents)
            if watch.failure is not None and (self._pipe.ended or self._unknown_to_client):
                return watch.failure
        if ready:
            await self._send(b"".join(ready))
            self._hear(*before)
        return None

    def _hear(self, items: int, contents: int) -> None:
        """Note when the upstream has last sent something, or content: more than there was before."""
        if self._pipe.watch.items > items:
            self._last_item = self._now()
            self._running.hear()
        if self._pipe.watch.contents > contents:
            self._last_content = self._last_item

    async def _give_way(self) -> None:
        """Let others have their turn, which may take long. What is due meanwhile is done as in `_next`."""
        await asyncio.sleep(0)
        name, due = self._next_due()
        if name == "keep_alive" and self._now() >= due:
            await self._write(self._pipe.keepalive())
        elif name not in ("keep_alive", "end") and self._now() >= due + GRACE:
            raise UpstreamError(self._silence(name))

    async def _abort(self, failure: Failure) -> Failure:
        """The stream has broken off. If the client has received any of it, end it with an error of its protocol."""
        if self._unknown_to_client:
            self._pipe.watch.failure = failure
            return failure
        if error := self._pipe.abort(failure):
            await self._write(self._mask.masked_bytes(error))
        return await self._fail(failure)

    async def _fail(self, failure: Failure) -> Failure:
        """End a failed response; where its protocol has no error that all clients notice, by a broken connection."""
        if not self._unknown_to_client:
            await (self._client.cut() if self._cuts else self._client.end())
        return failure

    @property
    def _unknown_to_client(self) -> bool:
        """Whether a failure stays hidden: the client has received nothing, or another target may go on."""
        return not self.committed or self._pipe.resumable

    async def _send(self, data: bytes) -> None:
        watch = self._pipe.watch
        if watch.complete and self._before_end is not None:
            before_end, self._before_end = self._before_end, None
            await before_end()
        if watch.begun and not self._begun and not watch.empty:
            self._begun = True
            self._on_content()
        if self.committed:
            if data:
                await self._write(data)
            return
        self._held.append(data)
        self._held_bytes += len(data)
        full = self._full and (watch.items > 0 or not self._pipe.reports_errors)
        ready = watch.said is None and not watch.empty and (watch.begun or watch.events > self._limits.hold_events)
        if watch.failure is None and (ready or full):
            await self._commit()

    @property
    def _full(self) -> bool:
        """Whether as much is held as may be. Comments alone then begin no response: another target may answer."""
        return self._held_bytes > self._limits.hold_kb * 1024

    async def _commit(self) -> None:
        if self.committed:
            return
        self.committed = True
        self._pipe.watch.said = None
        self._running.claim()
        await self._client.start(200, self._head())
        self._last_sent = self._now()
        if held := b"".join(self._held):
            await self._write(held)
        self._held.clear()

    async def _write(self, data: bytes) -> None:
        idle = self._timeouts.idle
        try:
            await self._deadline.wait(self._now() + idle if idle else _NEVER, self._client.send(data))
        except TimeoutError:
            raise ClientStalled from None
        self._last_sent = self._now()

    async def _next(self) -> bytes:
        """The next bytes; empty at the end. Sends keep-alives while the upstream is silent. Comments are silence.

        The client of a response that has not begun is kept waiting by the race.

        Raises:
            UpstreamError: the upstream was silent for too long.
        """
        while True:
            _, due = self._next_due()
            if self._now() < due + GRACE and (arrived := self._response.read_now()):
                return arrived
            try:
                if self._now() >= due + GRACE:
                    raise TimeoutError
                return await self._deadline.wait(due, self._response.read_some(), lambda: self._next_due()[1])
            except TimeoutError:
                name, due = self._next_due()
                if self._now() < due:
                    continue  # pieces have been passed on in the same moment
                if name == "end":
                    return b""
                if name == "keep_alive":
                    await self._write(self._pipe.keepalive())
                else:
                    raise UpstreamError(self._silence(name)) from None

    def _next_due(self) -> tuple[Due, float]:
        """What is due first, and when."""
        limits, timeouts, watch = self._limits, self._timeouts, self._pipe.watch
        name: Due = "first_byte" if watch.thinking else "idle"
        silence = timeouts.first_byte if watch.thinking else timeouts.idle
        due = self._last_item + silence if silence else _NEVER
        if watch.complete and (end := self._last_item + AFTER_END) < due:
            name, due = "end", end
        if timeouts.whole and (whole := self._last_content + timeouts.whole) < due:
            name, due = "whole", whole
        if timeouts.first_token and not watch.begun and (first := self._started + timeouts.first_token) < due:
            name, due = "first_token", first
        if self.committed and limits.keep_alive and (keep := self._last_sent + limits.keep_alive) < due:
            name, due = "keep_alive", keep
        return name, due

    def _silence(self, name: Due) -> Failure:
        limit = getattr(self._timeouts, name)
        what = {"idle": "nothing further", "first_byte": "no event"}.get(name, "no content")
        return Failure(kind="timeout", message=f"the upstream sent {what} within {limit:g} s", code=name)

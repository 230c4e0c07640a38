"""Captures whole exchanges and writes them to disk, where the user has turned that on.

Keys are masked. A capture that cannot be written never delays or fails a request.
"""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bm.config.secrets import MASK, Mask
from bm.gateway.call import Call, Client, Write
from bm.gateway.record import Record, document_of
from bm.gateway.settings import Settings
from bm.ledger.recordings import Message, RecordedRequest, Recording, save
from bm.tasks import report
from bm.upstream.client import UpstreamRequest
from bm.upstream.headers import CREDENTIALS, Headers

MAX_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer that are captured."""
MAX_EXCHANGE = 32 * 1024 * 1024
"""Bytes of one exchange. Masking a larger one would take the processor from the requests."""
MAX_WAITING = 16
"""Captures that may wait to be written."""

_log = logging.getLogger("bm.recorder")


class Capture:
    """A copy of one exchange, taken on its way: wraps the client and copies what is sent to it.

    `complete` is false when the answer was longer than what is kept of it.
    """

    def __init__(self, call: Call, client: Client) -> None:
        self.call, self._client = call, client
        self.requests: list[UpstreamRequest] = []
        self.status = 0
        self.headers: Headers = []
        self.answer = bytearray()
        self.ended = False
        self.complete = True

    async def start(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers
        await self._client.start(status, headers)

    async def send(self, data: bytes) -> None:
        self._copy(data)
        await self._client.send(data)

    @property
    def write(self) -> Write | None:
        write = self._client.write
        if write is None:
            return None

        def copied(data: bytes) -> None:
            self._copy(data)
            write(data)

        return copied

    async def end(self, rest: bytes = b"") -> None:
        self._copy(rest)
        self.ended = True
        await self._client.end(rest)

    def _copy(self, data: bytes) -> None:
        room = MAX_ANSWER - len(self.answer)
        self.answer += data[:room]
        self.complete = self.complete and len(data) <= room

    async def cut(self) -> None:
        await self._client.cut()


class Recorder:
    """Writes captures in a thread of its own. The log says once why something could not be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._room = threading.Semaphore(MAX_WAITING)
        self._problem = ""

    def keep(self, capture: Capture, record: Record, settings: Settings) -> None:
        """Write an exchange soon. Called in the event loop; never blocks and never raises."""
        size = sum(map(len, (capture.call.body, capture.answer, *(request.body for request in capture.requests))))
        if size > MAX_EXCHANGE:
            self._warn(f"{record.id} is larger than {MAX_EXCHANGE} bytes")
        elif not self._room.acquire(blocking=False):
            self._warn("the disk does not keep up")
        else:
            self._submit(capture, record, settings)

    def _submit(self, capture: Capture, record: Record, settings: Settings) -> None:
        try:
            self._thread.submit(self._write, capture, record, settings).add_done_callback(self._written)
        except RuntimeError:
            # The request has ended after `close`.
            self._warn("the daemon is ending")

    def _write(self, capture: Capture, record: Record, settings: Settings) -> None:
        limits = settings.config.record
        recording = recording_of(capture, record, settings)
        try:
            kept = save(self._folder, recording, most=limits.max, megabytes=limits.max_mb)
        except OSError as error:
            self._warn(f"{self._folder}: {error.strerror}")
        else:
            self._problem = ""
            if not kept:
                self._warn(f"{record.id} is larger than [record] max_mb")

    def _written(self, done: Future[None]) -> None:
        self._room.release()
        if (error := done.exception()) is not None:
            report("recording an exchange", error)

    def _warn(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            _log.warning("not recorded: %s; requests are served all the same", problem)

    def close(self) -> None:
        """Write what is waiting, and stop."""
        self._thread.shutdown(wait=True)


def recording_of(capture: Capture, record: Record, settings: Settings) -> Recording:
    """The exchange with every secret masked: those of the settings and those its headers carried."""
    call = capture.call
    carried = _credentials((call.headers, *(request.headers for request in capture.requests)))
    mask = Mask((*settings.secrets(), *carried))
    upstream = tuple(
        RecordedRequest(
            provider=request.provider,
            method=request.method,
            url=mask(request.url),
            message=_message(request.headers, request.body, mask),
        )
        for request in capture.requests
    )
    return Recording(
        id=record.id,
        at=record.at,
        protocol=call.protocol,
        operation=call.operation,
        model=mask(call.model),
        stream=call.stream,
        path=mask(f"{call.path}?{call.query}" if call.query else call.path),
        request=_message(call.headers, call.body, mask),
        upstream=upstream,
        status=capture.status,
        answer=_message(capture.headers, bytes(capture.answer), mask),
        complete=capture.ended,
        whole=capture.complete,
        decision=document_of(record, mask),
    )


def _credentials(sets: Iterable[Headers]) -> Iterator[str]:
    """The credentials in headers: whole values, tokens without their scheme, and each cookie's value."""
    for headers in sets:
        for name, value in headers:
            if name in CREDENTIALS:
                yield value
                yield value.partition(" ")[2]
                yield from (cookie.partition("=")[2].strip() for cookie in value.split(";") if name == "cookie")


def _message(headers: Headers, body: bytes, mask: Callable[[str], str]) -> Message:
    kept = [(name, MASK if name in CREDENTIALS else mask(value)) for name, value in headers]
    try:
        return Message(headers=kept, body=mask(body.decode()))
    except UnicodeDecodeError:
        # In Latin-1 every byte is a character, so ASCII secrets are found in any bytes.
        masked = mask(body.decode("latin-1")).encode("latin-1")
        return Message(headers=kept, body=base64.b64encode(masked).decode(), binary=True)

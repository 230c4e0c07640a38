"""Puts exchanges on disk when the user has asked for it: without keys, and without holding up or failing a request."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from bm.config.secrets import MASK, Mask
from bm.gateway.call import Call
from bm.gateway.decision import document_of
from bm.gateway.record import Record
from bm.gateway.settings import Settings
from bm.gateway.tape import Tape
from bm.ledger.recordings import Asked, Message, Recording, save
from bm.upstream.headers import CREDENTIALS, Headers

LARGEST = 32 * 1024 * 1024
"""Bytes of one exchange. Masking a larger one would keep the processor from the requests."""

MOST_WAITING = 16

_FIXED = {
    ("anthropic", "generate"): "/v1/messages",
    ("anthropic", "count_tokens"): "/v1/messages/count_tokens",
    ("openai-chat", "generate"): "/v1/chat/completions",
    ("openai-chat", "embed"): "/v1/embeddings",
    ("openai-responses", "generate"): "/v1/responses",
    ("openai-responses", "count_tokens"): "/v1/responses/input_tokens",
}
_GEMINI = {"count_tokens": "countTokens", "embed": "embedContent", "batch_embed": "batchEmbedContents"}

_log = logging.getLogger("bm.recorder")


class Recorder:
    """Writes recordings in a thread of its own. What cannot be kept is passed over, and the log says so once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        self._room = threading.Semaphore(MOST_WAITING)
        self._trouble = ""

    def keep(self, tape: Tape, record: Record, settings: Settings) -> None:
        """Write an exchange, some time soon. For the event loop's thread; never blocks and never fails."""
        size = sum(map(len, (tape.call.body, tape.answer, *(request.body for request in tape.requests))))
        if size > LARGEST:
            self._tell(f"{record.id} is larger than {LARGEST} bytes")
        elif not self._room.acquire(blocking=False):
            self._tell("the disk does not keep up")
        else:
            self._submit(tape, record, settings)

    def _submit(self, tape: Tape, record: Record, settings: Settings) -> None:
        try:
            self._thread.submit(self._write, tape, record, settings).add_done_callback(self._written)
        except RuntimeError:
            # A request that ended after `close`.
            self._tell("the daemon is ending")

    def _write(self, tape: Tape, record: Record, settings: Settings) -> None:
        limits = settings.config.record
        recording = recording_of(tape, record, settings)
        try:
            kept = save(self._folder, recording, most=limits.max, megabytes=limits.max_mb)
        except OSError as error:
            self._tell(f"{self._folder}: {error.strerror}")
        else:
            self._trouble = ""
            if not kept:
                self._tell(f"{record.id} is larger than [record] max_mb")

    def _written(self, done: Future[None]) -> None:
        self._room.release()
        if (error := done.exception()) is not None:
            _log.error("an exchange cannot be recorded", exc_info=error)

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            _log.warning("not recorded: %s; requests are served all the same", trouble)

    def close(self) -> None:
        """Write what is left."""
        self._thread.shutdown(wait=True)


def recording_of(tape: Tape, record: Record, settings: Settings) -> Recording:
    """The exchange without any secret: neither those of the settings nor those that its headers carried."""
    call = tape.call
    carried = _credentials((call.headers, *(request.headers for request in tape.requests)))
    mask = Mask((*settings.secrets(), *carried))
    upstream = tuple(
        Asked(
            provider=request.provider,
            method=request.method,
            url=mask(request.url),
            message=_message(request.headers, request.body, mask),
        )
        for request in tape.requests
    )
    return Recording(
        id=record.id,
        at=record.at,
        protocol=call.protocol,
        operation=call.operation,
        model=mask(call.model),
        stream=call.stream,
        path=mask(path_of(call)),
        request=_message(call.headers, call.body, mask),
        upstream=upstream,
        status=tape.status,
        answer=_message(tape.headers, bytes(tape.answer), mask),
        complete=tape.ended,
        whole=tape.whole,
        decision=document_of(record, mask),
    )


def path_of(call: Call) -> str:
    """Where the client sent it, without a key."""
    if call.protocol == "gemini":
        method = _GEMINI.get(call.operation) or ("streamGenerateContent" if call.stream else "generateContent")
        path = f"/{call.version or 'v1beta'}/models/{quote(call.model, safe='/:')}:{method}"
    else:
        path = _FIXED[call.protocol, call.operation]
    return f"{path}?{call.query}" if call.query else path


def _credentials(sets: Iterable[Headers]) -> Iterator[str]:
    """What the headers carry as credentials: tokens without their scheme, each cookie's value."""
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
        # Every byte is a character of Latin-1, so that ASCII secrets are found in whatever this is.
        masked = mask(body.decode("latin-1")).encode("latin-1")
        return Message(headers=kept, body=base64.b64encode(masked).decode(), binary=True)

"""The one writer of Anthropic event streams.

Blocks are numbered as they open, each is closed before the next, and the stream ends once: by `message_stop`, or by an
`error` event after which nothing follows.
"""

from __future__ import annotations

import msgspec

from bm import sse
from bm.chat.events import End, Event, Failed, Finish, PartDelta, Ping, Start, Usage, UsageUpdate
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.anthropic.arrange import Arranger, DeltaKind
from bm.protocols.anthropic.errors import encode_error
from bm.protocols.anthropic.usage import encode_finish, encode_usage
from bm.protocols.codec import IdFactory

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_MIDDLE: dict[DeltaKind, bytes] = {
    "text_delta": b'{"type":"text_delta","text":',
    "input_json_delta": b'{"type":"input_json_delta","partial_json":',
    "thinking_delta": b'{"type":"thinking_delta","thinking":',
    "signature_delta": b'{"type":"signature_delta","signature":',
}
_json = msgspec.json.Encoder().encode


class _Blocks:
    """Blocks as server-sent events. Gathers bytes until they are taken."""

    def __init__(self) -> None:
        self._index = -1
        self._open = False
        self._prefix = b""
        self._out: list[bytes] = []

    def take(self) -> bytes:
        """What was written since the last time."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def open(self, block: Json) -> None:
        if self._open:
            raise AssertionError("a block begins inside another")
        self._open = True
        self._index += 1
        number = b"%d" % self._index
        self._prefix = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":' + number + b',"delta":'
        )
        start = b'{"type":"content_block_start","index":' + number + b',"content_block":' + _json(block) + b"}"
        self._out.append(sse.encode(start, "content_block_start"))

    def delta(self, kind: DeltaKind, text: str) -> None:
        self._out.append(self._prefix + _MIDDLE[kind] + _json(text) + b"}}\n\n")

    def other(self, delta: Json) -> None:
        self._out.append(self._prefix + _json(delta) + b"}\n\n")

    def close(self) -> None:
        self._open = False
        stop = b'{"type":"content_block_stop","index":%d}' % self._index
        self._out.append(sse.encode(stop, "content_block_stop"))


class AnthropicStreamEncoder:
    """Writes one stream for the client that sent `request`; `model` is the name it shows."""

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        self._blocks = _Blocks()
        self._arranger = Arranger(request, ids, self._blocks)
        self._ids = ids
        self._model = model
        self._id = ""
        self._usage = Usage()
        self._finish: Finish | None = None
        self._started = False
        self._headed = False
        self._ended = False

    def feed(self, event: Event) -> bytes:
        """Return the bytes for one event. The head waits for the first event after `Start` that is no usage."""
        if self._ended:
            return b""
        if isinstance(event, PartDelta):
            self._arranger.feed(event)
            return self._blocks.take()
        match event:
            case Start(id=identity, model=model):
                self._started = True
                self._id = identity if identity.startswith("msg_") else ""
                self._model = self._model or model
                return b""
            case UsageUpdate(usage=usage):
                self._usage = usage
                return b""
            case Failed(failure=failure):
                return self._fail(failure)
            case End():
                return self._end()
            case Ping():
                return self.keepalive()
            case Finish():
                self._finish = event if event.choice == 0 else self._finish
                return self._head()
        self._arranger.feed(event)
        return self._head() + self._blocks.take()

    def keepalive(self) -> bytes:
        """A ping, after the head if that is known: a stream that passes through has its own."""
        if self._ended:
            return b""
        return self._head() + PING if self._started else PING

    def _head(self) -> bytes:
        if self._headed:
            return b""
        self._headed = True
        message: Json = {
            "id": self._id or self._ids.new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(self._usage),
        }
        return sse.encode(_json({"type": "message_start", "message": message}), "message_start")

    def _fail(self, failure: Failure) -> bytes:
        self._ended = True
        _, body = encode_error(failure, "")
        return sse.encode(_json(body), "error")

    def _end(self) -> bytes:
        self._ended = True
        head = self._head()
        self._arranger.finish()
        delta: Json = {
            "type": "message_delta",
            "delta": encode_finish(self._finish, called=self._arranger.called),
            "usage": encode_usage(self._usage),
        }
        return head + self._blocks.take() + sse.encode(_json(delta), "message_delta") + _STOP

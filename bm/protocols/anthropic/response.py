"""Whole answers, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bm.chat.events import End, Event, Failed, Finish, Start, Usage, UsageUpdate
from bm.chat.parts import Json, ToolCall
from bm.chat.request import ChatRequest
from bm.chat.response import parse_arguments, part_events
from bm.errors import Failure, RequestError
from bm.protocols.anthropic.arrange import Arranger, DeltaKind
from bm.protocols.anthropic.content import decode_block
from bm.protocols.anthropic.errors import read_error
from bm.protocols.anthropic.usage import decode_finish, decode_usage, encode_finish, encode_usage
from bm.protocols.anthropic.wire import PROTOCOL
from bm.protocols.codec import IdFactory
from bm.protocols.reading import Unread

_MEMBER: dict[DeltaKind, str] = {
    "text_delta": "text",
    "input_json_delta": "input",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
}


def decode_response(body: Json) -> tuple[Event, ...]:
    """Read an upstream's whole answer. An error body, and anything that is no message, is a failure."""
    failure = read_error(body)
    if failure is not None:
        return (Failed(failure),)
    content = body.get("content")
    if not isinstance(content, list):
        return (Failed(Failure(kind="malformed", message="the answer holds no content array")),)
    try:
        return tuple(_events(body, content))
    except RequestError as error:
        return (Failed(Failure(kind="malformed", message=error.failure.message)),)


def _events(body: Json, content: list[Json]) -> Iterator[Event]:
    yield Start(id=str(body.get("id") or ""), model=str(body.get("model") or ""))
    called = False
    for index, block in enumerate(content):
        part = decode_block(block, f"content[{index}]", Unread(PROTOCOL))
        called = called or isinstance(part, ToolCall)
        yield from part_events(index, part)
    usage = body.get("usage")
    if isinstance(usage, dict):
        yield UsageUpdate(decode_usage(usage))
    yield decode_finish(body, called=called)
    yield End()


class _Content:
    """Blocks as the `content` of a message."""

    def __init__(self) -> None:
        self.blocks: list[Json] = []
        self._block: Json = {}
        self._pieces: dict[str, list[str]] = {}

    def open(self, block: Json) -> None:
        self._block = dict(block)
        self._pieces = {}

    def delta(self, kind: DeltaKind, text: str) -> None:
        self._pieces.setdefault(_MEMBER[kind], []).append(text)

    def other(self, delta: Json) -> None:
        match delta:
            case {"type": "citations_delta", "citation": citation}:
                self._block.setdefault("citations", []).append(citation)
            case _:
                self._block |= {name: value for name, value in delta.items() if name != "type"}

    def close(self) -> None:
        for name, pieces in self._pieces.items():
            text = "".join(pieces)
            self._block[name] = parse_arguments(text) if name == "input" else text
        self.blocks.append(self._block)


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole answer, by the same arrangement of blocks as a stream."""
    content = _Content()
    arranger = Arranger(request, ids, content)
    head, usage, finish = Start(), Usage(), None
    for event in events:
        match event:
            case Start():
                head = event
            case UsageUpdate():
                usage = event.usage
            case Finish(choice=0):
                finish = event
            case _:
                arranger.feed(event)
    arranger.finish()
    return {
        "id": head.id if head.id.startswith("msg_") else ids.new_id("msg_"),
        "type": "message",
        "role": "assistant",
        "model": model or head.model,
        "content": content.blocks,
        **encode_finish(finish, called=arranger.called),
        "usage": encode_usage(usage),
    }

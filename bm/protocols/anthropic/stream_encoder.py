"""Write events as an Anthropic event stream, and fold that stream into a whole message.

Blocks are numbered as they open, each is closed before the next, and the stream ends once: by `message_stop`, or by an
`error` event after which nothing follows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import msgspec

from bm import sse
from bm.chat.arguments import parse_arguments
from bm.chat.events import Event, PartStart, PartWhole, Start, Usage
from bm.chat.parts import Citation, Json, Media, Opaque, Search, Thinking
from bm.chat.request import ChatRequest
from bm.chat.sequence import PartSequencer, PartWriter
from bm.chat.signature import NEXT, REDACTED, SELF, Signature, wrap
from bm.errors import Failure
from bm.names import ANTHROPIC
from bm.protocols.anthropic.citations import encode_search, encode_source
from bm.protocols.anthropic.content import FOREIGN
from bm.protocols.anthropic.errors import encode_error
from bm.protocols.anthropic.usage import encode_finish, encode_usage
from bm.protocols.codec import IdFactory, written
from bm.protocols.tools import legal_call_id, offers_search

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_UNSIGNED = wrap(Signature(FOREIGN, ""), SELF)
_THINKING: Json = {"type": "thinking", "thinking": "", "signature": ""}
_TEXT: Json = {"type": "text", "text": ""}
_json = msgspec.json.Encoder().encode


class _Blocks:
    """Writes blocks as server-sent events. At most one is open."""

    def __init__(self) -> None:
        self._index = -1
        self._prefix = b""

    def open(self, block: Json) -> bytes:
        """Begin a block with what it holds at its start."""
        self._index += 1
        number = b"%d" % self._index
        self._prefix = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":' + number + b',"delta":'
        )
        start = b'{"type":"content_block_start","index":' + number + b',"content_block":' + _json(block) + b"}"
        return sse.encode(start, "content_block_start")

    def prefix(self, kind: str, member: str) -> bytes:
        """What stands before the JSON string of each delta of one kind; `}}` and a blank line stand behind it."""
        return self._prefix + b'{"type":"%b","%b":' % (kind.encode(), member.encode())

    def delta(self, kind: str, **members: object) -> bytes:
        """Add to the open block."""
        return self._prefix + _json({"type": kind, **members}) + b"}\n\n"

    def sign(self, signature: str) -> bytes:
        """Add the signature of the open thinking block, and close it."""
        return self.delta("signature_delta", signature=signature) + self.close()

    def close(self) -> bytes:
        """End the open block."""
        return sse.encode(b'{"type":"content_block_stop","index":%d}' % self._index, "content_block_stop")


class AnthropicStreamEncoder(PartSequencer):
    """Writes one stream for the client that sent `request`; `model` is the name it shows.

    Thinking is shown when the client asked for it. Signatures of other vendors travel in the `signature` of a thinking
    block: of the one before the signed part, or of an empty one put there. Where that is not possible any more, because
    the part has begun, they are left out.
    """

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        super().__init__()
        self.blocks = _Blocks()
        self.thinks = request.reasoning.visible is not None
        self.shows_thinking = request.reasoning.visible is True
        self.searches = offers_search(request)
        self.unsigned = False
        self._called = False
        self._ids = ids
        self._model = model
        self._id = ""
        self._started = False
        self._headed = False

    def start(self, start: Start) -> bytes:
        """Nothing is written before the first event after this one, because usage may come first."""
        self._started = True
        self._id = start.id if start.id.startswith("msg_") else ""
        self._model = self._model or start.model
        return b""

    def head(self, choice: int) -> bytes:
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
            "usage": encode_usage(self.usage or Usage()),
        }
        return sse.encode(_json({"type": "message_start", "message": message}), "message_start")

    def open_part(self, start: PartStart) -> tuple[bytes, PartWriter]:
        match start.kind:
            case "thinking":
                return b"", _ThinkingWriter(self, start.signature)
            case "tool_call":
                self._called = True
                block = {"type": "tool_use", "id": legal_call_id(start.id), "name": start.name, "input": {}}
                out = self.sign_next(start.signature) + self.blocks.open(block)
                return out, _CallWriter(self.blocks, custom=start.tool_kind == "custom")
            case _:
                return b"", _TextWriter(self, start.signature)

    def whole_part(self, event: PartWhole) -> bytes:
        match event.part:
            case Thinking(signature=Signature() as signature, redacted=True) if self.thinks:
                return self.settle() + self._redacted(signature)
            case Media() as media:
                shown = f"[{media.mime or media.kind}: not shown, Anthropic's answers hold no media]"
                return self.sign_next(media.signature) + self._text(shown)
            case Opaque(protocol="anthropic", raw=raw):
                return self.settle() + self._native(raw)
            case Opaque(search=Search() as search):
                blocks = encode_search(search, self._ids) if self.searches else ()
                return self.settle() + b"".join(map(self._native, blocks)) if blocks else b""
            case Opaque(summary=summary):
                return self.settle() + (self._text(summary) if summary else b"")
            case _:
                return b""

    def _redacted(self, signature: Signature) -> bytes:
        if signature.vendor == ANTHROPIC:
            return self.blocks.open({"type": "redacted_thinking", "data": signature.value}) + self.blocks.close()
        return self.blocks.open(_THINKING) + self.blocks.sign(wrap(signature, REDACTED))

    def _native(self, raw: Json) -> bytes:
        """A block of Anthropic's own: a call's input and a compaction come as deltas, everything else at the start."""
        blocks = self.blocks
        match raw:
            case {"type": "server_tool_use" | "mcp_tool_use", "input": given}:
                out = blocks.open({**raw, "input": {}})
                if given:
                    out += blocks.delta("input_json_delta", partial_json=_json(given).decode())
            case {"type": "compaction"}:
                content: Json = {name: raw[name] for name in raw if name in ("content", "encrypted_content")}
                out = blocks.open(raw | dict.fromkeys(content)) + blocks.delta("compaction_delta", **content)
            case _:
                out = blocks.open(raw)
        return out + blocks.close()

    def _text(self, text: str) -> bytes:
        return self.blocks.open(_TEXT) + self.blocks.delta("text_delta", text=text) + self.blocks.close()

    def sign_next(self, signature: Signature | None) -> bytes:
        """Before a part begins: put another vendor's signature of it into the thinking before it."""
        if signature is None or signature.vendor == ANTHROPIC or not self.thinks:
            return self.settle()
        out = b"" if self.unsigned else self.blocks.open(_THINKING)
        self.unsigned = False
        return out + self.blocks.sign(wrap(signature, NEXT))

    def settle(self) -> bytes:
        """Close thinking that waited for the signature of the next part, marked as not Claude's."""
        if not self.unsigned:
            return b""
        self.unsigned = False
        return self.blocks.sign(_UNSIGNED)

    def keepalive(self) -> bytes:
        """A ping, after the head if that is known: a stream that passes through has its own."""
        if self.ended:
            return b""
        return self.head(0) + PING if self._started else PING

    def ping(self) -> bytes:
        return self.keepalive()

    def fail(self, failure: Failure) -> bytes:
        _, body = encode_error(failure, "")
        return sse.encode(_json(body), "error")

    def end(self) -> bytes:
        head = self.head(0)
        delta: Json = {
            "type": "message_delta",
            "delta": encode_finish(self.finishes.get(0), called=self._called),
            "usage": encode_usage(self.usage or Usage()),
        }
        return head + self.settle() + sse.encode(_json(delta), "message_delta") + _STOP


class _ProseWriter(PartWriter):
    """Text, thinking or a refusal. Nothing is written while it is empty."""

    def __init__(self, encoder: AnthropicStreamEncoder, signature: Signature | None) -> None:
        super().__init__(signature)
        self._encoder = encoder
        self._blocks = encoder.blocks
        self._prefix = b""

    def text(self, text: str) -> bytes:
        opened = b"" if self._prefix else self._open()
        return opened + self._prefix + _json(text) + b"}}\n\n"

    @abstractmethod
    def _open(self) -> bytes:
        """Begin the block, and note the prefix of its deltas."""


class _TextWriter(_ProseWriter):
    """Text or a refusal, whose citations wait for its first piece."""

    def __init__(self, encoder: AnthropicStreamEncoder, signature: Signature | None) -> None:
        super().__init__(encoder, signature)
        self._citations: list[Json] = []

    def _open(self) -> bytes:
        out = self._encoder.sign_next(self.signature) + self._blocks.open(_TEXT)
        self._prefix = self._blocks.prefix("text_delta", "text")
        return out + self._cited()

    def cite(self, citation: Citation) -> bytes:
        """Claude's own citations are written as they are; other vendors' for a client that asked for a search."""
        if citation.protocol == ANTHROPIC:
            self._citations.append(citation.raw)
        elif self._encoder.searches:
            self._citations += map(encode_source, citation.sources)
        return self._cited() if self._prefix else b""

    def _cited(self) -> bytes:
        cited, self._citations = self._citations, []
        return b"".join(self._blocks.delta("citations_delta", citation=raw) for raw in cited)

    def end(self) -> bytes:
        return self._blocks.close() if self._prefix else b""


class _ThinkingWriter(_ProseWriter):
    """Thinking, whose signature may come at its end, or with the part after it."""

    def text(self, text: str) -> bytes:
        return super().text(text) if self._encoder.shows_thinking else b""

    def _open(self) -> bytes:
        out = self._encoder.settle() + self._blocks.open(_THINKING)
        self._prefix = self._blocks.prefix("thinking_delta", "thinking")
        return out

    def end(self) -> bytes:
        signature = self.signature
        if signature is None or not self._encoder.thinks:
            self._encoder.unsigned |= bool(self._prefix)
            return b""
        opened = b"" if self._prefix else self._open()
        value = signature.value if signature.vendor == ANTHROPIC else wrap(signature, SELF)
        return opened + self._blocks.sign(value)


class _CallWriter(PartWriter):
    """A call. A block's input must be an object: its pieces are passed on, anything else is held to the end."""

    def __init__(self, blocks: _Blocks, *, custom: bool) -> None:
        super().__init__()
        self._blocks, self._custom = blocks, custom
        self._begun = False
        self._held = ""

    def text(self, text: str) -> bytes:
        if self._custom:
            text = _json(text).decode()[1:-1]
        if not self._begun:
            text = '{"input":"' + text if self._custom else self._held + text
            self._begun = text.lstrip().startswith("{")
            if not self._begun:
                self._held = text
                return b""
        return self._piece(text)

    def _piece(self, text: str) -> bytes:
        return self._blocks.prefix("input_json_delta", "partial_json") + _json(text) + b"}}\n\n"

    def end(self) -> bytes:
        if self._custom:
            rest = '"}' if self._begun else '{"input":""}'
        else:
            # Arguments that do not begin with a brace may be an object that was encoded twice.
            rest = _json(arguments).decode() if (arguments := parse_arguments(self._held)) and not self._begun else ""
        return (self._piece(rest) if rest else b"") + self._blocks.close()


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole message: the fold of the stream."""
    message: Json = {}
    pieces: list[str] = []
    for item in written(AnthropicStreamEncoder(request, ids, model=model), events):
        match item:
            case {"type": "message_start"}:
                message = item["message"]
            case {"type": "content_block_start"}:
                message["content"].append(item["content_block"])
                pieces = []
            case {"type": "content_block_delta"}:
                _add(message["content"][-1], item["delta"], pieces)
            case {"type": "content_block_stop"} if pieces:
                message["content"][-1]["input"] = parse_arguments("".join(pieces))
            case {"type": "message_delta"}:
                message |= {**item["delta"], "usage": item["usage"]}
    return message


def _add(block: Json, delta: Json, pieces: list[str]) -> None:
    match delta:
        case {"type": "input_json_delta"}:
            pieces.append(delta["partial_json"])
        case {"type": "citations_delta"}:
            block.setdefault("citations", []).append(delta["citation"])
        case {"type": "compaction_delta"}:
            block |= {name: value for name, value in delta.items() if name != "type"}
        case _:
            [(name, text)] = [(name, value) for name, value in delta.items() if name != "type"]
            block[name] += text

"""Write events as a stream of chunks, and fold that stream into a whole completion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bm.chat.events import Event, Finish, PartStart, PartWhole, Start
from bm.chat.parts import Citation, Json, Media, Opaque, Part
from bm.chat.request import ChatRequest
from bm.chat.sequence import PartSequencer, PartWriter
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.names import CHAT
from bm.protocols.codec import IdFactory, written
from bm.protocols.media import data_url
from bm.protocols.openai.citations import encode_citation
from bm.protocols.openai.errors import error_object
from bm.protocols.openai_chat.thinking import write_signature
from bm.protocols.openai_chat.usage import encode_usage, finish_word
from bm.protocols.tools import free_text

_CALLS = {"tool_calls", "function_call"}
_encode = msgspec.json.Encoder().encode


class _Choice:
    """What a choice has shown so far. `length` is that of its content, in characters."""

    def __init__(self) -> None:
        self.calls = 0
        self.length = 0
        self.refused = False


class ChatStreamEncoder(PartSequencer):
    """Writes one client's stream."""

    several_choices = True

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        super().__init__()
        self._request = request
        self._ids = ids
        self._model = model
        self._visible = request.reasoning.visible is True
        self._custom = frozenset(tool.name for tool in request.tools if tool.kind == "custom")
        self._choices: dict[int, _Choice] = {}
        self._head = b""
        self._tail = b',"usage":null}\n\n' if request.stream_usage else b"}\n\n"

    def start(self, start: Start) -> bytes:
        self._model = self._model or start.model
        return self.head(0)

    def head(self, choice: int) -> bytes:
        """The chunk with the role."""
        if choice in self._choices:
            return b""
        if not self._head:
            head = {"id": self._ids.new_id("chatcmpl-"), "object": "chat.completion.chunk", "created": self._ids.now}
            self._head = b"data: " + _encode(head | {"model": self._model})[:-1] + b',"choices":['
        self._choices[choice] = _Choice()
        return self.chunk(choice, {"role": "assistant", "content": "", "refusal": None})

    def chunk(self, choice: int, delta: Json, finish: str | None = None, more: bytes = b"") -> bytes:
        """One chunk of a choice, with `more` members of its own."""
        body = {"index": choice, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._head + _encode(body) + b"]" + more + self._tail

    def around(self, choice: int, before: bytes, after: bytes) -> tuple[bytes, bytes]:
        """What stands around the JSON string in a chunk whose delta is `before`, the string, `after`."""
        head = self._head + b'{"index":%d,"delta":' % choice + before
        return head, after + b',"logprobs":null,"finish_reason":null}]' + self._tail

    def open_part(self, start: PartStart) -> tuple[bytes, PartWriter]:
        choice = self._choices[start.choice]
        match start.kind:
            case "text":
                return b"", _TextWriter(self, start.choice, choice)
            case "refusal":
                choice.refused = True
                return b"", _PieceWriter(*self.around(start.choice, b'{"refusal":', b"}"))
            case "thinking" if self._visible:
                return b"", _PieceWriter(*self.around(start.choice, b'{"reasoning_content":', b"}"))
            case "tool_call" if not choice.calls or not self._request.legacy_functions:
                choice.calls += 1
                return self._open_call(start, choice.calls - 1)
            case _:
                # Thinking that is not shown, or a second call where `function_call` has room for one.
                return b"", PartWriter()

    def _open_call(self, start: PartStart, number: int) -> tuple[bytes, PartWriter]:
        if self._request.legacy_functions:
            begun = self.chunk(start.choice, {"function_call": {"name": start.name, "arguments": ""}})
            around = self.around(start.choice, b'{"function_call":{"arguments":', b"}}")
            return begun, _CallWriter(self, start.choice, None, around, "{}")
        call: Json = {"index": number, "id": start.id}
        custom = start.tool_kind == "custom" or start.name in self._custom
        kind, member = ("custom", "input") if custom else ("function", "arguments")
        call |= {"type": kind, kind: {"name": start.name, member: ""}, **write_signature(start.signature)}
        begun = self.chunk(start.choice, {"tool_calls": [call]})
        before = b'{"tool_calls":[{"index":%d,"%b":{"%b":' % (number, kind.encode(), member.encode())
        around = self.around(start.choice, before, b"}}]}")
        writer = _UnwrappingWriter if custom and start.tool_kind != "custom" else _CallWriter
        return begun, writer(self, start.choice, number, around, "" if custom else "{}")

    def whole_part(self, event: PartWhole) -> bytes:
        delta = _whole_delta(event.part)
        if delta is None:
            return b""
        self._choices[event.choice].length += len(delta.get("content") or "")
        return self.chunk(event.choice, delta)

    def ping(self) -> bytes:
        return self.keepalive()

    def fail(self, failure: Failure) -> bytes:
        return b"data: " + _encode({"error": error_object(failure)}) + b"\n\n"

    def end(self) -> bytes:
        out = [] if self._choices else [self.head(0)]
        for number, choice in sorted(self._choices.items()):
            finish = self.finishes.get(number, Finish("stop"))
            if finish.reason == "refusal" and finish.explanation and not choice.refused:
                out.append(self.chunk(number, {"refusal": finish.explanation}))
            word = finish_word(finish.reason, calls=choice.calls > 0, legacy=self._request.legacy_functions)
            last = number == max(self._choices)
            out.append(self.chunk(number, {}, word, self._groq_usage() if last else b""))
        if self._request.stream_usage and self.usage is not None:
            out.append(self._head + b'],"usage":' + _encode(encode_usage(self.usage)) + b"}\n\n")
        return b"".join([*out, b"data: [DONE]\n\n"])

    def _groq_usage(self) -> bytes:
        """The usage where Groq's own streams have it (console.groq.com/docs/api-reference)."""
        if not self._request.groq_usage or self.usage is None:
            return b""
        return b',"x_groq":' + _encode({"id": self._ids.new_id("req_"), "usage": encode_usage(self.usage)})


def _whole_delta(part: Part) -> Json | None:
    """The members that show a part to a client; None where the protocol has nothing for it.

    Images go where OpenRouter and LiteLLM put them, in `images`: OpenAI's own models draw none in a chat.
    """
    match part:
        case Media(kind="image") if part.url or part.data:
            return {"images": [{"type": "image_url", "image_url": {"url": part.url or data_url(part)}}]}
        case Media(text=text) if text:
            return {"content": text}
        case Opaque(search=None, summary=summary) if summary:
            return {"content": summary}
        case _:
            return None


class _PieceWriter(PartWriter):
    """A part whose pieces are written as they come, between bytes that are prepared once."""

    def __init__(self, head: bytes, tail: bytes) -> None:
        super().__init__()
        self._head, self._tail = head, tail

    def text(self, text: str) -> bytes:
        return self._head + _encode(text) + self._tail


class _TextWriter(_PieceWriter):
    """Text. Citations wait for its end, since they may be about all of it."""

    def __init__(self, encoder: ChatStreamEncoder, number: int, choice: _Choice) -> None:
        super().__init__(*encoder.around(number, b'{"content":', b"}"))
        self._encoder, self._number, self._choice = encoder, number, choice
        self._length = 0
        self._citations: list[Citation] = []

    def text(self, text: str) -> bytes:
        self._length += len(text)
        return self._head + _encode(text) + self._tail

    def cite(self, citation: Citation) -> bytes:
        self._citations.append(citation)
        return b""

    def end(self) -> bytes:
        begun = self._choice.length
        self._choice.length += self._length
        notes = [note for cited in self._citations for note in encode_citation(cited, CHAT, begun, self._choice.length)]
        return self._encoder.chunk(self._number, {"annotations": notes}) if notes else b""


class _CallWriter(_PieceWriter):
    """A call; `number` is its place among the choice's calls, None in the first form of the API.

    `empty` is written where no piece comes: an empty string is no JSON, and clients parse it.
    """

    def __init__(
        self, encoder: ChatStreamEncoder, choice: int, number: int | None, around: tuple[bytes, bytes], empty: str
    ) -> None:
        super().__init__(*around)
        self._encoder, self._choice, self._number, self._missing = encoder, choice, number, empty

    def text(self, text: str) -> bytes:
        self._missing = ""
        return self._head + _encode(text) + self._tail

    def sign(self, signature: Signature) -> bytes:
        members = write_signature(signature)
        if self._number is None or not members:
            return b""
        return self._encoder.chunk(self._choice, {"tool_calls": [{"index": self._number, **members}]})

    def end(self) -> bytes:
        return self.text(self._missing) if self._missing else b""


class _UnwrappingWriter(_CallWriter):
    """A call of a custom tool whose free text an upstream that knows only functions has wrapped in an object."""

    def __init__(self, *members: Any) -> None:
        super().__init__(*members)
        self._held: list[str] = []

    def text(self, text: str) -> bytes:
        self._held.append(text)
        return b""

    def end(self) -> bytes:
        return super().text(free_text("".join(self._held)))


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole completion: the fold of the stream."""
    request = msgspec.structs.replace(request, stream_usage=True)
    chunks = written(ChatStreamEncoder(request, ids, model=model), events)
    choices: dict[int, Json] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        whole = choices.setdefault(choice["index"], {"message": {}})
        _merge(whole["message"], choice["delta"])
        whole["finish_reason"] = choice["finish_reason"]
    body = {name: chunks[0][name] for name in ("id", "created", "model")}
    body |= {"object": "chat.completion", "choices": [_closed(number, choices[number]) for number in sorted(choices)]}
    return body | ({"usage": usage} if (usage := chunks[-1]["usage"]) else {})


def _merge(message: Json, delta: Json) -> None:
    """Add a delta: strings and arrays grow, and an element of an array that has an index is that element's delta."""
    for name, value in delta.items():
        known = message.get(name)
        if isinstance(known, dict):
            _merge(known, value)
        elif isinstance(known, list):
            for row in value:
                if row.get("index", len(known)) < len(known):
                    _merge(known[row["index"]], row)
                else:
                    known.append(row)
        elif isinstance(known, str):
            message[name] = known + value
        elif known is None or value is not None:
            message[name] = value


def _closed(number: int, choice: Json) -> Json:
    """A choice without what only its stream says."""
    message, finish = choice["message"], choice["finish_reason"]
    for call in message.get("tool_calls", ()):
        del call["index"]
    if not message["content"] and (finish == "content_filter" or message["refusal"] or message.keys() & _CALLS):
        message["content"] = None
    return {"index": number, "message": message, "logprobs": None, "finish_reason": finish}

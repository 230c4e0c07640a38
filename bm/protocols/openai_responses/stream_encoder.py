"""The only writer of Responses streams.

One item is open at a time, since the official SDK's `responses.stream()` puts pieces on the item by its index and
other clients are less patient; parts that an upstream interleaves wait for their turn. The last event holds the whole
response, which is also what a client that does not stream gets.
"""

from __future__ import annotations

from typing import Any

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Json, Media, Opaque, Part, Search, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import ChatRequest
from bm.chat.response import part_events
from bm.chat.signature import NEXT, PREVIOUS, REDACTED, SELF, Signature, wrap
from bm.errors import Failure
from bm.names import RESPONSES
from bm.protocols.codec import IdFactory
from bm.protocols.openai.citations import encode_citation, encode_search
from bm.protocols.openai.errors import error_object
from bm.protocols.openai_responses.encode import ENCRYPTED
from bm.protocols.openai_responses.errors import stream_error
from bm.protocols.openai_responses.outputs import (
    Call,
    ConvertedCall,
    Item,
    Message,
    Reasoning,
    Writer,
    call_item,
    head,
    whole,
)
from bm.protocols.openai_responses.tools import by_name, native_type, wire_name
from bm.protocols.openai_responses.usage import encode_usage, ending
from bm.protocols.tools import offers_search


class _Waiting:
    """A part that began while another is open: its events, until its turn comes."""

    def __init__(self, start: PartStart | None, whole: Part | None = None) -> None:
        self.start, self.whole = start, whole
        self.signature = start.signature if start is not None else None
        self.inside: list[PartDelta | PartAnnotation] = []
        self.ended = whole is not None


class ResponsesStreamEncoder:
    """Writes one stream."""

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        self._request, self._ids, self._model = request, ids, model
        self._tools = by_name(request)
        self._writer = Writer()
        self._begun = self._over = False
        self._output: list[Json] = []
        self._open: tuple[PartStart, Item] | None = None
        self._signature: Signature | None = None
        self._last_signature: Signature | None = None
        self._queue: dict[int, _Waiting] = {}
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._refused = False
        include = [extra.value for extra in request.extras if (extra.protocol, extra.field) == (RESPONSES, "include")]
        self._carries = any(isinstance(value, list) and ENCRYPTED in value for value in include)
        self._searches = offers_search(request)
        self._citations: list[Citation] = []
        self.response: Json = {}

    def feed(self, event: Event) -> bytes:
        """Return the bytes to send for one event."""
        if self._over:
            return b""
        match event:
            case PartDelta() if self._open is not None and self._open[0].index == event.index:
                return self._open[1].delta(event.text)
            case Failed(failure=failure):
                return self._fail(failure)
            case Ping():
                return b""
            case UsageUpdate(usage=usage):
                self._usage = usage
                return b""
            case Finish() if event.choice == 0:
                self._finish = event
                return b""
            case _:
                return self._begin() + self._content(event)

    def continue_after(self, number: int) -> None:
        """Number the events from here after one that another has written."""
        self._writer.continue_after(number)

    def keepalive(self) -> bytes:
        """A comment, which every SDK skips."""
        return b": keep-alive\n\n"

    def _content(self, event: Event) -> bytes:
        match event:
            case PartStart() if event.choice == 0:
                return self._start(event)
            case PartWhole() if event.choice == 0:
                return self._whole(event)
            case PartDelta() | PartAnnotation() | PartSignature() | PartEnd():
                return self._within(event)
            case End():
                return self._end()
            case _:
                return b""

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        self.response = head(self._request, self._ids.new_id("resp_"), self._model, self._ids.now)
        created = self._writer.event("response.created", response=self.response)
        return created + self._writer.event("response.in_progress", response=self.response)

    def _start(self, start: PartStart) -> bytes:
        if self._open is None:
            return self._open_part(start, start.signature)
        self._queue[start.index] = _Waiting(start)
        return b""

    def _whole(self, event: PartWhole) -> bytes:
        if self._open is None:
            return self._write_whole(event.part)
        self._queue[event.index] = _Waiting(None, event.part)
        return b""

    def _within(self, event: PartDelta | PartAnnotation | PartSignature | PartEnd) -> bytes:
        if self._open is not None and self._open[0].index == event.index:
            match event:
                case PartDelta():
                    return self._open[1].delta(event.text)
                case PartAnnotation():
                    return self._annotate(event)
                case PartSignature():
                    self._signature = event.signature
                    return b""
                case PartEnd():
                    return self._close_part() + self._drain()
        waiting = self._queue.get(event.index)
        if waiting is not None:
            match event:
                case PartDelta() | PartAnnotation():
                    waiting.inside.append(event)
                case PartSignature():
                    waiting.signature = event.signature
                case PartEnd():
                    waiting.ended = True
        return b""

    def _open_part(self, start: PartStart, signature: Signature | None) -> bytes:
        self._signature = signature if start.kind == "thinking" else None
        out = b"" if signature is None or start.kind == "thinking" else self._carry(signature, NEXT)
        at = len(self._output)
        match start.kind:
            case "thinking":
                self._open = start, Reasoning(self._writer, at, self._ids.new_id("rs_"))
                return out
            case "tool_call":
                return out + self._open_call(start, at)
            case kind:
                refusal = kind == "refusal"
                self._refused |= refusal
                message = Message(self._writer, at, self._ids.new_id("msg_"), refusal=refusal)
                self._open = start, message
                return out + message.start()

    def _open_call(self, start: PartStart, at: int) -> bytes:
        call_id = start.id or self._ids.new_id("call_")
        tool = self._tools.get(start.name)
        if tool is not None and (native_type(tool) or tool.kind != start.tool_kind):
            item_id = self._ids.new_id(_PREFIX.get(native_type(tool) or tool.kind, "fc_"))
            call = ToolCall(call_id, start.name, {}, kind=start.tool_kind)
            self._open = start, ConvertedCall(self._writer, at, (item_id, call_id), call, tool)
            return b""
        item, field = call_item(start.tool_kind, call_id, wire_name(start.name, self._tools))
        opened = Call(self._writer, at, self._ids.new_id(_PREFIX.get(start.tool_kind, "fc_")), item, field)
        self._open = start, opened
        return opened.start()

    def _annotate(self, event: PartAnnotation) -> bytes:
        """Citations wait for the end of their text, since they may be about all of it."""
        self._citations.append(Citation(event.protocol, event.raw, event.sources))
        return b""

    def _close_part(self) -> bytes:
        assert self._open is not None
        (start, item), self._open = self._open, None
        signature, self._signature = self._signature, None
        own = start.kind == "thinking" and signature is not None
        out = self._cite(item)
        out += item.end(_spelled(signature, SELF) if own and signature is not None else "")
        if item.final is not None:
            self._output.append(item.final)
        if signature is not None and not own:
            out += self._carry(signature, PREVIOUS)
        return out

    def _cite(self, item: Item) -> bytes:
        citations, self._citations = self._citations, []
        if not isinstance(item, Message):
            return b""
        notes = [note for cited in citations for note in encode_citation(cited, RESPONSES, 0, item.length)]
        return b"".join([item.annotate(note) for note in notes])

    def _drain(self) -> bytes:
        """Write what waits, in the order in which it began, up to the first part that is not complete."""
        out = b""
        while self._queue and self._open is None:
            index = next(iter(self._queue))
            waiting = self._queue.pop(index)
            if waiting.whole is not None:
                out += self._write_whole(waiting.whole)
            elif waiting.start is not None:
                out += self._open_part(waiting.start, waiting.signature)
                for event in waiting.inside:
                    out += self._within(event)
                if waiting.ended:
                    out += self._close_part()
        return out

    def _carry(self, signature: Signature, about: str) -> bytes:
        """A reasoning item that hands another vendor's signature through a client which knows only OpenAI's.

        Only a client that asked for encrypted reasoning sends it back. A signature that was written already is not
        written again: Gemini bills it twice.
        """
        last, self._last_signature = self._last_signature, signature
        if not self._carries or (last is not None and last.spelling == signature.spelling):
            return b""
        carrier = Reasoning(self._writer, len(self._output), self._ids.new_id("rs_"))
        out = carrier.end(wrap(signature, about))
        self._output.append(carrier.final or {})
        return out

    def _write_whole(self, part: Part) -> bytes:
        match part:
            case Thinking(redacted=True, signature=Signature() as signature):
                return self._carry(signature, REDACTED)
            case Opaque(protocol="openai-responses") if isinstance(part.raw.get("id"), str):
                return self._item(part.raw)
            case Opaque(search=Search() as search):
                item = encode_search(search, self._ids.new_id("ws_")) if self._searches else None
                return self._item(item) if item is not None else b""
            case Opaque(summary=summary):
                return self._parts_of(Text(summary)) if summary else b""
            case Media(kind="image", data=data) if data:
                kind = {"id": self._ids.new_id("ig_"), "type": "image_generation_call"}
                return self._item({**kind, "status": "completed", "result": data})
            case Media():
                return self._parts_of(Text((part.url and f"![]({part.url})") or f"[{part.mime or part.kind}]"))
            case ToolResult():
                return b""
            case _:
                return self._parts_of(part)

    def _item(self, item: Json) -> bytes:
        out = whole(self._writer, len(self._output), item)
        self._output.append(item)
        return out

    def _parts_of(self, part: Part) -> bytes:
        out = b""
        for event in part_events(-1, part):
            out += self._open_part(event, event.signature) if isinstance(event, PartStart) else self._content(event)
        return out

    def _end(self) -> bytes:
        out = b""
        while self._open is not None:
            out += self._close_part() + self._drain()
        finish = self._finish
        status, reason = ending(finish, refused=self._refused)
        if finish is not None and finish.reason == "refusal" and finish.explanation and not self._refused:
            start = PartStart(-1, "refusal")
            out += self._open_part(start, None) + self._content(PartDelta(-1, finish.explanation)) + self._close_part()
        return out + self._terminal(status, incomplete_details={"reason": reason} if reason else None)

    def _fail(self, failure: Failure) -> bytes:
        if not self._begun:
            self._over = True
            error = error_object(failure)
            return self._writer.event("error", code=error["code"], message=failure.message, param=error["param"])
        return self._terminal("failed", error=stream_error(failure))

    def _terminal(self, status: str, **members: Any) -> bytes:
        self._over = True
        usage = encode_usage(self._usage) if self._usage is not None else None
        self.response = {**self.response, "status": status, "output": self._output, "usage": usage, **members}
        return self._writer.event(f"response.{status}", response=self.response)


_PREFIX = {"custom": "ctc_", "apply_patch": "apc_", "shell": "sh_", "local_shell": "lsh_"}


def _spelled(signature: Signature, about: str) -> str:
    return signature.value if signature.vendor == "openai" else wrap(signature, about)

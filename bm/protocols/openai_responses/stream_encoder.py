"""Write events as a Responses stream.

One item is open at a time, since the official SDK's `responses.stream()` puts pieces on the item by its index and
other clients are less patient. The last event holds the whole response, which is also what a client that does not
stream gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bm.chat.events import Event, PartStart, PartWhole
from bm.chat.parts import Json, Media, Opaque, Search, Thinking
from bm.chat.request import ChatRequest
from bm.chat.sequence import HeldWriter, PartSequencer, PartWriter
from bm.chat.signature import NEXT, REDACTED, Signature
from bm.errors import Failure
from bm.names import RESPONSES
from bm.protocols.codec import IdFactory
from bm.protocols.compaction import COMPACTIONS, asks_to_compact, compaction_item
from bm.protocols.openai.citations import encode_search
from bm.protocols.openai.errors import error_object
from bm.protocols.openai_responses.encode import ENCRYPTED
from bm.protocols.openai_responses.errors import stream_error
from bm.protocols.openai_responses.items import call_item
from bm.protocols.openai_responses.outputs import Call, ConvertedCall, Message, Output, Reasoning, response_head
from bm.protocols.openai_responses.tools import by_name, native_type, wire_name
from bm.protocols.openai_responses.usage import encode_usage, ending
from bm.protocols.tools import offers_search

_PREFIX = {"custom": "ctc_", "tool_search": "tsc_", "apply_patch": "apc_", "shell": "sh_", "local_shell": "lsh_"}


class ResponsesStreamEncoder(PartSequencer):
    """Writes one stream for the client that sent `request`; `model` is the name it shows.

    Of thinking a summary is shown. `response` is the whole response as far as it is known.
    """

    def __init__(self, request: ChatRequest, ids: IdFactory, *, model: str) -> None:
        super().__init__()
        self._request, self._ids, self._model = request, ids, model
        self._tools = by_name(request)
        include = [extra.value for extra in request.extras if (extra.protocol, extra.field) == (RESPONSES, "include")]
        self._output = Output(ids, carries=any(isinstance(value, list) and ENCRYPTED in value for value in include))
        self._searches = offers_search(request)
        self._refused = False
        self._compacts = asks_to_compact(request)
        self._summaries: list[HeldWriter] = []
        self.response: Json = {}

    def continue_after(self, number: int) -> None:
        """Number the events from here after one that another has written."""
        self._output.continue_after(number)

    def head(self, choice: int) -> bytes:
        if self.response:
            return b""
        self.response = response_head(self._request, self._ids.new_id("resp_"), self._model, self._ids.now)
        created = self._output.event("response.created", response=self.response)
        return created + self._output.event("response.in_progress", response=self.response)

    def open_part(self, start: PartStart) -> tuple[bytes, PartWriter]:
        if self._compacts and start.kind != "thinking":
            held = HeldWriter()
            self._summaries += [held] if start.kind == "text" else []
            return b"", held
        if start.kind == "thinking":
            return b"", Reasoning(self._output, self._ids.new_id("rs_"), start.signature)
        carried = self._output.carry(start.signature, NEXT)
        if start.kind == "tool_call":
            begun, call = self._open_call(start)
            return carried + begun, call
        self._refused |= start.kind == "refusal"
        message = Message(self._output, self._ids.new_id("msg_"), refusal=start.kind == "refusal")
        return carried + message.begin(), message

    def _open_call(self, start: PartStart) -> tuple[bytes, PartWriter]:
        tool = self._tools.get(start.name)
        native, kind = native_type(tool), tool.kind if tool is not None else start.tool_kind
        item_id = self._ids.new_id(_PREFIX.get(native or kind, "fc_"))
        if tool is not None and (native or kind != start.tool_kind):
            return b"", ConvertedCall(self._output, item_id, start.id, start.tool_kind, tool)
        call = Call(self._output, item_id, *call_item(start.tool_kind, start.id, wire_name(start.name, self._tools)))
        return call.begin(), call

    def whole_part(self, event: PartWhole) -> bytes:
        match event.part:
            case Thinking(redacted=True, signature=Signature() as signature):
                return self._output.carry(signature, REDACTED)
            case Opaque(protocol="openai-responses", raw=raw) if isinstance(raw.get("id"), str):
                return self._output.whole(raw)
            case Opaque(search=Search() as search):
                item = encode_search(search, self._ids.new_id("ws_")) if self._searches else None
                return self._output.whole(item) if item is not None else b""
            case Opaque(summary=summary):
                return self._message(summary) if summary else b""
            case Media(kind="image", data=data) if data:
                kind = {"id": self._ids.new_id("ig_"), "type": "image_generation_call"}
                return self._output.whole({**kind, "status": "completed", "result": data})
            case Media() as media:
                return self._message((media.url and f"![]({media.url})") or f"[{media.mime or media.kind}]")
            case _:
                return b""

    def _message(self, text: str, *, refusal: bool = False) -> bytes:
        message = Message(self._output, self._ids.new_id("msg_"), refusal=refusal)
        return message.begin() + message.text(text) + message.end()

    def end(self) -> bytes:
        out, finish = self.head(0), self.finishes.get(0)
        if self._compacts and not any(item["type"] in COMPACTIONS for item in self._output.items):
            if not (summary := "".join(piece for held in self._summaries for piece in held.pieces).strip()):
                failure = Failure(kind="malformed", message="the model wrote no summary of the conversation")
                return out + self.fail(failure)
            out += self._output.whole(compaction_item(summary, self._ids.new_id("cmp_")))
        status, reason = ending(finish, refused=self._refused)
        if finish is not None and finish.reason == "refusal" and finish.explanation and not self._refused:
            out += self._message(finish.explanation, refusal=True)
        return out + self._terminal(status, incomplete_details={"reason": reason} if reason else None)

    def fail(self, failure: Failure) -> bytes:
        if not self.response:
            error = error_object(failure)
            return self._output.event("error", code=error["code"], message=failure.message, param=error["param"])
        return self._terminal("failed", error=stream_error(failure))

    def _terminal(self, status: str, **members: Any) -> bytes:
        usage = encode_usage(self.usage) if self.usage is not None else None
        self.response = {**self.response, "status": status, "output": self._output.items, "usage": usage, **members}
        return self._output.event(f"response.{status}", response=self.response)


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole response: what the stream ends with."""
    encoder = ResponsesStreamEncoder(request, ids, model=model)
    for event in events:
        encoder.feed(event)
    return encoder.response

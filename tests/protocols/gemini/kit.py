"""What the tests of the codec share: short spellings of requests, chunks and events."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

from bm import sse
from bm.chat.capabilities import Capabilities
from bm.chat.events import (
    End,
    Event,
    Finish,
)
from bm.chat.parts import Media, Opaque, Text, Thinking, ToolCall
from bm.chat.request import (
    ChatRequest,
    HostedTool,
    Reasoning,
    Tool,
    Turn,
)
from bm.chat.signature import Signature
from bm.protocols.codec import Encoded
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids
from tests.support import grammar_gemini
from tests.support.events import check

S = "c2lnbmF0dXJl"


SIGNED = Signature("gemini", S)


def chunk(*parts: dict[str, Any], finish: Any = None, index: int | None = None, **members: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish is not None:
        candidate["finishReason"] = finish
    if index is not None:
        candidate["index"] = index
    return {"candidates": [candidate], "modelVersion": "gemini-3", "responseId": "r", **members}


def call_part(name: str, signature: str = "", **members: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": {"a": 1}, **members}}
    return {**part, "thoughtSignature": signature} if signature else part


def reported(*chunks: Any) -> list[Event]:
    decoder = CODEC.stream_decoder(ids())
    events = [event for c in chunks for event in decoder.feed(sse.Event(json.dumps(c).encode()))]
    events += decoder.close()
    check(events)
    assert not decoder.feed(sse.Event(b"{}")) and not decoder.close(), "the decoder speaks after the end"
    return events


GEMINI = Signature("gemini", "c2ln")


def client(*, visible: bool = True) -> ChatRequest:
    return ChatRequest(protocol="gemini", model="m", turns=(), reasoning=Reasoning(visible=visible))


def sent(events: list[Event], *, visible: bool = True) -> bytes:
    encoder = CODEC.stream_encoder(client(visible=visible), ids(), model="m")
    return b"".join(encoder.feed(event) for event in events)


def parts(events: list[Event], *, visible: bool = True) -> list[dict[str, Any]]:
    """The parts of a stream that is whole, without the empty text of its last chunk."""
    chunks = grammar_gemini.check(sent([*events, Finish("stop"), End()], visible=visible), complete=True)
    return [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]][:-1]


CONTENTS = [{"role": "user", "parts": [{"text": "hi"}]}]


def read(**body: Any) -> ChatRequest:
    body = {"contents": CONTENTS, **body}
    before = copy.deepcopy(body)
    request = CODEC.decode_request(body, model="m", stream=True)
    assert body == before
    return request


CAPABLE = Capabilities(signatures_required=True)


OLD = Capabilities(json_schema=False, media_in_results=False, call_ids=False, search_with_tools=False)


HI = Turn("user", (Text("hi"),))


def encoded(*turns: Turn, capabilities: Capabilities = CAPABLE, protocol: Any = "anthropic", **members: Any) -> Encoded:
    request = ChatRequest(protocol=protocol, model="m", turns=turns or (HI,), **members)
    return CODEC.encode_request(request, capabilities, model="gemini-x")


def contents(*turns: Turn, capabilities: Capabilities = CAPABLE) -> Any:
    return encoded(*turns, capabilities=capabilities).body["contents"]


def call(id: str = "i", name: str = "f", signature: Signature | None = None, **arguments: Any) -> ToolCall:
    return ToolCall(id, name, arguments, signature=signature)


def user(*parts: Any) -> Turn:
    return Turn("user", parts)


def model(*parts: Any) -> Turn:
    return Turn("assistant", parts)


def wire_call(id: str = "i", name: str = "f", signature: str = "", **args: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"id": id, "name": name, "args": args}}
    return {**part, "thoughtSignature": signature} if signature else part


def wire_result(id: str = "i", name: str = "f", **response: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": id, "name": name, "response": response}}


PNG = Media("image", mime="image/png", data="iVBORw0")


INLINE_PNG = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0"}}


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


F = Tool("f", "d", SCHEMA)


S1, S2 = Signature("gemini", "c2ln"), Signature("gemini", "b3RoZXI=")
CLAUDE = Signature("anthropic", "EqQBCg==", family="claude")


def tools(
    *held: Tool, hosted: tuple[HostedTool, ...] = (), capabilities: Capabilities = CAPABLE, **members: Any
) -> Any:
    body = encoded(capabilities=capabilities, tools=held, hosted_tools=hosted, **members).body
    return body.get("tools"), body.get("toolConfig")


TEXTS = st.text(min_size=1, max_size=4)


SIGNATURES = st.sampled_from([None, GEMINI, Signature("gemini", "b3RoZXI="), CLAUDE])


PART = st.one_of(
    st.builds(Text, TEXTS, signature=SIGNATURES),
    st.builds(Thinking, TEXTS, signature=SIGNATURES),
    st.builds(
        lambda n, a, s: ToolCall(f"id_{n}", n, a, signature=s),
        st.sampled_from("fg"),
        st.dictionaries(TEXTS, st.integers(0, 9), max_size=2),
        SIGNATURES,
    ),
    st.just(Media("image", mime="image/png", data="aaaa")),
    st.just(Opaque("gemini", "novelty", {"novelty": {}})),
    st.just(Opaque("openai", "x", {}, "summary")),
)

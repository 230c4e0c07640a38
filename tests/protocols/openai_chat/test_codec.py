"""The codec as a whole: what it can express comes back as it was."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.events import End, Event
from bm.chat.parts import Media, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import paired
from bm.chat.request import ChatRequest, OutputFormat, Reasoning, Sampling, Tool, ToolChoice, Turn
from bm.chat.signature import Signature
from bm.errors import Failure
from bm.protocols.errors import decode_error
from bm.protocols.openai_chat.codec import CODEC
from tests.protocols.openai_chat.kit import answer, chunk, client_request, decode, ids, read, stream

SIGNED = Dialect(takes=frozenset({"top_k", "video_url", "extra_content"}))
FULL = Capabilities(
    thinking="effort",
    levels=("minimal", "low", "medium", "high", "xhigh", "max"),
    thinking_off="say",
    audio=True,
    video=True,
    replay="reasoning",
    dialect=SIGNED,
)
WORDS = st.text(min_size=1, max_size=6)
ARGUMENTS: st.SearchStrategy[Any] = st.dictionaries(WORDS, st.one_of(st.none(), st.booleans(), WORDS), max_size=2)
SHOWN: st.SearchStrategy[Part] = st.one_of(
    st.builds(Text, WORDS),
    st.sampled_from(
        [
            Media("image", mime="image/png", data="QUJD", detail="high"),
            Media("image", url="https://a.example/x.png"),
            Media("audio", mime="audio/wav", data="QUJD"),
            Media("document", mime="application/pdf", data="QUJD", name="a.pdf"),
            Media("document", file_id="file-1"),
            Media("video", url="https://a.example/x.mp4"),
        ]
    ),
)
FORMATS = [OutputFormat(), OutputFormat("schema", {}, "n", "d", True)]
SIGNATURES = st.sampled_from([None, Signature("gemini", "c2ln")])


@st.composite
def rounds(draw: st.DrawFn, number: int) -> list[Turn]:
    """One question with its answer, and the results of the tools that it called."""
    turns = [Turn("user", tuple(draw(st.lists(SHOWN, min_size=1, max_size=3))))]
    said: list[Part] = [Thinking(draw(WORDS))] if draw(st.booleans()) else []
    said += [Text(draw(WORDS)) for _ in range(draw(st.integers(0, 1)))]
    calls = []
    for index in range(draw(st.integers(0, 2))):
        given = draw(ARGUMENTS)
        raw = msgspec.json.encode(given).decode()
        calls.append(ToolCall(f"call_{number}_{index}", "f", given, raw=raw, signature=draw(SIGNATURES)))
    if said or calls:
        turns.append(Turn("assistant", (*said, *calls)))
    if calls:
        turns.append(Turn("user", tuple(ToolResult(call.id, (Text(draw(WORDS)),), name="f") for call in calls)))
    return turns


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """A request that Chat Completions can express."""
    turns = [turn for number in range(draw(st.integers(1, 3))) for turn in draw(rounds(number))]
    tools = tuple(
        Tool(
            name, draw(st.sampled_from(["", "d"])), schema={"type": "object", "properties": {}}, protocol="openai-chat"
        )
        for name in ("f", "g")[: draw(st.integers(0, 2))]
    )
    choices = [ToolChoice(), ToolChoice("none"), ToolChoice("required"), ToolChoice("required", ("f",), parallel=False)]
    return ChatRequest(
        protocol="openai-chat",
        model="up",
        turns=paired(turns),
        system=draw(st.sampled_from([(), (Text("S"),)])),
        tools=tools,
        tool_choice=draw(st.sampled_from(choices)) if tools else ToolChoice(),
        sampling=draw(st.sampled_from([Sampling(), Sampling(0.5, 0.9, 40, 7, 1.0, -1.0, True, 3)])),
        reasoning=Reasoning(level=draw(st.sampled_from([None, "off", "low", "max"]))),
        output=draw(st.sampled_from([OutputFormat(), OutputFormat("schema", {}, "n", "d", True)])),
        max_tokens=draw(st.sampled_from([None, 2048])),
        stop=draw(st.sampled_from([(), ("a", "b")])),
        choices=draw(st.sampled_from([1, 2])),
        stream=draw(st.booleans()),
        user=draw(st.sampled_from(["", "u"])),
        cache_key=draw(st.sampled_from(["", "k"])),
    )


@given(requests())
def test_what_the_protocol_can_express_comes_back_as_it_was(request: ChatRequest) -> None:
    encoded = CODEC.encode_request(request, FULL, model="up")
    assert encoded.losses == ()
    decoded = CODEC.decode_request(msgspec.json.decode(msgspec.json.encode(encoded.body)))
    back = msgspec.structs.replace(decoded, turns=paired(decoded.turns), stream_usage=False)
    assert back == request


def test_streams_and_whole_answers_have_the_same_events() -> None:
    streamed: list[Event] = decode(stream(chunk({"role": "assistant", "content": "a"}), chunk({}, "stop")))
    assert tuple(streamed) == read(answer({"content": "a"}))


def test_every_part_of_the_codec_answers() -> None:
    failure = decode_error(429, {"retry-after": "3"}, b'{"error":{"message":"slow"}}')
    assert (failure.kind, failure.retry_after) == ("rate_limited", 3.0)
    assert CODEC.encode_error(Failure(kind="not_found", message="m"), "req_1")[0] == 404
    encoder = CODEC.stream_encoder(client_request(), ids(), model="m")
    assert encoder.keepalive().startswith(b":")
    assert encoder.feed(End()).endswith(b"data: [DONE]\n\n")

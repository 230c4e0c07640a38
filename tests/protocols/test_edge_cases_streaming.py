"""Streams: what holds for every pair of protocols."""

from __future__ import annotations

import json

import msgspec
import pytest

from bm import sse
from bm.chat.events import CONTENT, End, Event, Failed, Finish, PartDelta, PartStart, Start, UsageUpdate
from bm.chat.parts import Json, ToolCall
from bm.chat.response import fold
from bm.errors import Failure
from bm.names import ProtocolName
from bm.protocols.registry import CODECS
from bm.protocols.translate import EventFilter, Translation
from tests.protocols.pair import CLIENTS, check, hello, ids, reported, streamed, whole
from tests.support import grammar_gemini
from tests.support.grammar_openai_chat import payloads


def gemini(*parts: Json, finish: str = "") -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}


def call(name: str) -> Json:
    return {"functionCall": {"name": name, "args": {"q": name}}}


def claude(*blocks: tuple[Json, list[Json]]) -> list[Json]:
    events: list[Json] = [{"type": "message_start", "message": {"id": "msg_1"}}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    done = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}}
    return [*events, done, {"type": "message_stop"}]


def chat(delta: Json, finish: str | None = None) -> Json:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def piece(index: int, arguments: str = "", **members: str) -> Json:
    function = {"arguments": arguments} | ({"name": members.pop("name")} if "name" in members else {})
    return {"tool_calls": [{"index": index, **members, "function": function}]}


def chunks(stream: bytes) -> list[Json]:
    return [json.loads(data) for data in payloads(stream) if data != "[DONE]"]


def tool_deltas(stream: bytes) -> list[Json]:
    found: list[Json] = []
    for chunk in chunks(stream):
        for choice in chunk["choices"]:
            found += choice["delta"].get("tool_calls", ())
    return found


def claude_events(stream: bytes) -> list[Json]:
    parser = sse.Parser()
    return [json.loads(event.data) for event in (*parser.feed(stream), *parser.close())]


def test_50_calls_in_several_chunks_of_gemini_are_numbered_through() -> None:
    events = reported("gemini", [gemini(call("a"), call("b")), gemini(call("c"), finish="STOP")])
    starts = [delta for delta in tool_deltas(streamed(hello("openai-chat"), events)) if "id" in delta]
    assert [(delta["index"], delta["function"]["name"]) for delta in starts] == [(0, "a"), (1, "b"), (2, "c")]
    assert len({delta["id"] for delta in starts}) == 3


def test_51_the_first_call_after_a_text_is_call_0_and_comes_in_fragments() -> None:
    use: Json = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    fragments = [{"type": "input_json_delta", "partial_json": text} for text in ('{"q"', ': "x"', "}")]
    text = ({"type": "text", "text": ""}, [{"type": "text_delta", "text": "Let me see."}])
    deltas = tool_deltas(streamed(hello("openai-chat"), reported("anthropic", claude(text, (use, fragments)))))
    assert {delta["index"] for delta in deltas} == {0}
    assert [delta["function"]["arguments"] for delta in deltas] == ["", '{"q"', ': "x"', "}"]


INTERLEAVED = [
    chat(piece(0, id="a", type="function", name="f")),
    chat(piece(1, id="b", type="function", name="g")),
    chat(piece(0, '{"q":')),
    chat(piece(1, '{"r":')),
    chat(piece(0, "1}")),
    chat(piece(1, "2}")),
    chat({}, "tool_calls"),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_52_interleaved_calls_are_whole_calls_to_every_client(client: ProtocolName) -> None:
    events = reported("openai-chat", INTERLEAVED)
    request = hello(client)
    check(request, streamed(request, events), complete=True)
    [choice] = fold(events).choices
    assert [(part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)] == [
        ("f", {"q": 1}),
        ("g", {"r": 2}),
    ]


def test_52_blocks_for_anthropic_clients_follow_one_another() -> None:
    order = [
        (event["type"].removeprefix("content_block_"), event["index"])
        for event in claude_events(streamed(hello("anthropic"), reported("openai-chat", INTERLEAVED)))
        if event["type"] in ("content_block_start", "content_block_stop")
    ]
    assert order == [("start", 0), ("stop", 0), ("start", 1), ("stop", 1)]


@pytest.mark.parametrize("client", CLIENTS)
def test_53_a_name_without_an_id_yet_and_an_empty_name_later_are_one_call(client: ProtocolName) -> None:
    chunks = [
        chat({"tool_calls": [{"index": 0, "type": "function", "function": {"name": "f"}}]}),
        chat(piece(0, '{"q":1}', id="late", name="")),
        chat({}, "tool_calls"),
    ]
    events = reported("openai-chat", chunks)
    starts = [event for event in events if isinstance(event, PartStart)]
    assert [(start.name, bool(start.id)) for start in starts] == [("f", True)]
    check(hello(client), streamed(hello(client), events), complete=True)


@pytest.mark.parametrize("client", CLIENTS)
def test_54_finish_then_usage_then_done_is_one_end(client: ProtocolName) -> None:
    usage = {"id": "c", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}
    decoder = CODECS["openai-chat"].stream_decoder(ids())
    payload = [*map(msgspec.json.encode, (chat({"content": "A"}), chat({}, "stop"), usage)), b"[DONE]"]
    events = [event for data in payload for event in decoder.feed(sse.Event(data))] + list(decoder.close())
    request = hello(client)
    stream = streamed(request, events)
    check(request, stream, complete=True)
    if client == "anthropic":
        ends = [event for event in claude_events(stream) if event["type"] in ("message_delta", "message_stop")]
        assert [event["type"] for event in ends] == ["message_delta", "message_stop"]
        assert ends[0]["usage"]["input_tokens"] == 7 and ends[0]["usage"]["output_tokens"] == 3


CUTS: dict[ProtocolName, list[Json]] = {
    "anthropic": claude(({"type": "text", "text": ""}, [{"type": "text_delta", "text": "A"}]))[:-3],
    "openai-chat": [chat({"content": "A"})],
    "openai-responses": [{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "A"}],
    "gemini": [gemini({"text": "A"})],
}


@pytest.mark.parametrize("upstream", CUTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_55_a_cut_answer_looks_complete_to_no_client(client: ProtocolName, upstream: ProtocolName) -> None:
    events = reported(upstream, CUTS[upstream])
    assert isinstance(events[-1], Failed) and events[-1].failure.kind == "truncated"
    stream = streamed(hello(client), events)
    for end in (b"message_stop", b"end_turn", b"[DONE]", b'finish_reason":"stop', b"response.completed", b'"STOP"'):
        assert end not in stream
    assert b"error" in stream


@pytest.mark.parametrize("client", CLIENTS)
def test_56_a_blocked_prompt_is_a_whole_answer_that_declines(client: ProtocolName) -> None:
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    events = reported("gemini", [blocked])
    request = hello(client)
    stream = streamed(request, events)
    check(request, stream, complete=True)
    said = {
        "anthropic": b'"stop_reason":"refusal"',
        "openai-chat": b'"finish_reason":"content_filter"',
        "openai-responses": b'"reason":"content_filter"',
        "gemini": b'"finishReason":"SAFETY"',
    }
    assert said[client] in stream
    if client == "anthropic":
        assert claude_events(stream)[-2]["usage"]["input_tokens"] == 4


@pytest.mark.parametrize("client", CLIENTS)
def test_57_waiting_means_nothing_to_a_client(client: ProtocolName) -> None:
    request = hello(client)
    events = reported("gemini", [gemini({"text": "A"}), gemini({"text": "B"}, finish="STOP")])
    encoder = CODECS[client].stream_encoder(request, ids(), model="shown")
    stream = b"".join(encoder.feed(event) + (encoder.keepalive() if event != events[-1] else b"") for event in events)
    kept = {"anthropic": b"event: ping", "openai-chat": b": ", "openai-responses": b": ", "gemini": b"\n"}
    assert encoder.keepalive() == b"" or kept[client] in encoder.keepalive()
    if client == "gemini":
        assert encoder.keepalive().strip() == b""
        grammar_gemini.check(stream, complete=True)
    else:
        check(request, stream, complete=True)


@pytest.mark.parametrize("upstream", ["gemini", "openai-chat", "anthropic"])
def test_58_an_error_as_the_first_event_comes_before_anything_of_an_answer(upstream: ProtocolName) -> None:
    errors: dict[ProtocolName, Json] = {
        "gemini": {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}},
        "openai-chat": {"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}},
        "anthropic": {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}},
    }
    decoder, encoder = CODECS[upstream].stream_decoder(ids()), CODECS["anthropic"].stream_encoder
    pipe = Translation(sse.Parser(), decoder, encoder(hello("anthropic"), ids(), model="m"), EventFilter({}))
    pipe.feed(sse.encode(msgspec.json.encode(errors[upstream]), ""))
    assert not pipe.watch.begun and pipe.watch.failure is not None
    assert pipe.watch.failure.kind == "rate_limited"


# Further


@pytest.mark.parametrize("client", CLIENTS)
def test_a_character_in_two_pieces_of_bytes_is_one_character(client: ProtocolName) -> None:
    body = sse.encode(msgspec.json.encode(gemini({"text": "Grüße 🦉"}, finish="STOP")), "")
    expected = whole(hello(client), reported("gemini", [gemini({"text": "Grüße 🦉"}, finish="STOP")]))
    for cut in range(1, len(body)):
        parser, decoder = sse.Parser(), CODECS["gemini"].stream_decoder(ids())
        events = [
            event for part in (body[:cut], body[cut:]) for item in parser.feed(part) for event in decoder.feed(item)
        ]
        assert whole(hello(client), [*events, *decoder.close()]) == expected


@pytest.mark.parametrize(
    "framed",
    [
        b'data: {"candidates":[{"content":{"parts":[{"text":"A"}]},"finishReason":"STOP"}]}\r\n\r\n',
        b'data:{"candidates":[{"content":{"parts":[{"text":"A"}]},"finishReason":"STOP"}]}\n\n',
        b'data: {"candidates":[{"content":\ndata: {"parts":[{"text":"A"}]},"finishReason":"STOP"}]}\n\n',
    ],
    ids=["carriage returns", "no space", "several lines"],
)
def test_every_framing_of_an_event_is_read(framed: bytes) -> None:
    parser, decoder = sse.Parser(), CODECS["gemini"].stream_decoder(ids())
    events = [event for item in parser.feed(framed) for event in decoder.feed(item)]
    assert PartDelta(0, "A") in events


@pytest.mark.parametrize("upstream", CLIENTS)
def test_a_gemini_client_never_reads_done(upstream: ProtocolName) -> None:
    events: list[Event] = [Start(), Finish("stop"), End()]
    assert b"[DONE]" not in streamed(hello("gemini"), events)
    assert b"[DONE]" not in streamed(hello("gemini"), reported(upstream, CUTS[upstream]))


def test_pieces_of_no_length_say_nothing() -> None:
    empty = claude(({"type": "text", "text": ""}, [{"type": "text_delta", "text": ""}]))
    for events in (reported("anthropic", empty), reported("openai-chat", [chat({"content": ""}), chat({}, "stop")])):
        assert not any(isinstance(event, PartDelta) for event in events)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_model_has_the_name_that_the_gateway_gives(client: ProtocolName) -> None:
    stream = streamed(
        hello(client), reported("gemini", [{**gemini({"text": "A"}, finish="STOP"), "modelVersion": "up"}])
    )
    assert b'"shown"' in stream and b'"up"' not in stream


@pytest.mark.parametrize("client", CLIENTS)
def test_a_failure_before_the_start_is_an_error_alone(client: ProtocolName) -> None:
    stream = streamed(hello(client), [Failed(Failure(kind="overloaded", message="busy"))])
    assert b"busy" in stream and not any(word in stream for word in (b"message_start", b"response.created", b"[DONE]"))


def test_content_is_what_cannot_be_taken_back() -> None:
    events = reported("gemini", [gemini({"text": "A"}, finish="STOP")])
    assert [isinstance(event, CONTENT) for event in events if isinstance(event, Start | UsageUpdate)] == [False]

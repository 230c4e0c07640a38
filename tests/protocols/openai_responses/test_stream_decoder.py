from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm import sse
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
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Media, Opaque, Refusal, Search, Source, Text, Thinking, ToolCall
from bm.chat.signature import Signature
from bm.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.samples import decoded, ids, stream
from tests.support.events import check
from tests.support.folding import fold

Json = dict[str, Any]
CREATED: Json = {"type": "response.created", "response": {"id": "resp_1", "model": "gpt-5", "status": "in_progress"}}
NOTE = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
PAGE = Source("https://a.example", "A", start=0, end=1)
CITED = Citation("openai-responses", NOTE, (PAGE,))
USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 16,
}


def event(name: str, **members: Any) -> Json:
    return {"type": f"response.{name}", "output_index": 0, **members}


def completed(status: str = "completed", **members: Any) -> Json:
    return {"type": f"response.{status}", "response": {"id": "resp_1", "status": status, "output": [], **members}}


def message(*content: Json) -> Json:
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": list(content)}


def said(text: str, *notes: Json) -> Json:
    return {"type": "output_text", "text": text, "annotations": list(notes)}


FULL = [
    CREATED,
    {"type": "response.in_progress", "response": {"id": "resp_1"}},
    event("output_item.added", item={"type": "reasoning", "id": "rs_1", "summary": []}),
    event("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""}),
    event("reasoning_summary_text.delta", summary_index=0, delta="Hm"),
    event("reasoning_summary_text.delta", summary_index=1, delta="Ah"),
    event("reasoning_summary_text.done", summary_index=1, text="Ah"),
    event(
        "output_item.done",
        item={
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm"}, {"type": "summary_text", "text": "Ah"}],
            "encrypted_content": "gAAAA",
        },
    ),
    event("output_item.added", output_index=1, item={**message(), "status": "in_progress"}),
    event("content_part.added", output_index=1, content_index=0, part=said("")),
    event("output_text.delta", output_index=1, content_index=0, delta="Hel", logprobs=[], obfuscation="x"),
    event("output_text.delta", output_index=1, content_index=0, delta="lo"),
    event("output_text.annotation.added", output_index=1, content_index=0, annotation=NOTE),
    event("output_text.done", output_index=1, content_index=0, text="Hello"),
    event("output_item.done", output_index=1, item=message(said("Hello", NOTE))),
    event(
        "output_item.added",
        output_index=2,
        item={"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": ""},
    ),
    event("function_call_arguments.delta", output_index=2, delta='{"x"'),
    event("function_call_arguments.delta", output_index=2, delta=":1}"),
    event("function_call_arguments.done", output_index=2, arguments='{"x":1}'),
    event(
        "output_item.done",
        output_index=2,
        item={"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": '{"x":1}'},
    ),
    completed(usage=USAGE, output=[message(said("already sent"))]),
]


def test_a_stream_of_every_common_kind() -> None:
    assert decoded(stream(*FULL)) == [
        Start("resp_1", "gpt-5"),
        PartStart(0, "thinking"),
        PartDelta(0, "Hm"),
        PartDelta(0, "\n\n"),
        PartDelta(0, "Ah"),
        PartSignature(0, Signature("openai", "gAAAA")),
        PartEnd(0),
        PartStart(1, "text"),
        PartDelta(1, "Hel"),
        PartDelta(1, "lo"),
        PartAnnotation(1, Citation("openai-responses", NOTE, (PAGE,))),
        PartEnd(1),
        PartStart(2, "tool_call", id="c1", name="look"),
        PartDelta(2, '{"x"'),
        PartDelta(2, ":1}"),
        PartEnd(2),
        UsageUpdate(Usage(input=5, cache_read=4, cache_write=1, output=6, thinking=2)),
        Finish("tool_calls", native="completed"),
        End(),
    ]


@given(st.integers(1, 40))
def test_how_the_bytes_are_cut_changes_nothing(size: int) -> None:
    assert decoded(stream(*FULL), size) == decoded(stream(*FULL))


@given(st.integers(0, len(FULL) - 1))
def test_a_stream_that_is_cut_anywhere_is_a_failure(events: int) -> None:
    got = decoded(stream(*FULL[:events]))
    check(got)
    assert isinstance(got[-1], Failed) and got[-1].failure.kind == "truncated"


@given(st.lists(st.sampled_from(FULL), max_size=12))
def test_any_order_of_events_gives_a_legal_answer(bodies: list[Json]) -> None:
    check(decoded(stream(*bodies)))


def items(*output: Json, **members: Any) -> list[Event]:
    """The events of an answer that came at once."""
    body = {"id": "resp_1", "model": "gpt-5", "status": "completed", "output": list(output), **members}
    events = list(CODEC.decode_response(body, ids()))
    check(events)
    return events


@pytest.mark.parametrize(
    ("item", "part"),
    [
        (message(said("a", NOTE)), Text("a", citations=(CITED,))),
        (message({"type": "refusal", "refusal": "no"}), Refusal("no")),
        ({"type": "reasoning", "summary": [], "encrypted_content": "g"}, Thinking("", Signature("openai", "g"))),
        (
            {"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm"}]},
            Thinking("Hm"),
        ),
        (
            {"type": "function_call", "call_id": "c", "name": "f", "namespace": "n", "arguments": "{}"},
            ToolCall("c", "n__f", {}, "{}"),
        ),
        (
            {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "*** Begin"},
            ToolCall("c", "p", {"input": "*** Begin"}, "*** Begin", kind="custom"),
        ),
        (
            {"type": "local_shell_call", "id": "l", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
            ToolCall("c", "local_shell", {"command": ["ls"]}, '{"command":["ls"]}'),
        ),
        (
            {"type": "web_search_call", "id": "ws_1"},
            Opaque("openai-responses", "web_search_call", {"type": "web_search_call", "id": "ws_1"}, search=Search()),
        ),
    ],
)
def test_an_item_is_a_part_whether_it_came_whole_or_in_a_stream(item: Json, part: object) -> None:
    whole = fold(items(item))
    streamed = fold(decoded(stream(CREATED, event("output_item.done", item=item), completed())))
    assert whole.choices[0].parts == streamed.choices[0].parts == (part,)


def test_items_that_hold_nothing_are_no_parts() -> None:
    empty = [message(), message(said("")), {"type": "reasoning", "id": "rs_1", "summary": []}]
    assert fold(items(*empty)).choices[0].parts == ()


@pytest.mark.parametrize(
    ("bodies", "parts"),
    [
        # no output_item.done, no content_part: the finished response supplies the end
        ([event("output_text.delta", delta="a"), completed(output=[message(said("a"))])], (Text("a"),)),
        # only the finished response
        ([completed(output=[message(said("a"))])], (Text("a"),)),
        # only finished items
        ([event("output_item.done", item=message(said("a"))), completed()], (Text("a"),)),
        # nothing but deltas
        ([event("output_text.delta", delta="a"), completed()], (Text("a"),)),
        # full reasoning instead of summaries, and both
        ([event("reasoning_text.delta", delta="Hm"), completed()], (Thinking("Hm"),)),
        (
            [
                event("reasoning_text.delta", delta="Hm"),
                event("reasoning_summary_text.delta", delta="short"),
                completed(),
            ],
            (Thinking("Hm"),),
        ),
        # vLLM counts the place of each piece of one reasoning text up
        (
            [
                event("reasoning_text.delta", content_index=0, delta="H"),
                event("reasoning_text.delta", content_index=1, delta="m"),
                event("reasoning_text.done", content_index=0, text="Hm"),
                event("reasoning_text.delta", content_index=1, delta="So"),
                completed(),
            ],
            (Thinking("Hm\n\nSo"),),
        ),
        # one place for two kinds
        (
            [event("reasoning_text.delta", delta="Hm"), event("output_text.delta", delta="a"), completed()],
            (Thinking("Hm"), Text("a")),
        ),
        # arguments only in the end
        (
            [
                event("output_item.added", item={"type": "function_call", "call_id": "c", "name": "f"}),
                event(
                    "output_item.done",
                    item={"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x":1}'},
                ),
                completed(),
            ],
            (ToolCall("c", "f", {"x": 1}, '{"x":1}'),),
        ),
        ([event("output_text.delta", delta=None), event("output_text.delta", delta=""), completed()], ()),
    ],
)
def test_what_a_service_leaves_out_is_supplied_by_what_it_sends(bodies: list[Json], parts: object) -> None:
    events = decoded(stream(CREATED, *bodies))
    check(events)
    assert fold(events).choices[0].parts == parts


def test_events_need_no_names() -> None:
    nameless = b"".join(sse.encode(raw.data) for raw in sse.Parser().feed(stream(*FULL)))
    assert decoded(nameless) == decoded(stream(*FULL))


def test_unknown_events_comments_and_a_closing_done_are_harmless() -> None:
    extra = stream(event("from_next_year.delta", delta="x"), event("code_interpreter_call.in_progress"))
    raw = stream(CREATED) + b": comment\n\n" + extra + stream(*FULL[2:]) + b"data: [DONE]\n\n"
    assert decoded(raw) == decoded(stream(*FULL))


def test_a_keepalive_is_a_ping() -> None:
    assert decoded(stream(CREATED, {"type": "keepalive"}, completed()))[1] == Ping()
    assert decoded(stream({"type": "keepalive"}, CREATED, completed()))[0] == Start("resp_1", "gpt-5")


@pytest.mark.parametrize(
    ("status", "members", "output", "reason"),
    [
        ("completed", {}, [message(said("a"))], "stop"),
        ("completed", {}, [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}], "tool_calls"),
        ("completed", {}, [message({"type": "refusal", "refusal": "no"})], "refusal"),
        ("incomplete", {"incomplete_details": {"reason": "max_output_tokens"}}, [], "length"),
        ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, [], "refusal"),
        ("incomplete", {"incomplete_details": None}, [], "length"),
    ],
)
def test_how_an_answer_ended(status: str, members: Json, output: list[Json], reason: str) -> None:
    whole = fold(items(*output, status=status, **members))
    streamed = fold(decoded(stream(CREATED, completed(status, output=output, **members))))
    for reported in (whole, streamed):
        assert reported.choices[0].finish is not None and reported.choices[0].finish.reason == reason


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (completed("failed", error={"code": "rate_limit_exceeded", "message": "slow"}), "rate_limited", "slow"),
        (completed("failed", error={"code": "server_error", "message": "oops"}), "server", "oops"),
        (completed("failed", error=None), "server", "the upstream's answer is failed"),
        (completed("cancelled"), "server", "the upstream's answer is cancelled"),
        ({"type": "error", "code": "context_length_exceeded", "message": "long"}, "context_too_long", "long"),
        ({"type": "error", "error": {"code": "insufficient_quota", "message": "paid?"}}, "billing", "paid?"),
        ({"type": "error"}, "server", "the upstream reported an error"),
        ({"type": "response.completed", "response": None}, "malformed", "holds no response"),
    ],
)
def test_an_error_in_the_stream_is_its_end(body: Json, kind: str, words: str) -> None:
    events = decoded(stream(CREATED, event("output_text.delta", delta="half"), body, *FULL))
    check(events)
    last = events[-1]
    assert isinstance(last, Failed) and last.failure.kind == kind and words in last.failure.message


@pytest.mark.parametrize("data", [b"{", b"\xff", b"[]", b'"x"', b'{"type": "response.output_text.delta", "delta": 5}'])
def test_an_event_that_is_not_valid_is_malformed(data: bytes) -> None:
    events = decoded(stream(CREATED) + sse.encode(data))
    assert isinstance(events[-1], Failed) and events[-1].failure.kind == "malformed"


def test_an_item_that_is_not_valid_is_malformed() -> None:
    broken = {"type": "function_call", "call_id": "c", "name": "f", "arguments": 5}
    for events in (items(broken), decoded(stream(CREATED, event("output_item.done", item=broken)))):
        assert isinstance(events[-1], Failed) and "arguments" in events[-1].failure.message


def test_an_error_without_an_event_type_is_read() -> None:
    events = decoded(sse.encode(b'{"error": {"message": "busy", "code": "slow_down"}}'))
    assert [type(event) for event in events] == [Failed]
    assert isinstance(events[0], Failed) and events[0].failure.kind == "overloaded"


def test_an_annotation_that_is_none_is_ignored_and_one_may_come_before_its_text() -> None:
    note = event("output_text.annotation.added", content_index=0, annotation=NOTE)
    broken = event("output_text.annotation.added", content_index=0, annotation=None)
    events = decoded(stream(CREATED, broken, note, event("output_text.delta", delta="a"), completed()))
    assert fold(events).choices[0].parts == (Text("a", citations=(CITED,)),)


def test_a_picture_in_a_message_is_a_part() -> None:
    picture = {"type": "input_image", "image_url": "https://a.example/b.png"}
    assert fold(items(message(picture))).choices[0].parts == (Media("image", url="https://a.example/b.png"),)


def test_nothing_follows_the_end() -> None:
    decoder = CODEC.stream_decoder(ids())
    for raw in sse.Parser().feed(stream(*FULL)):
        decoder.feed(raw)
    assert decoder.feed(sse.Event(b"{}")) == () and decoder.close() == ()


def test_a_shell_that_openai_runs_is_its_own_affair() -> None:
    item = {
        "type": "shell_call",
        "id": "s",
        "call_id": "c",
        "environment": {"type": "container_reference"},
        "action": {},
    }
    assert [type(event) for event in items(item)] == [Start, PartWhole, Finish, End]


def test_an_answer_that_is_not_finished_is_a_failure() -> None:
    events = CODEC.decode_response({"id": "resp_1", "status": "queued", "output": []}, ids())
    check(events)
    assert isinstance(events[-1], Failed) and "queued" in events[-1].failure.message


def test_an_answer_without_items_is_still_an_answer() -> None:
    events = CODEC.decode_response({"id": "resp_1", "model": "m", "status": "completed", "output": None}, ids())
    assert [type(event) for event in events] == [Start, Finish, End]


def read(*events: Json) -> list[Event]:
    found = decoded(stream(*events))
    check(found)
    return found


@pytest.mark.parametrize(
    ("name", "members", "part"),
    [
        ("output_text", {"content_index": 0}, Text("all")),
        ("refusal", {"content_index": 0}, Refusal("all")),
        ("reasoning_summary_text", {"summary_index": 0}, Thinking("all")),
        ("reasoning_text", {"content_index": 0}, Thinking("all")),
    ],
)
def test_text_that_only_the_event_at_its_end_holds(name: str, members: Json, part: Any) -> None:
    whole = event(f"{name}.done", **members, **{"refusal" if name == "refusal" else "text": "all"})
    for before in ([], [event(f"{name}.delta", **members, delta="all")]):
        [choice] = fold(read(CREATED, *before, whole, completed())).choices
        assert choice.parts == (part,)


def test_thinking_that_is_encrypted_only_in_the_last_event() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    last = completed(output=[{**item, "encrypted_content": "gAAAA"}, message(said("a"))])
    done = [
        event("output_item.done", item=item),
        {**event("output_item.done", item=message(said("a"))), "output_index": 1},
    ]
    [choice] = fold(read(CREATED, *done, last)).choices
    assert choice.parts == (Thinking("Hm"), Text("a"), Thinking("", Signature("openai", "gAAAA")))

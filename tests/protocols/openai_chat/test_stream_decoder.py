from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.capabilities import Dialect
from bm.chat.events import (
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartStart,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Citation, Json, Media, Opaque, Part, Refusal, Source, Text, Thinking, ToolCall
from bm.chat.signature import Signature
from tests.protocols.openai_chat.kit import answer, chunk, decode, failure_kind, read, stream
from tests.support.events import check
from tests.support.folding import ChatResponse, fold

CALL = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": ""}}


def argument(text: str, index: int = 0) -> str:
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": text}}]})


def parts(raw: bytes, dialect: Dialect | None = None) -> tuple[Any, ...]:
    events = decode(raw, dialect)
    check(events)
    return fold(events).choices[0].parts


def finish(raw: bytes) -> Finish:
    found = [event for event in decode(raw) if isinstance(event, Finish)]
    assert len(found) == 1
    return found[0]


def test_a_plain_answer_is_decoded_event_by_event() -> None:
    raw = stream(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop"),
        chunk(choices=[], usage={"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}),
    )
    events = decode(raw)
    check(events)
    assert [type(event).__name__ for event in events] == (
        ["Start", "PartStart", "PartDelta", "PartDelta", "PartEnd", "UsageUpdate", "Finish", "End"]
    )
    assert events[0] == Start("c1", "up")
    assert events[5] == UsageUpdate(Usage(input=10, output=2))
    assert events[6] == Finish("stop", native="stop")


def test_the_start_waits_for_a_chunk_that_names_the_answer() -> None:
    """Azure's first chunk holds filter results, an empty id and an empty model."""
    raw = stream(chunk(id="", model="", choices=[], prompt_filter_results=[]), chunk({"content": "x"}, "stop"))
    assert decode(raw)[0] == Start("c1", "up")


@pytest.mark.parametrize("member", ["reasoning_content", "reasoning"])
def test_thinking_is_read_from_either_member(member: str) -> None:
    raw = stream(chunk({member: "hm", "content": None}), chunk({member: "m"}), chunk({"content": "yes"}, "stop"))
    assert parts(raw) == (Thinking("hmm"), Text("yes"))


def test_the_same_thinking_under_two_names_is_read_once() -> None:
    raw = stream(chunk({"reasoning_content": "a", "reasoning": "a"}), chunk({"content": "b"}, "stop"))
    assert parts(raw) == (Thinking("a"), Text("b"))


def test_structured_reasoning_counts_where_the_plain_member_is_missing() -> None:
    details = [{"type": "reasoning.text", "text": "a"}, {"type": "reasoning.encrypted", "data": "zz"}]
    both = chunk({"reasoning": "a", "reasoning_details": details})
    alone = chunk({"reasoning_details": [*details, {"type": "reasoning.summary", "summary": "b"}]})
    assert parts(stream(both, chunk({}, "stop"))) == (Thinking("a"),)
    assert parts(stream(alone, chunk({}, "stop"))) == (Thinking("ab"),)


def test_details_that_hold_more_than_text_stay_with_the_first_call_or_the_text() -> None:
    pieces = [
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "a", "signature": None, "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "b", "signature": "s", "index": 0}]}),
    ]
    late = chunk({"content": "", "reasoning_details": [{"type": "reasoning.encrypted", "data": "zz", "index": 1}]})
    signed = [
        {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "zz", "index": 1},
    ]
    for content in (chunk({"content": "x"}), chunk({"tool_calls": [CALL]})):
        thinking, answered = parts(stream(*pieces, content, late, chunk({}, "stop")))
        assert thinking == Thinking("ab")
        assert json.loads(answered.signature.value) == signed
    plain = chunk({"content": "x", "reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0}]}, "stop")
    assert parts(stream(plain)) == (Thinking("a"), Text("x"))


def test_content_may_be_an_array_of_thinking_and_text() -> None:
    """Mistral's reasoning models."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    raw = stream(
        chunk({"content": [thinking]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}], "closed": True}]}),
        chunk({"content": [{"type": "text", "text": "four"}, {"type": "reference", "reference_ids": [1]}]}, "stop"),
    )
    reference = Opaque("openai-chat", "reference", {"type": "reference", "reference_ids": [1]})
    assert parts(raw) == (Thinking("hmm"), Text("four"), reference)


def test_content_may_be_the_json_object_itself() -> None:
    """Cloudflare."""
    assert parts(stream(chunk({"content": {"a": 1}}, "stop"))) == (Text('{"a":1}'),)


def test_a_refusal_is_a_part_of_its_own() -> None:
    assert parts(stream(chunk({"refusal": "I can"}), chunk({"refusal": "not"}, "stop"))) == (Refusal("I cannot"),)


def test_a_generated_image_is_a_whole_part() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    raw = stream(chunk({"content": "here"}), chunk({"images": [image], "content": ""}, "stop"))
    assert parts(raw) == (Text("here"), Media("image", mime="image/png", data="QUJD"))


def test_odd_images_and_bare_strings_in_content_are_kept() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}}
    odd = {"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}
    raw = stream(chunk({"content": ["here", image]}), chunk({"images": [odd]}, "stop"))
    assert parts(raw) == (
        Text("here"),
        Media("image", url="https://a.example/x.png"),
        Opaque("openai-chat", "image", odd),
    )


def test_usage_that_comes_with_an_error_was_paid_for() -> None:
    """OpenRouter."""
    usage = {"prompt_tokens": 43, "completion_tokens": 10}
    events = decode(stream(chunk({"content": "x"}), chunk(error={"code": 400, "message": "limit"}, usage=usage)))
    check(events)
    assert fold(events).usage == Usage(input=43, output=10)


def test_web_citations_stay_with_the_text() -> None:
    note = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
    events = decode(stream(chunk({"content": "x"}), chunk({"annotations": [note], "content": ""}, "stop")))
    check(events)
    cited = PartAnnotation(0, Citation("openai-chat", note, (Source("https://a.example", "A"),)))
    assert [event for event in events if isinstance(event, PartAnnotation)] == [cited]


def test_calls_are_put_together_by_index() -> None:
    second = {"index": 1, "id": "call_b", "type": "function", "function": {"name": "g", "arguments": ""}}
    raw = stream(
        chunk({"tool_calls": [CALL]}),
        argument('{"a"'),
        chunk({"tool_calls": [second]}),
        argument("{}", 1),
        argument(":1}"),
        chunk({}, "tool_calls"),
    )
    assert parts(raw) == (
        ToolCall("call_a", "f", {"a": 1}, raw='{"a":1}'),
        ToolCall("call_b", "g", {}, raw="{}"),
    )


def test_text_that_goes_on_after_a_call_is_a_second_part() -> None:
    raw = stream(chunk({"content": "a"}), chunk({"tool_calls": [CALL]}), chunk({"content": "b"}), chunk({}, "stop"))
    assert [type(part) for part in parts(raw)] == [Text, ToolCall, Text]


def test_a_legacy_function_call_gets_an_id() -> None:
    raw = stream(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": '{"a":1}'}}),
        chunk({}, "function_call"),
    )
    assert parts(raw) == (ToolCall("call_0000000000000001", "f", {"a": 1}, raw='{"a":1}'),)
    assert finish(raw).reason == "tool_calls"


def test_a_signature_belongs_to_its_call_to_the_first_call_or_to_the_text() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    on_call = stream(chunk({"tool_calls": [{**CALL, **extra}]}), chunk({}, "tool_calls"))
    on_message = stream(
        chunk({"tool_calls": [CALL]}), argument("{}"), chunk({"content": "", **extra}), chunk({}, "stop")
    )
    on_text = stream(chunk({"content": "x"}), chunk({"content": "", **extra}, "stop"))
    for raw in (on_call, on_message, on_text):
        assert [part.signature for part in parts(raw)] == [Signature("gemini", "c2ln")]


@pytest.mark.parametrize(
    ("word", "reason"),
    [("stop", "stop"), ("eos", "stop"), ("length", "length"), ("content_filter", "refusal"), ("tool_calls", "stop")],
)
def test_the_finish_reason_is_believed_only_as_far_as_the_answer_bears_it_out(word: str, reason: str) -> None:
    assert finish(stream(chunk({"content": "x"}), chunk({}, word))) == Finish(reason, native=word)  # type: ignore[arg-type]


def test_stop_after_a_call_means_that_tools_are_called() -> None:
    assert finish(stream(chunk({"tool_calls": [CALL]}), chunk({}, "stop"))).reason == "tool_calls"


def test_usage_in_the_last_choice_is_found() -> None:
    """Moonshot."""
    usage = {"prompt_tokens": 19, "completion_tokens": 13, "cached_tokens": 12}
    last = chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage}])
    assert fold(decode(stream(chunk({"content": "x"}), last))).usage == Usage(input=7, cache_read=12, output=13)


def test_usage_after_the_finish_reason_and_a_repeated_finish_reason_make_one_end() -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    raw = stream(chunk({"content": "x"}, "stop"), chunk({"content": ""}, "stop", usage=usage), chunk(choices=[]))
    events = decode(raw)
    check(events)
    assert fold(events).usage == Usage(input=1, output=1)


def test_a_service_that_finishes_every_chunk_says_one_text() -> None:
    raw = stream(
        chunk({"content": "one "}, "stop"), chunk({"content": "text"}, "stop"), chunk({"content": "."}, "length")
    )
    assert parts(raw) == (Text("one text."),)
    assert finish(raw).reason == "length"


def test_a_service_that_finishes_every_chunk_has_ended_only_when_it_says_so() -> None:
    chunks = [chunk({"content": "one "}, "stop"), chunk({"content": "te"}, "stop")]
    assert failure_kind(decode(stream(*chunks, done=False))) == "truncated"
    assert parts(stream(*chunks, chunk({}, "stop"), done=False)) == (Text("one te"),)


def test_cumulative_usage_is_sent_only_when_it_changes() -> None:
    same = {"prompt_tokens": 5, "completion_tokens": 1}
    raw = stream(
        chunk({"content": "a"}, usage=same),
        chunk({"content": "b"}, usage=same),
        chunk({}, "stop", usage={"prompt_tokens": 5, "completion_tokens": 2}),
    )
    reported = [event.usage.output for event in decode(raw) if isinstance(event, UsageUpdate)]
    assert reported == [1, 2]


def test_groq_keeps_its_usage_apart() -> None:
    raw = stream(
        chunk({"content": "a"}), chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 1}})
    )
    assert fold(decode(raw)).usage == Usage(input=3, output=1)


def test_choices_are_kept_apart() -> None:
    raw = stream(
        chunk({"content": "a"}, choice=0),
        chunk({"content": "b"}, choice=1),
        chunk({}, "stop", choice=0),
        chunk({"content": "b"}, choice=1),
        chunk({}, "length", choice=1),
    )
    events = decode(raw)
    check(events)
    assert [choice.parts for choice in fold(events).choices] == [(Text("a"),), (Text("bb"),)]


def test_done_ends_the_answer_of_a_service_without_finish_reasons() -> None:
    """Snowflake's streams have no such member."""
    assert finish(stream(chunk(choices=[{"index": 0, "delta": {"content": "x"}}]))) == Finish("stop")


def test_done_ends_an_answer_of_whole_calls() -> None:
    """OpenRouter leaves the finish reason null after calls of some services."""
    assert finish(stream(chunk({"tool_calls": [CALL]}), argument("{}"))).reason == "tool_calls"


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("abort", "truncated"),
        ("insufficient_system_resource", "overloaded"),
        ("network_error", "truncated"),
        ("error", "truncated"),
    ],
)
def test_an_answer_that_broke_off_is_a_failure(word: str, kind: str) -> None:
    assert failure_kind(decode(stream(chunk({"content": "x"}), chunk({}, word)))) == kind
    assert failure_kind(read(answer({"content": "x"}, word))) == kind


@pytest.mark.parametrize("member", ["stop_reason", "matched_stop"])
def test_vllm_and_sglang_name_the_stop_sequence_that_matched(member: str) -> None:
    def ended(value: Any) -> Finish:
        choices = [{"index": 0, "delta": {}, "finish_reason": "stop", member: value}]
        return finish(stream(chunk({"content": "x"}), chunk(choices=choices)))

    assert ended("END") == Finish("stop_sequence", native="stop", stop_sequence="END")
    # The id of a token that ends every answer of the model.
    assert ended(151643) == Finish("stop", native="stop")


def test_a_finish_reason_without_done_ends_the_answer() -> None:
    assert failure_kind(decode(stream(chunk({"content": "x"}, "stop"), done=False))) == ""


@pytest.mark.parametrize(
    "raw",
    [
        stream(chunk({"content": "x"}), done=False),
        stream(chunk({"tool_calls": [CALL]}), argument('{"a'), done=False),
        stream(chunk({"content": "a"}, "stop", choice=0), chunk({"content": "b"}, choice=1), done=False),
        stream(chunk({"content": "x"})),
        stream(chunk({"tool_calls": [CALL]}), argument('{"a')),
        stream(),
        stream(chunk({"role": "assistant", "content": ""})),
        b"",
    ],
    ids=[
        "text",
        "arguments",
        "one choice of two",
        "null to the end",
        "cut arguments",
        "nothing but [DONE]",
        "a role and [DONE]",
        "nothing",
    ],
)
def test_an_answer_cut_short_is_no_answer(raw: bytes) -> None:
    events = decode(raw)
    check(events)
    assert failure_kind(events) == "truncated"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"error":{"message":"slow down","code":429}}', "rate_limited"),
        ('{"error":{"message":"busy","type":"overloaded_error"}}', "overloaded"),
        ('{"error":{"message":"bad call","code":"tool_use_failed","status_code":400}}', "malformed"),
        ('{"error":"model runner has stopped"}', "server"),
        ('{"object":"error","message":"no","type":"BadRequestError","code":400}', "bad_request"),
        (chunk({}, "error"), "truncated"),
        (chunk(choices=[{"index": 0, "delta": {}, "error": {"code": 429, "message": "slow"}}]), "rate_limited"),
        ("{truncated", "malformed"),
        ("[]", "malformed"),
    ],
)
def test_an_error_among_the_chunks_ends_the_answer_at_once(data: str, kind: str) -> None:
    events = decode(stream(chunk({"content": "x"}), data, chunk({"content": "y"}, "stop")))
    check(events)
    assert failure_kind(events) == kind
    assert [event.text for event in events if isinstance(event, PartDelta)] == ["x"]


def test_an_error_in_the_first_chunk_is_a_failure_without_a_start() -> None:
    events = decode(stream('{"error":{"message":"slow down","code":429}}'))
    assert len(events) == 1
    assert isinstance(events[0], Failed)
    assert events[0].failure.message == "slow down"


def test_comments_are_no_events() -> None:
    raw = b": OPENROUTER PROCESSING\n\n" + stream(chunk({"content": "x"}, "stop"))
    assert decode(raw) == decode(stream(chunk({"content": "x"}, "stop")))


def test_thinking_in_a_tag_is_thinking_where_the_dialect_says_so() -> None:
    raw = stream(
        chunk({"content": "<thi"}), chunk({"content": "nk>\nhm</thi"}), chunk({"content": "nk>\n\nyes"}, "stop")
    )
    assert parts(raw, Dialect(thinking_tag="think")) == (Thinking("hm"), Text("yes"))
    assert parts(raw) == (Text("<think>\nhm</think>\n\nyes"),)


def test_held_content_is_given_out_when_the_answer_ends() -> None:
    assert parts(stream(chunk({"content": "<th"}, "stop")), Dialect(thinking_tag="think")) == (Text("<th"),)


def test_a_whole_message_in_place_of_a_delta_is_read() -> None:
    raw = json.dumps({"id": "c", "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]})
    assert parts(stream(raw)) == (Text("x"),)


RICH = stream(
    chunk({"role": "assistant", "reasoning": "grübel"}),
    chunk({"content": "Wert: ü€😀"}),
    chunk({"tool_calls": [CALL]}),
    argument('{"a":"é'),
    argument('"}'),
    chunk({}, "tool_calls"),
    chunk(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 1}),
)


@given(st.lists(st.integers(1, 40), max_size=60))
def test_how_the_bytes_are_cut_makes_no_difference(sizes: list[int]) -> None:
    assert decode(RICH, sizes=sizes) == decode(RICH)


def test_no_event_follows_the_end() -> None:
    events: list[Event] = decode(stream(chunk({"content": "x"}, "stop")) + stream(chunk({"content": "y"}, "stop")))
    check(events)
    assert sum(isinstance(event, PartStart | PartEnd) for event in events) == 2


SPOKEN: Json = {"data": "QUJD", "transcript": "t"}
WHOLE_CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}


def whole(body: Json, dialect: Dialect | None = None) -> ChatResponse:
    events = read(body, dialect)
    check(events)
    return fold(events)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": "a"}, (Text("a"),)),
        ({"content": "a", "reasoning_content": "hm"}, (Thinking("hm"), Text("a"))),
        ({"content": "a", "reasoning": "hm", "channel": "x"}, (Thinking("hm"), Text("a"))),
        (
            {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]},
            (Thinking("hm"), Text("a")),
        ),
        ({"content": {"a": 1}}, (Text('{"a":1}'),)),
        ({"content": None, "refusal": "no"}, (Refusal("no"),)),
        ({"content": None, "tool_calls": [WHOLE_CALL]}, (ToolCall("a", "f", {"x": 1}, raw='{"x":1}'),)),
        (
            {"tool_calls": [WHOLE_CALL, {**WHOLE_CALL, "id": "b"}]},
            tuple(ToolCall(i, "f", {"x": 1}, raw='{"x":1}') for i in "ab"),
        ),
        ({"function_call": {"name": "f", "arguments": "{}"}}, (ToolCall("call_0000000000000001", "f", {}, raw="{}"),)),
        ({"content": "a", "function_call": {"name": "", "arguments": ""}, "audio": {"data": ""}}, (Text("a"),)),
        (
            {"content": "a", "audio": SPOKEN},
            (Text("a"), Opaque("openai-chat", "audio", SPOKEN, "t")),
        ),
        ({"content": None}, ()),
    ],
)
def test_a_whole_message_is_read(message: Json, expected: tuple[Part, ...]) -> None:
    assert whole(answer(message)).choices[0].parts == expected


def test_thinking_in_a_tag_of_a_whole_message() -> None:
    body = answer({"content": "<think>\nhm</think>\n\na"})
    assert whole(body, Dialect(thinking_tag="think")).choices[0].parts == (Thinking("hm"), Text("a"))


def test_head_usage_and_choices_of_a_whole_completion() -> None:
    rows = [{"message": {"content": text}, "finish_reason": "stop"} for text in "ab"]
    read_back = whole(answer({}, choices=rows, usage={"prompt_tokens": 3, "completion_tokens": 1}))
    assert (read_back.id, read_back.model, read_back.usage) == ("c1", "up", Usage(input=3, output=1))
    assert [choice.parts for choice in read_back.choices] == [(Text("a"),), (Text("b"),)]


@pytest.mark.parametrize(
    ("message", "word", "expected"),
    [
        ({"content": "a"}, "stop", "stop"),
        ({"content": "a"}, "", "stop"),
        ({"content": "a"}, None, "stop"),
        ({"content": "a"}, "tool_calls", "stop"),
        ({"tool_calls": [WHOLE_CALL]}, "stop", "tool_calls"),
        ({"tool_calls": [WHOLE_CALL]}, "", "tool_calls"),
        ({"content": "a"}, "content_filter", "refusal"),
    ],
)
def test_finish_reasons_of_a_whole_message(message: Json, word: str | None, expected: str) -> None:
    (choice,) = whole(answer(message, word)).choices
    assert choice.finish is not None and choice.finish.reason == expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow", "code": 429}}, "rate_limited"),
        ({"error": "boom"}, "server"),
        ({"object": "error", "message": "no", "code": 400}, "bad_request"),
        ({"choices": []}, "malformed"),
        ({"choices": [5]}, "malformed"),
        ({}, "malformed"),
        (answer({}, "error"), "truncated"),
        ({"choices": [{"error": {"message": "slow", "code": 429}, "message": {}}]}, "rate_limited"),
    ],
)
def test_what_is_no_answer_is_a_failure_under_status_200(body: Json, kind: str) -> None:
    found = whole(body).failure
    assert found is not None and found.kind == kind


def test_fragments_of_calls_are_read_in_each_form() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    fragments: list[Json] = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}},
        {"index": 1, "id": "b", "type": "custom", "custom": {"name": "py", "input": "1"}},
        {"index": 1, "custom": {"input": "+1"}},
        {"index": 2, "id": "c", "function": {"name": "f", "arguments": None}, **extra},
        {"index": 0, **extra},
    ]
    signature = Signature("gemini", "c2ln")
    assert parts(stream(*[chunk({"tool_calls": [fragment]}) for fragment in fragments])) == (
        ToolCall("a", "f", {"x": 1}, raw='{"x":1}', signature=signature),
        ToolCall("b", "py", {"input": "1+1"}, raw="1+1", kind="custom"),
        ToolCall("c", "f", {}, signature=signature),
    )

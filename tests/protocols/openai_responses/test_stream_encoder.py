from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    FinishReason,
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
from bm.chat.parts import Citation, Media, Opaque, Part, Source, Text, Thinking, ToolCall, ToolResult
from bm.chat.signature import Signature, unwrap
from bm.errors import Failure, FailureKind
from bm.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.samples import (
    STOP,
    answer,
    call_part,
    decoded,
    encoded,
    ids,
    request,
    text_part,
    wire,
)
from tests.support.folding import fold
from tests.support.grammar_openai_responses import check, events

GEMINI = Signature("gemini", "c2ln", "gemini-3")
CLAUDE = Signature("anthropic", "EqQB", "claude")
NOTE = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}
CARRIES = request(include=["reasoning.encrypted_content"])
CUT = Failed(Failure(kind="truncated", message="the upstream went away"))


def output(reported: list[Event], asked: Any = None) -> list[Any]:
    """The items of the answer, once its stream is known to be legal."""
    items: list[Any] = check(encoded(reported, asked))["response"]["output"]
    return items


def test_a_stream_byte_for_byte() -> None:
    encoder = CODEC.stream_encoder(request(), ids(), model="m")
    head = encoder.feed(Start())
    assert head.startswith(b'event: response.created\ndata: {"type":"response.created","response":{"id":"resp_0')
    encoder.feed(PartStart(0, "text"))
    assert (
        encoder.feed(PartDelta(0, 'é"\n'))
        == (
            'event: response.output_text.delta\ndata: {"type":"response.output_text.delta",'
            '"item_id":"msg_0000000000000001","output_index":0,"content_index":0,"logprobs":[],'
            '"delta":"é\\"\\n","sequence_number":4}\n\n'
        ).encode()
    )
    assert encoder.keepalive() == b": keep-alive\n\n"
    assert encoder.feed(Ping()) == b""


def test_the_events_of_an_answer_in_order() -> None:
    reported = answer(
        [PartStart(0, "thinking"), PartDelta(0, "Hm"), PartEnd(0)], text_part(1, "a"), call_part(2, "look", "{}")
    )
    names = [event["type"].removeprefix("response.") for event in events(encoded(reported))]
    assert names == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_interleaved_calls_become_items_one_after_the_other_with_valid_arguments() -> None:
    reported: list[Event] = [
        Start(),
        PartStart(0, "tool_call", id="a", name="f"),
        PartStart(1, "tool_call", id="b", name="f"),
        PartDelta(0, '{"x":'),
        PartDelta(1, '{"y":'),
        PartDelta(0, "1}"),
        PartDelta(1, "2}"),
        PartEnd(1),
        PartEnd(0),
        *STOP,
    ]
    assert [(item["call_id"], json.loads(item["arguments"])) for item in output(reported)] == [
        ("a", {"x": 1}),
        ("b", {"y": 2}),
    ]


def test_what_waited_is_written_as_soon_as_its_turn_comes() -> None:
    encoder = CODEC.stream_encoder(CARRIES, ids(), model="m")
    for event in (Start(), PartStart(0, "text"), *call_part(1, "f", "{}"), PartStart(2, "text"), PartDelta(2, "a")):
        encoder.feed(event)
    names = [event["type"] for event in events(encoder.feed(PartEnd(0)))]
    assert names.count("response.output_item.done") == 2
    assert names[-1] == "response.output_text.delta"
    assert encoder.feed(PartDelta(2, "b")).startswith(b"event: response.output_text.delta")


def test_a_signature_that_a_waiting_part_got_late_still_travels_before_it() -> None:
    reported: list[Event] = [Start(), PartStart(0, "text"), PartStart(1, "tool_call", id="c", name="f")]
    reported += [PartSignature(1, GEMINI), PartEnd(1), PartEnd(0), *STOP]
    items = output(reported, CARRIES)
    assert [item["type"] for item in items] == ["message", "reasoning", "function_call"]
    assert carried(items[1]) == (GEMINI, "next")


def test_parts_left_open_are_closed_by_the_end() -> None:
    reported: list[Event] = [
        Start(),
        PartStart(0, "text"),
        PartDelta(0, "a"),
        PartStart(1, "text"),
        PartDelta(1, "b"),
        *STOP,
    ]
    assert [item["content"][0]["text"] for item in output(reported)] == ["a", "b"]


def test_a_call_without_arguments_has_an_empty_object() -> None:
    assert output(answer(call_part(0, "f")))[0]["arguments"] == "{}"


def test_a_function_of_a_namespace_is_called_by_both_names() -> None:
    tools = [{"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "close"}]}]
    item = output(answer(call_part(0, "agents__close", "{}")), request(tools=tools))[0]
    assert (item["namespace"], item["name"]) == ("agents", "close")


PATCH = [{"type": "custom", "name": "patch"}]


@pytest.mark.parametrize(
    ("raw", "text"), [('{"input":"*** Begin"}', "*** Begin"), ("{}", "{}"), ("*** Begin", "*** Begin")]
)
def test_an_upstream_that_knows_only_functions_still_calls_a_custom_tool(raw: str, text: str) -> None:
    item = output(answer(call_part(0, "patch", *raw)), request(tools=PATCH))[0]
    assert (item["type"], item["name"], item["input"]) == ("custom_tool_call", "patch", text)


def test_a_custom_call_streams_its_input() -> None:
    start = PartStart(0, "tool_call", id="c", name="patch", tool_kind="custom")
    reported: list[Event] = [Start(), start, PartDelta(0, "*** "), PartDelta(0, "Begin"), PartEnd(0), *STOP]
    deltas = [e["delta"] for e in events(encoded(reported, request(tools=PATCH))) if e["type"].endswith("input.delta")]
    assert deltas == ["*** ", "Begin"]


def test_a_custom_call_of_a_function_has_its_text_wrapped() -> None:
    asked = request(tools=[{"type": "function", "name": "f"}])
    start = PartStart(0, "tool_call", id="c", name="f", tool_kind="custom")
    assert output([Start(), start, PartDelta(0, "x"), PartEnd(0), *STOP], asked)[0]["arguments"] == '{"input":"x"}'


@pytest.mark.parametrize(
    ("name", "arguments", "kind", "prefix"),
    [
        ("apply_patch", {"operation": {"type": "delete_file", "path": "a"}}, "apply_patch_call", "apc_"),
        ("shell", {"commands": ["ls"]}, "shell_call", "sh_"),
        ("local_shell", {"command": ["ls"]}, "local_shell_call", "lsh_"),
        ("shell", {"commands": "ls"}, "function_call", "sh_"),
    ],
)
def test_a_built_in_tool_is_called_in_its_own_form(name: str, arguments: Any, kind: str, prefix: str) -> None:
    raw = json.dumps(arguments)
    item = output(answer(call_part(0, name, raw)), request(tools=[{"type": name}]))[0]
    assert item["type"] == kind and item["call_id"] == "call_1" and item["id"].startswith(prefix)


# Signatures


def signed(kind: Any, signature: Signature, *, late: bool = False) -> list[Event]:
    name: Any = {"id": "call_1", "name": "f"} if kind == "tool_call" else {}
    start = PartStart(0, kind, signature=None if late else signature, **name)
    after: list[Event] = [PartSignature(0, signature)] if late else []
    return answer([start, PartDelta(0, "{}"), *after, PartEnd(0)])


def carried(item: Any) -> object:
    return unwrap(item["encrypted_content"])


@pytest.mark.parametrize("kind", ["text", "tool_call"])
def test_a_foreign_signature_travels_in_a_reasoning_item_before_its_part(kind: str) -> None:
    first, second = output(signed(kind, GEMINI), CARRIES)
    assert carried(first) == (GEMINI, "next") and first["summary"] == []
    assert second["type"] in ("message", "function_call")


@pytest.mark.parametrize("kind", ["text", "tool_call"])
def test_a_foreign_signature_that_comes_late_travels_behind_its_part(kind: str) -> None:
    _, second = output(signed(kind, GEMINI, late=True), CARRIES)
    assert carried(second) == (GEMINI, "previous")


@pytest.mark.parametrize("late", [False, True])
def test_the_signature_of_thinking_stays_with_it(late: bool) -> None:
    [item] = output(signed("thinking", CLAUDE, late=late))
    assert carried(item) == (CLAUDE, "self") and item["summary"][0]["text"] == "{}"


def test_openais_own_signature_is_written_as_it_came() -> None:
    assert output(signed("thinking", Signature("openai", "gAAAA")))[0]["encrypted_content"] == "gAAAA"


def test_redacted_thinking_travels_whole() -> None:
    reported = answer([PartWhole(0, Thinking("", CLAUDE, redacted=True))])
    assert carried(output(reported, CARRIES)[0]) == (CLAUDE, "redacted")


def test_a_client_that_does_not_send_reasoning_back_gets_no_carriers() -> None:
    assert [item["type"] for item in output(signed("text", GEMINI))] == ["message"]


def test_the_same_signature_is_written_once() -> None:
    reported: list[Event] = [
        Start(),
        PartStart(0, "text", signature=GEMINI),
        PartDelta(0, "a"),
        PartEnd(0),
        PartStart(1, "tool_call", id="c", name="f", signature=GEMINI),
        PartEnd(1),
        *STOP,
    ]
    assert [item["type"] for item in output(reported, CARRIES)] == ["reasoning", "message", "function_call"]


@pytest.mark.parametrize("kind", ["text", "tool_call"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("signature", [GEMINI, CLAUDE])
def test_a_signature_survives_the_way_through_the_client(kind: str, late: bool, signature: Signature) -> None:
    items = output(signed(kind, signature, late=late), CARRIES)
    [turn] = request(input=items).turns
    assert [part.signature for part in turn.parts if isinstance(part, Text | ToolCall)] == [signature]
    assert not any(isinstance(part, Thinking) for part in turn.parts)


def test_a_signature_of_200_kb_survives() -> None:
    long = Signature("gemini", "A" * 200_000, "gemini-3")
    [turn] = request(input=output(signed("tool_call", long), CARRIES)).turns
    assert isinstance(turn.parts[0], ToolCall) and turn.parts[0].signature == long


# Other parts


@pytest.mark.parametrize(
    ("part", "item"),
    [
        (Opaque("openai-responses", "mcp_call", {"type": "mcp_call", "id": "m_1"}), {"type": "mcp_call", "id": "m_1"}),
        (Media("image", mime="image/png", data="QQ=="), {"type": "image_generation_call", "result": "QQ=="}),
    ],
)
def test_a_part_that_comes_whole_is_an_item(part: Part, item: dict[str, str]) -> None:
    [got] = output(answer([PartWhole(0, part)]))
    assert {name: got[name] for name in item} == item


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Opaque("gemini", "executableCode", {}, summary="print(1)"), "print(1)"),
        (Media("image", url="https://a.example/b.png"), "![](https://a.example/b.png)"),
        (Media("audio", mime="audio/wav", data="QQ=="), "[audio/wav]"),
    ],
)
def test_what_has_no_item_is_written_as_text(part: Part, text: str) -> None:
    [item] = output(answer([PartWhole(0, part)]))
    assert item["content"][0]["text"] == text


@pytest.mark.parametrize("part", [Opaque("gemini", "x", {}), ToolResult("c"), Thinking("", GEMINI, redacted=True)])
def test_what_has_nothing_to_tell_is_no_item(part: Part) -> None:
    assert output(answer([PartWhole(0, part)])) == []


def test_thinking_that_stays_empty_is_no_item() -> None:
    assert output(answer([PartStart(0, "thinking"), PartEnd(0)])) == []


@pytest.mark.parametrize(
    ("protocol", "raw", "pages", "written"),
    [
        ("openai-responses", NOTE, (), [NOTE]),
        ("openai-responses", {"type": "url_citation", "url": "https://a.example"}, (), []),
        ("anthropic", {"type": "char_location", "cited_text": "x"}, (), []),
        ("anthropic", {}, (Source("https://a.example", "A"),), [NOTE]),
        ("gemini", {}, (Source("https://a.example", "A", start=0, end=9),), [NOTE]),
    ],
)
def test_citations_are_written_in_openais_shape(
    protocol: str, raw: Any, pages: tuple[Source, ...], written: list[Any]
) -> None:
    reported: list[Event] = [
        Start(),
        PartStart(0, "text"),
        PartDelta(0, "a"),
        PartAnnotation(0, Citation(protocol, raw, pages)),
        PartEnd(0),
        *STOP,
    ]
    assert output(reported)[0]["content"][0]["annotations"] == written


# Ends


ENDINGS: dict[FinishReason, tuple[str, str | None]] = {
    "stop": ("completed", None),
    "stop_sequence": ("completed", None),
    "tool_calls": ("completed", None),
    "pause": ("incomplete", "max_output_tokens"),
    "length": ("incomplete", "max_output_tokens"),
    "context_window": ("incomplete", "max_output_tokens"),
    "refusal": ("incomplete", "content_filter"),
}


@pytest.mark.parametrize("reason", get_args(FinishReason))
def test_how_the_answer_ended(reason: FinishReason) -> None:
    last = check(encoded([Start(), *text_part(0, "a"), Finish(reason), End()]))
    status, why = ENDINGS[reason]
    assert last["type"] == f"response.{status}"
    assert last["response"]["incomplete_details"] == ({"reason": why} if why else None)


def test_a_refusal_in_the_models_own_words_is_complete() -> None:
    reported: list[Event] = [Start(), PartStart(0, "refusal"), PartDelta(0, "no"), PartEnd(0), Finish("refusal"), End()]
    last = check(encoded(reported))
    assert last["response"]["status"] == "completed"
    assert last["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]


def test_the_reason_for_a_refusal_is_written() -> None:
    reported: list[Event] = [Start(), Finish("refusal", explanation="blocked: SAFETY"), End()]
    last = check(encoded(reported))
    assert last["type"] == "response.incomplete"
    assert last["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "blocked: SAFETY"}]


def test_usage_counts_wherever_it_stands_and_the_last_one_holds() -> None:
    reported: list[Event] = [
        Start(),
        UsageUpdate(Usage(1)),
        *text_part(0, "a"),
        Finish("stop"),
        UsageUpdate(Usage(200, 800, 0, 250, 200)),
        End(),
    ]
    assert check(encoded(reported))["response"]["usage"] == {
        "input_tokens": 1000,
        "input_tokens_details": {"cached_tokens": 800, "cache_write_tokens": 0},
        "output_tokens": 250,
        "output_tokens_details": {"reasoning_tokens": 200},
        "total_tokens": 1250,
    }


def test_unknown_usage_is_not_made_up() -> None:
    assert check(encoded(answer(text_part(0, "a"))))["response"]["usage"] is None


def test_an_answer_of_nothing_is_still_a_whole_stream() -> None:
    assert output([Start(), *STOP]) == []
    assert output([*STOP]) == []


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_a_failure_before_the_start_is_an_error_event_alone(kind: FailureKind) -> None:
    last = check(encoded([Failed(Failure(kind=kind, message="why", param="x"))]))
    assert last["type"] == "error" and last["message"] == "why" and last["param"] == "x"


def test_a_failure_in_the_midst_ends_the_stream_as_failed_with_what_was_complete() -> None:
    reported: list[Event] = [
        Start(),
        *text_part(0, "a"),
        PartStart(1, "text"),
        PartDelta(1, "ha"),
        CUT,
        PartDelta(1, "lf"),
        *STOP,
    ]
    last = check(encoded(reported))
    assert last["type"] == "response.failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "the upstream went away"}
    assert [item["content"][0]["text"] for item in last["response"]["output"]] == ["a"]


# Any events at all


def pieces(index: int, kind: str) -> st.SearchStrategy[list[Event]]:
    """The events within one part."""
    inside: st.SearchStrategy[Event] = st.one_of(
        st.text(min_size=1, max_size=5).map(lambda text: PartDelta(index, text)),
        st.sampled_from([GEMINI, CLAUDE]).map(lambda signature: PartSignature(index, signature)),
        st.just(PartAnnotation(index, Citation("openai-responses", NOTE))),
    )
    names = st.sampled_from(["f", "patch", "shell", "agents__close", "unknown"])
    starts: dict[str, Callable[[str, Any, Any], Event]] = {
        "tool_call": lambda name, tool, sig: PartStart(
            index, "tool_call", id=f"c{index}", name=name, tool_kind=tool, signature=sig
        ),
        "other": lambda name, tool, sig: PartStart(index, kind, signature=sig),  # type: ignore[arg-type]
    }
    start = st.builds(
        starts.get(kind, starts["other"]),
        names,
        st.sampled_from(["function", "custom"]),
        st.sampled_from([None, GEMINI, CLAUDE]),
    )
    return st.tuples(start, st.lists(inside, max_size=4)).map(lambda both: [both[0], *both[1], PartEnd(index)])


MCP = {"type": "mcp_call", "name": "n", "server_label": "s", "arguments": "{}", "status": "completed"}


def wholes(index: int) -> st.SearchStrategy[list[Event]]:
    parts: list[Part] = [
        Thinking("", CLAUDE, redacted=True),
        Opaque("openai-responses", "mcp_call", {**MCP, "id": f"m_{index}"}),
        Opaque("gemini", "x", {}, summary="s"),
        Media("image", mime="image/png", data="QQ=="),
    ]
    return st.sampled_from(parts).map(lambda part: [PartWhole(index, part)])


@st.composite
def interleaved(draw: st.DrawFn) -> list[Event]:
    """Any events that the canonical grammar allows, cut anywhere."""
    count = draw(st.integers(0, 4))
    kinds = st.sampled_from(["text", "thinking", "tool_call", "refusal", "whole"])
    chosen = [draw(kinds) for _ in range(count)]
    queues = [draw(wholes(i) if kind == "whole" else pieces(i, kind)) for i, kind in enumerate(chosen)]
    reported: list[Event] = [Start()]
    while queue := [queue for queue in queues if queue]:
        reported.append(draw(st.sampled_from(queue)).pop(0))
        if draw(st.booleans()):
            reported.append(Ping() if draw(st.booleans()) else UsageUpdate(Usage(1, 2, 3, 4, 5)))
    reported += [Finish(draw(st.sampled_from(get_args(FinishReason)))), End()]
    if draw(st.booleans()):
        reported = [*reported[: draw(st.integers(0, len(reported) - 1))], CUT]
    return reported


TOOLS = [
    {"type": "function", "name": "f"},
    *PATCH,
    {"type": "shell"},
    {"type": "namespace", "name": "agents", "tools": [{"type": "function", "name": "close"}]},
]


@given(interleaved(), st.booleans())
def test_any_events_give_a_legal_stream(reported: list[Event], carries: bool) -> None:
    include = ["reasoning.encrypted_content"] if carries else []
    last = check(encoded(reported, request(tools=TOOLS, include=include)))
    failed = isinstance(reported[-1], Failed)
    assert (last["type"] in ("response.failed", "error")) == failed


@given(interleaved())
def test_what_was_written_can_be_read_again(reported: list[Event]) -> None:
    asked = request(tools=TOOLS)
    again, first = fold(decoded(encoded(reported, asked))), fold(reported)
    assert (again.failure is None) == (first.failure is None)
    if first.failure is None:
        words = [[p.text for p in r.choices[0].parts if isinstance(p, Text) and p.text] for r in (first, again)]
        plain = [text for text in words[1] if text != "s"]
        assert plain == words[0]
        assert again.usage == first.usage


def test_a_whole_answer_is_the_one_that_ends_the_stream() -> None:
    reported = answer(text_part(0, "a"), call_part(1, "f", "{}"))
    whole = CODEC.encode_response(reported, request(), ids(), model="shown")
    assert json.loads(json.dumps(whole)) == check(encoded(reported))["response"]


def test_an_answer_is_written_and_read_again() -> None:
    reported = answer(text_part(0, "a", "b"), call_part(1, "look", '{"x"', ":1}"))
    reported.insert(-2, UsageUpdate(Usage(5, 4, 3, 2, 1)))
    body = wire(CODEC.encode_response(reported, request(), ids(), model="shown"))
    assert (body["status"], body["model"]) == ("completed", "shown")
    again = CODEC.decode_response(body, ids())
    response = fold(again)
    assert response.choices[0].parts == (Text("ab"), ToolCall("call_1", "look", {"x": 1}, '{"x":1}'))
    assert response.usage == Usage(5, 4, 3, 2, 1)
    assert response.choices[0].finish == Finish("tool_calls", native="completed")


def test_thinking_keeps_its_signature() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    body = {"id": "resp_1", "status": "completed", "output": [{**item, "encrypted_content": "gAAAA"}]}
    events = CODEC.decode_response(body, ids())
    assert fold(events).choices[0].parts == (Thinking("Hm", Signature("openai", "gAAAA")),)
    again = CODEC.encode_response(events, request(), ids(), model="m")
    assert again["output"][0]["encrypted_content"] == "gAAAA"

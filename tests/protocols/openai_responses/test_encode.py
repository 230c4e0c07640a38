from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import CacheMark, Citation, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Extra, Loss, OutputFormat, Reasoning, Sampling, Tool, ToolChoice, Turn
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.protocols.codec import Encoded
from bm.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.samples import request, wire

HI = Turn("user", (Text("Hi"),))
OWN = Signature("openai", "gAAAA")
LOOK = ToolCall("c", "look", {"x": 1}, '{"x": 1}')
PLAIN = Capabilities()
THINKS = Capabilities(thinking="effort", levels=("minimal", "low", "medium", "high"))


def asked(*turns: Turn, protocol: Any = "anthropic", **members: Any) -> ChatRequest:
    return ChatRequest(protocol=protocol, model="m", turns=turns or (HI,), **members)


def written(request: ChatRequest, capabilities: Capabilities = PLAIN) -> Encoded:
    return CODEC.encode_request(request, capabilities, model="up")


def items(*parts: Part, **members: Any) -> list[Any]:
    """What an assistant's turn of these parts becomes."""
    body = written(asked(HI, Turn("assistant", parts), **members)).body
    return [item for item in body["input"][1:] if not item.get("type", "").endswith("_output")]


def test_the_smallest_request() -> None:
    assert written(asked()) == Encoded(
        {
            "model": "up",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "stream": False,
            "store": False,
        }
    )


def test_only_what_a_responses_client_wants_stored_is_stored_upstream() -> None:
    assert written(request(store=True)).body["store"] is True
    assert written(request()).body["store"] is written(asked()).body["store"] is False


def test_the_system_prompt_is_instructions_and_what_follows_it_a_developers_message() -> None:
    body = written(asked(system=(Text("a", cache=CacheMark()), Text("b"), Text("c")))).body
    assert body["instructions"] == "a"
    developer = [{"type": "input_text", "text": "b"}, {"type": "input_text", "text": "c"}]
    assert body["input"][0] == {"type": "message", "role": "developer", "content": developer}


def test_a_request_of_instructions_alone_has_input() -> None:
    body = written(ChatRequest(protocol="openai-chat", model="m", turns=(), system=(Text("a"),))).body
    assert "instructions" not in body
    assert body["input"] == [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]}]


def test_instructions_in_mid_conversation_stay_in_their_place() -> None:
    turns = (HI, Turn("system", (Text("s"),)), Turn("user", (Text("b"),)))
    assert [item["role"] for item in written(asked(*turns)).body["input"]] == ["user", "developer", "user"]
    old = Capabilities(dialect=Dialect(name="xai"))
    assert [item["role"] for item in written(asked(*turns), old).body["input"]] == ["user", "system", "user"]


@pytest.mark.parametrize(
    ("part", "item"),
    [
        (Text("a"), {"type": "message", "role": "assistant", "content": "a"}),
        (
            Refusal("no"),
            {
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "refusal", "refusal": "no"}],
            },
        ),
        (
            Thinking("Hm", OWN),
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "Hm"}],
                "encrypted_content": "gAAAA",
            },
        ),
        (LOOK, {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"x": 1}'}),
        (
            ToolCall("c", "look", {"x": 1}),
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"x":1}'},
        ),
        (
            Opaque("openai-responses", "web_search_call", {"type": "web_search_call", "id": "ws_1"}),
            {"type": "web_search_call", "id": "ws_1"},
        ),
        (
            Opaque("gemini", "executableCode", {}, summary="ran"),
            {"type": "message", "role": "assistant", "content": "ran"},
        ),
    ],
)
def test_what_the_model_said_before(part: Part, item: dict[str, Any]) -> None:
    [got] = items(part)
    assert got == item


def test_an_id_that_openai_does_not_take_is_cleaned_alike_on_call_and_result() -> None:
    turns = (HI, Turn("assistant", (ToolCall("a.b/c", "look", {}),)), Turn("user", (ToolResult("a.b/c"),)))
    call, result = written(asked(*turns)).body["input"][1:]
    assert call["call_id"] == result["call_id"] != "a.b/c"


@pytest.mark.parametrize(
    "thinking",
    [
        Thinking("Hm"),
        Thinking("Hm", Signature("anthropic", "EqQB")),
        Thinking("", Signature("gemini", "c2ln"), redacted=True),
        Thinking("Hm", Signature("openai", "gAAAA", "gpt-4")),
    ],
)
def test_thinking_of_another_vendor_or_family_is_left_out_without_a_word(thinking: Thinking) -> None:
    encoded = written(asked(HI, Turn("assistant", (thinking, Text("a")))), Capabilities(family="gpt-5"))
    assert [item["type"] for item in encoded.body["input"]] == ["message", "message"]
    assert encoded.losses == ()


def test_foreign_signatures_of_other_parts_never_reach_openai() -> None:
    body = written(asked(HI, Turn("assistant", (Text("a", signature=Signature("gemini", "c2ln")),)))).body
    assert "c2ln" not in str(body)


def test_results_come_before_what_the_user_says_and_in_the_order_of_the_calls() -> None:
    calls = (ToolCall("c", "look", {}), ToolCall("d", "look", {}))
    user = (Text("and?"), ToolResult("d", (Text("2"),)), ToolResult("c", (Text("1"),)))
    body = written(asked(HI, Turn("assistant", calls), Turn("user", user))).body
    assert [item.get("call_id", item.get("role")) for item in body["input"]] == ["user", "c", "d", "c", "d", "user"]


def test_unknown_content_of_the_own_protocol_stays_inside_its_message_or_result() -> None:
    film = {"type": "input_film", "x": 1}
    history = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}, film]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [film]},
        {"type": "message", "role": "assistant", "status": "completed", "content": [{"type": "output_film"}]},
    ]
    encoded = written(request(input=history))
    assert encoded.body["input"] == history and encoded.losses == ()


def test_items_of_the_own_protocol_split_the_message_they_stand_in() -> None:
    item = {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True}
    history = [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        item,
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "b"}]},
    ]
    assert written(request(input=history)).body["input"] == history


def test_another_vendors_result_parts_become_text_or_a_loss() -> None:
    parts = (Opaque("anthropic", "tool_reference", {}, summary="the tool X"), Opaque("anthropic", "browser_state", {}))
    turns = (HI, Turn("assistant", (LOOK,)), Turn("user", (ToolResult("c", parts),)))
    encoded = written(asked(*turns))
    assert encoded.body["input"][-1]["output"] == "the tool X"
    assert [loss.field for loss in encoded.losses] == ["messages[2].content[0].content[1] (browser_state)"]


def test_user_parts_that_belong_in_answers_become_text() -> None:
    turn = Turn("user", (Refusal("no"), Opaque("gemini", "executableCode", {}, summary="ran")))
    [message] = written(asked(turn)).body["input"]
    assert [part["text"] for part in message["content"]] == ["no", "ran"]


def test_citations_go_back_to_their_own_protocol_only() -> None:
    note = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    turns = (HI, Turn("assistant", (Text("a", citations=(Citation("openai-responses", note),)), Text(""))))
    [item] = written(asked(*turns, protocol="openai-responses")).body["input"][1:]
    assert item["content"] == [{"type": "output_text", "text": "a", "annotations": [note]}]
    [foreign] = written(asked(*turns)).body["input"][1:]
    assert foreign["content"] == "a"


def test_a_call_without_a_result_gets_an_error_result() -> None:
    result = written(asked(HI, Turn("assistant", (LOOK,)))).body["input"][-1]
    assert result["type"] == "function_call_output" and result["output"].startswith("Error: No result")


PICTURE = Media("image", mime="image/png", data="QQ==")


def test_a_picture_in_a_result_goes_where_the_model_sees_it() -> None:
    turns = (HI, Turn("assistant", (LOOK,)), Turn("user", (ToolResult("c", (Text("seen"), PICTURE)),)))
    inside = written(asked(*turns)).body["input"]
    assert [part["type"] for part in inside[-1]["output"]] == ["input_text", "input_image"]
    beside = written(asked(*turns), Capabilities(media_in_results=False)).body["input"]
    assert beside[-2]["output"] == "seen"
    assert [part["type"] for part in beside[-1]["content"]] == ["input_image"]


@pytest.mark.parametrize(
    ("part", "capabilities"),
    [
        (PICTURE, Capabilities(images=False)),
        (Media("document", mime="application/pdf", data="QQ=="), Capabilities(documents=False)),
        (Media("audio", mime="audio/wav", data="QQ=="), Capabilities(audio=True)),
        (Media("video", mime="video/mp4", data="QQ=="), Capabilities(video=True)),
        (Media("image", file_id="file_of_another_vendor"), Capabilities()),
    ],
)
def test_media_that_the_model_cannot_see_is_refused_not_dropped(part: Media, capabilities: Capabilities) -> None:
    with pytest.raises(RequestError) as caught:
        written(asked(Turn("user", (Text("What is this?"), part))), capabilities)
    assert caught.value.failure.param == "messages[0].content[1]"


def test_what_has_no_place_is_a_loss_in_the_clients_words() -> None:
    unknown = Opaque("anthropic", "search_result", {"type": "search_result"})
    encoded = written(asked(Turn("user", (Text("a"), unknown)), Turn("assistant", (PICTURE,))))
    assert [loss.field for loss in encoded.losses] == [
        "messages[0].content[1] (search_result)",
        "messages[1].content[0] (image)",
    ]


IN_WORDS = "Answer with a single JSON value and nothing else: no explanation, no code fence."


@pytest.mark.parametrize(
    ("members", "capabilities", "body", "lost"),
    [
        ({"sampling": Sampling(temperature=0.2, top_p=0.9)}, {}, {"temperature": 0.2, "top_p": 0.9}, []),
        ({"sampling": Sampling(temperature=0.2)}, {"sampling": False}, {}, ["temperature"]),
        ({"sampling": Sampling(top_k=3, seed=1, presence_penalty=1.0)}, {}, {}, ["top_k", "presence_penalty", "seed"]),
        ({"sampling": Sampling(logprobs=True, top_logprobs=2)}, {}, {}, ["logprobs", "top_logprobs"]),
        ({"stop": ("x",)}, {}, {}, ["stop_sequences"]),
        ({"max_tokens": 500}, {}, {"max_output_tokens": 500}, []),
        ({"max_tokens": 5}, {}, {"max_output_tokens": 16}, []),
        ({"max_tokens": 500}, {"max_output": 100}, {"max_output_tokens": 100}, []),
        ({"user": "u", "cache_key": "k"}, {}, {"safety_identifier": "u", "prompt_cache_key": "k"}, []),
        (
            {"output": OutputFormat("json")},
            {},
            {"text": {"format": {"type": "json_object"}}, "instructions": "Answer with a JSON object."},
            [],
        ),
        (
            {"output": OutputFormat("schema", {"type": "object"}, strict=True, description="d")},
            {},
            {
                "text": {
                    "format": {
                        "type": "json_schema",
                        "name": "answer",
                        "schema": {"type": "object"},
                        "description": "d",
                        "strict": True,
                    }
                }
            },
            [],
        ),
        (
            {"output": OutputFormat("schema", {})},
            {"structured_output": "json"},
            {"text": {"format": {"type": "json_object"}}, "instructions": IN_WORDS},
            ["output_config.format"],
        ),
        (
            {"output": OutputFormat("json")},
            {"structured_output": "none"},
            {"instructions": IN_WORDS},
            ["output_config.format"],
        ),
    ],
)
def test_a_member_is_written_or_lost(
    members: dict[str, Any], capabilities: dict[str, Any], body: dict[str, Any], lost: list[str]
) -> None:
    encoded = written(asked(**members), Capabilities(**capabilities))
    rest = set(encoded.body) - {"model", "input", "stream", "store", "include"}
    assert {name: encoded.body[name] for name in rest} == body
    assert [loss.field for loss in encoded.losses] == lost


@pytest.mark.parametrize(
    ("reasoning", "capabilities", "wire"),
    [
        (Reasoning(), THINKS, None),
        (Reasoning("auto"), THINKS, None),
        (Reasoning("high"), THINKS, {"effort": "high"}),
        (Reasoning("max"), THINKS, {"effort": "high"}),
        (Reasoning("off"), THINKS, None),
        (Reasoning("off"), msgspec.structs.replace(THINKS, thinking_off="never"), {"effort": "minimal"}),
        (Reasoning("off"), msgspec.structs.replace(THINKS, thinking_off="say"), {"effort": "none"}),
        (Reasoning("xhigh"), Capabilities(thinking="effort"), {"effort": "xhigh"}),
        (Reasoning(budget=4000), THINKS, {"effort": "medium"}),
        (Reasoning("low", visible=True), THINKS, {"effort": "low", "summary": "auto"}),
        (Reasoning("high", visible=True), Capabilities(), None),
    ],
)
def test_how_much_to_think(reasoning: Reasoning, capabilities: Capabilities, wire: object) -> None:
    assert written(asked(reasoning=reasoning), capabilities).body.get("reasoning") == wire


def test_thinking_that_the_model_does_not_do_is_a_loss_only_where_it_was_wanted() -> None:
    assert written(asked(reasoning=Reasoning("high"))).losses == (Loss("thinking", "the model does not think"),)
    assert written(asked(reasoning=Reasoning("off"))).losses == ()


def test_encrypted_reasoning_is_asked_for_only_where_the_model_reasons() -> None:
    assert written(asked(), THINKS).body["include"] == ["reasoning.encrypted_content"]
    assert "include" not in written(asked()).body
    history = (HI, Turn("assistant", (Thinking("", OWN), Text("a"))), HI)
    assert written(asked(*history)).body["include"] == ["reasoning.encrypted_content"]


def test_a_choice_is_written_only_where_there_are_tools() -> None:
    assert "tool_choice" not in written(asked(tool_choice=ToolChoice("required"))).body
    body = written(asked(tools=(Tool("look"),), tool_choice=ToolChoice("required", ("look",), False))).body
    assert body["tool_choice"] == {"type": "function", "name": "look"} and body["parallel_tool_calls"] is False
    never = Capabilities(forced_tools="never")
    encoded = written(asked(tools=(Tool("look"),), tool_choice=ToolChoice("required")), never)
    assert encoded.body["tool_choice"] == "auto" and encoded.losses[0].field == "tool_choice"


def test_more_than_one_answer_is_refused() -> None:
    with pytest.raises(RequestError, match="one answer"):
        written(asked(choices=2))


def test_an_answer_of_no_tokens_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        written(asked(max_tokens=0))
    assert caught.value.failure.param == "max_tokens"


def test_members_of_the_own_protocol_are_written_back() -> None:
    members = {
        "metadata": {"a": "b"},
        "truncation": "auto",
        "service_tier": "flex",
        "text": {"verbosity": "low", "format": {"type": "json_object"}},
        "reasoning": {"effort": "low", "summary": "detailed"},
        "include": ["web_search_call.action.sources"],
    }
    body = written(request(**members)).body
    assert {name: body[name] for name in members} == members


def test_members_of_other_protocols_are_lost_unless_they_mean_the_same_or_nothing() -> None:
    extras = (
        Extra("openai-chat", "metadata", {"a": "b"}),
        Extra("openai-chat", "verbosity", "low"),
        Extra("openai-chat", "logit_bias", {"1": 2}),
        Extra("anthropic", "metadata", {"user_id": "u"}),
        Extra("anthropic", "container", "c"),
    )
    encoded = written(asked(extras=extras))
    assert encoded.body["metadata"] == {"a": "b"} and encoded.body["text"] == {"verbosity": "low"}
    assert [loss.field for loss in encoded.losses] == ["logit_bias", "container"]


def test_what_a_service_refuses_is_not_sent() -> None:
    picky = Capabilities(dialect=Dialect(refuses=frozenset({"temperature", "store"})))
    encoded = written(asked(sampling=Sampling(temperature=0.5)), picky)
    assert not {"temperature", "store"} & set(encoded.body)
    assert [loss.field for loss in encoded.losses] == ["temperature"]


def test_calls_and_results_of_built_in_tools_keep_their_form() -> None:
    action = {"commands": ["ls"]}
    history = [
        {"role": "user", "content": "Look."},
        {"type": "shell_call", "call_id": "c", "action": action, "status": "completed"},
        {
            "type": "shell_call_output",
            "call_id": "c",
            "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
    ]
    body = written(request(input=history, tools=[{"type": "shell"}])).body
    assert body["input"][1:] == history[1:] and body["tools"] == [{"type": "shell"}]


def test_a_local_command_carries_its_id_and_its_result_names_it() -> None:
    call = {
        "type": "local_shell_call",
        "id": "c",
        "call_id": "c",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
        "status": "completed",
    }
    history = [call, {"type": "local_shell_call_output", "id": "c", "output": "a"}]
    body = written(request(input=history, tools=[{"type": "local_shell"}])).body
    assert body["input"] == history


def test_the_request_is_left_as_it_is() -> None:
    given = request(tools=[{"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]}])
    before = msgspec.json.encode(given)
    written(given)
    assert msgspec.json.encode(given) == before


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
ids = st.uuids().map(lambda value: f"call_{value.hex}")
values = st.dictionaries(words, st.one_of(st.integers(-(2**53), 2**53), words, st.booleans()), max_size=3)
texts = st.builds(Text, words)
pictures = st.builds(lambda data: Media("image", mime="image/png", data=data.hex()), st.binary(min_size=1, max_size=6))
thoughts = st.builds(lambda text, value: Thinking(text, Signature("openai", "g" + value)), words, words)


@st.composite
def exchanges(draw: st.DrawFn) -> tuple[Turn, ...]:
    """A conversation of what the Responses API can express."""
    turns = [Turn("user", tuple(draw(st.lists(texts | pictures, min_size=1, max_size=3))))]
    for _ in range(draw(st.integers(0, 3))):
        parts: list[Part] = draw(st.lists(texts | thoughts | st.builds(Refusal, words), min_size=1, max_size=3))
        calls = []
        for call_id in draw(st.lists(ids, max_size=2, unique=True)):
            arguments = draw(values)
            calls.append(ToolCall(call_id, "look", arguments, msgspec.json.encode(arguments).decode()))
        results = [
            ToolResult(call.id, tuple(draw(st.lists(texts | pictures, min_size=1, max_size=2)))) for call in calls
        ]
        said = draw(st.lists(texts, min_size=0 if results else 1, max_size=2))
        turns += [Turn("assistant", (*parts, *calls)), Turn("user", (*results, *said))]
    return tuple(turns)


def test_thinking_that_came_at_the_end_of_its_answer_stands_before_it() -> None:
    late = Thinking("", Signature("openai", "g"))
    turns = (Turn("user", (Text("a"),)), Turn("assistant", (Text("b"), late)), Turn("user", (Text("c"),)))
    items = written(asked(*turns, protocol="openai-responses"), THINKS).body["input"]
    assert [item["type"] for item in items] == ["message", "reasoning", "message", "message"]


@pytest.mark.parametrize(("service", "sent"), [("openai", {"phase": "commentary"}), ("xai", {})])
def test_the_phase_of_an_answer_goes_back_to_openai(service: str, sent: dict[str, str]) -> None:
    said = {"role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "b"}]}
    request = CODEC.decode_request({"model": "m", "input": [{"role": "user", "content": "a"}, said]})
    item = written(request, Capabilities(dialect=Dialect(service))).body["input"][1]
    assert item == {"type": "message", "role": "assistant", "content": "b", **sent}


@given(exchanges(), st.lists(texts, max_size=3), st.sampled_from(["low", "high", None]))
def test_what_the_protocol_can_express_survives_both_ways(
    turns: tuple[Turn, ...], system: list[Text], level: Any
) -> None:
    given_request = asked(
        *turns, protocol="openai-responses", system=tuple(system), reasoning=Reasoning(level), stream_usage=True
    )
    encoded = written(given_request, THINKS)
    assert encoded.losses == ()
    again = CODEC.decode_request(wire(encoded.body))
    assert (again.turns, again.system, again.reasoning) == (turns, tuple(system), Reasoning(level))

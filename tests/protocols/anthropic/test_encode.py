"""What is sent to an upstream that speaks Anthropic."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Media, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import (
    ChatRequest,
    Extra,
    OutputFormat,
    Reasoning,
    Sampling,
    Tool,
    ToolChoice,
    Turn,
)
from bm.chat.signature import Signature
from bm.errors import RequestError
from bm.protocols.anthropic.cache_control import MAX_MARKS
from bm.protocols.anthropic.decode import decode_request
from bm.protocols.anthropic.encode import encode_request
from tests.protocols.anthropic.examples import (
    HAIKU_3,
    OPUS_4_8,
    SONNET_4_5,
    assistant,
    body,
    chat,
    decoded,
    encoded,
    lost,
    user,
)


@pytest.mark.parametrize(
    ("request_", "capabilities", "version"),
    [
        (chat(sampling=Sampling(temperature=0.2)), SONNET_4_5, "2023-06-01"),
        (chat(sampling=Sampling(temperature=0.2)), OPUS_4_8, "2026-10-21"),
        (chat(), SONNET_4_5, "2026-10-21"),
    ],
)
def test_the_older_version_is_used_only_for_sampling(request_: ChatRequest, capabilities: Any, version: str) -> None:
    result = encoded(request_, capabilities)
    assert result.headers == (("anthropic-version", version),)
    assert ("temperature" in result.body) is (version == "2023-06-01")


@pytest.mark.parametrize(
    ("members", "max_tokens", "losses"),
    [
        ({"max_tokens": 0}, 0, []),
        ({"max_tokens": 200_000}, 128_000, []),
        ({}, 21_333, []),
        ({"stream": True}, 128_000, []),
    ],
)
def test_max_tokens_is_always_said(members: dict[str, Any], max_tokens: int, losses: list[str]) -> None:
    result = encoded(chat(**members))
    assert (result.body["max_tokens"], lost(result)) == (max_tokens, losses)


def test_another_vendors_service_gets_what_it_knows() -> None:
    result = encoded(chat(), Capabilities())
    assert result.body["max_tokens"] == 8192
    assert "cache_control" not in result.body
    assert result.headers == (("anthropic-version", "2023-06-01"),)


def test_a_client_without_cache_marks_gets_automatic_caching() -> None:
    assert encoded(chat()).body["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in encoded(chat(user(Text("Hi", cache=CacheMark())))).body
    assert "cache_control" not in encoded(decoded()).body
    own = encoded(decoded(cache_control={"type": "ephemeral", "ttl": "1h"})).body
    assert own["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(("capabilities", "sent"), [(OPUS_4_8, True), (Capabilities(), False)])
def test_claude_codes_attribution_reaches_claude_alone(capabilities: Capabilities, sent: bool) -> None:
    line = "x-anthropic-billing-header: cc_version=2.1.100.7b4; cch=eb6c6;"
    given = decode_request(body(system=f"{line}\nYou are Claude Code"))
    result = encode_request(given, capabilities, model="m")
    texts = [block["text"] for block in result.body["system"]]
    assert texts == ([line] if sent else []) + ["You are Claude Code"]
    assert result.losses == ()


def test_a_system_prompt_alone_becomes_the_users() -> None:
    request = chat(system=(Text("Be kind."), Text(" ")))
    result = encode_request(ChatRequest(**{**_members(request), "turns": ()}), OPUS_4_8, model="m").body
    assert "system" not in result
    assert result["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Be kind."}]}]


def _members(request: ChatRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in request.__struct_fields__}


@pytest.mark.parametrize(
    ("sampling", "capabilities", "thinking", "sent", "losses"),
    [
        (Sampling(temperature=0.2), OPUS_4_8, False, {}, ["temperature"]),
        (Sampling(temperature=0.2), SONNET_4_5, False, {"temperature": 0.2}, []),
        (Sampling(temperature=0.2, top_p=0.9), SONNET_4_5, False, {"temperature": 0.2}, ["top_p"]),
        (Sampling(temperature=0.2, top_p=0.9), HAIKU_3, False, {"temperature": 0.2, "top_p": 0.9}, []),
        (Sampling(temperature=1.7), HAIKU_3, False, {"temperature": 1}, ["temperature"]),
        (Sampling(temperature=0.2, top_k=5), HAIKU_3, True, {}, ["temperature", "top_k"]),
        (Sampling(temperature=1, top_p=0.96), HAIKU_3, True, {"temperature": 1, "top_p": 0.96}, []),
        (Sampling(top_p=0.5), HAIKU_3, True, {}, ["top_p"]),
        (
            Sampling(seed=7, presence_penalty=0.5, logprobs=True),
            HAIKU_3,
            False,
            {},
            ["seed", "presence_penalty", "logprobs"],
        ),
        (Sampling(frequency_penalty=0, logprobs=False), HAIKU_3, False, {}, []),
    ],
)
def test_sampling_goes_as_far_as_the_model_takes_it(
    sampling: Sampling, capabilities: Capabilities, thinking: bool, sent: dict[str, Any], losses: list[str]
) -> None:
    reasoning = Reasoning("auto", budget=1024) if thinking else Reasoning()
    capabilities = msgspec.structs.replace(capabilities, thinking="budget") if thinking else capabilities
    result = encoded(chat(sampling=sampling, reasoning=reasoning), capabilities)
    assert {name: result.body[name] for name in ("temperature", "top_p", "top_k") if name in result.body} == sent
    assert sorted(lost(result)) == sorted(losses)


def test_structured_output_closes_the_schema() -> None:
    schema = {"type": "object", "properties": {}}
    result = encoded(chat(output=OutputFormat("schema", schema=schema)))
    closed = {**schema, "additionalProperties": False}
    assert result.body["output_config"] == {"format": {"type": "json_schema", "schema": closed}}
    assert (lost(result), "system" in result.body) == ([], False)


def test_a_schema_that_loses_its_meaning_when_closed_is_asked_for_in_words() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "number"}}
    result = encoded(chat(output=OutputFormat("schema", schema=schema)))
    assert "additionalProperties" in result.body["system"][0]["text"] and "output_config" not in result.body
    assert lost(result) == ["response_format"]


def test_an_hour_of_caching_does_not_follow_five_minutes() -> None:
    texts = [Text("a", cache=CacheMark("1h")), Text("b", cache=CacheMark()), Text("c", cache=CacheMark("1h"))]
    marks = [block["cache_control"] for block in encoded(chat(user(*texts))).body["messages"][0]["content"]]
    assert [mark.get("ttl") for mark in marks] == ["1h", None, None]


def test_the_oldest_cache_marks_go_where_there_are_too_many() -> None:
    texts = [Text(word, cache=CacheMark()) for word in "abcdef"]
    turns = [(assistant if number % 2 else user)(text) for number, text in enumerate(texts)]
    blocks = [message["content"][0] for message in encoded(chat(*turns)).body["messages"]]
    assert [block["text"] for block in blocks if "cache_control" in block] == ["c", "d", "e", "f"]


def test_a_format_that_cannot_be_enforced_is_asked_for_in_words() -> None:
    result = encoded(chat(output=OutputFormat("json")))
    assert "JSON" in result.body["system"][0]["text"] and "output_config" not in result.body
    assert lost(result) == ["response_format"]


def test_several_answers_cannot_be_had() -> None:
    with pytest.raises(RequestError) as caught:
        encoded(chat(choices=2))
    assert caught.value.failure.param == "n"


def test_own_members_are_written_back_with_their_betas() -> None:
    result = encoded(
        decoded(
            context_management={"edits": []},
            output_config={"effort": "low", "task_budget": {"total": 9}},
            metadata={"user_id": "u", "team": "t"},
            betas=["some-beta-2026-01-01"],
        )
    )
    assert result.body["context_management"] == {"edits": []}
    assert result.body["output_config"] == {"effort": "low", "task_budget": {"total": 9}}
    assert result.body["metadata"] == {"user_id": "u", "team": "t"}
    assert dict(result.headers)["anthropic-beta"] == "context-management-2025-06-27,some-beta-2026-01-01"


def test_foreign_members_are_reported_unless_they_mean_nothing_here() -> None:
    extras = (Extra("openai-chat", "store", True), Extra("openai-chat", "audio", {}))
    assert lost(encoded(chat(extras=extras))) == ["audio"]


def test_the_user_is_named_when_the_name_is_short_enough() -> None:
    assert encoded(chat(user="u")).body["metadata"] == {"user_id": "u"}
    assert "metadata" not in encoded(chat(user="u" * 257)).body


def test_the_request_is_not_changed_by_writing_it() -> None:
    call = {"type": "tool_use", "id": "t1", "name": "run", "input": {"a": [1]}}
    source = body({"role": "assistant", "content": [call]}, tools=[{"name": "run", "input_schema": {"anyOf": []}}])
    before = json.dumps(source)
    request = decode_request(source)
    encode_request(request, SONNET_4_5, model="m")
    assert json.dumps(source) == before


def test_the_whole_of_a_translated_request() -> None:
    request = chat(
        user("Hi", Media("image", url="https://x/y.png")),
        assistant(ToolCall("t1", "run", {"a": 1})),
        user(ToolResult("t1", (Text("ok"),))),
        system=(Text("Be kind."),),
        tools=(Tool("run", "Runs", {"type": "object", "properties": {"a": {"type": "integer"}}}),),
        tool_choice=ToolChoice(parallel=False),
        sampling=Sampling(temperature=0.5, seed=1),
        max_tokens=500,
        stop=("END", " "),
        stream=True,
    )
    result = encoded(request, HAIKU_3)
    assert result.body == {
        "model": "claude",
        "max_tokens": 500,
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Hi"},
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "run", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "ok"}]},
        ],
        "tools": [
            {
                "name": "run",
                "description": "Runs",
                "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            }
        ],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "temperature": 0.5,
        "stop_sequences": ["END"],
        "stream": True,
        "cache_control": {"type": "ephemeral"},
    }
    assert lost(result) == ["seed", "stop"]


words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=8)
texts = st.builds(Text, words, cache=st.none() | st.builds(CacheMark, st.sampled_from(["", "5m"])))
images = st.builds(Media, st.just("image"), mime=st.just("image/png"), data=st.just("iVBOR"))
signatures = st.builds(Signature, st.just("anthropic"), st.from_regex(r"\AEq[A-Za-z0-9+/]{2}=?\Z"))
thoughts = st.builds(Thinking, words, signature=signatures)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    results: list[ToolResult] = []
    for number in range(draw(st.integers(1, 3))):
        turns.append(Turn("user", (*results, *draw(st.lists(texts | images, min_size=1, max_size=2)))))
        calls = [ToolCall(f"t{number}{n}", "run", {"a": n}) for n in range(draw(st.integers(0, 2)))]
        said: tuple[Part, ...] = (
            *draw(st.lists(thoughts, max_size=1)),
            *draw(st.lists(texts, min_size=1, max_size=2)),
            *calls,
        )
        turns.append(Turn("assistant", said))
        results = [ToolResult(c.id, tuple(draw(st.lists(texts, max_size=2))), draw(st.booleans())) for c in calls]
    return (*turns, Turn("user", (*results, Text("end"))))


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    schemas = st.sampled_from([{"type": "object", "properties": {}}])
    tools = st.builds(Tool, words, words, schemas, strict=st.none() | st.booleans(), protocol=st.just("anthropic"))
    return ChatRequest(
        protocol="anthropic",
        model="m",
        turns=draw(conversations()),
        system=tuple(draw(st.lists(texts, max_size=2))),
        tools=tuple(draw(st.lists(tools, min_size=1, max_size=2))),
        tool_choice=draw(st.sampled_from([ToolChoice(), ToolChoice("required"), ToolChoice("none")])),
        reasoning=draw(
            st.sampled_from(
                [
                    Reasoning(),
                    Reasoning(level="high"),
                    Reasoning(level="auto", visible=True),
                    Reasoning(level="low", visible=False),
                ]
            )
        ),
        max_tokens=draw(st.integers(1, 100_000)),
        stop=tuple(draw(st.lists(words, max_size=2))),
        stream=draw(st.booleans()),
        stream_usage=True,
        user=draw(st.just("") | words),
    )


@given(requests())
def test_what_the_protocol_can_say_survives_both_ways(request: ChatRequest) -> None:
    assume(json.dumps(msgspec.to_builtins(request)).count('"ttl"') <= MAX_MARKS)
    result = encode_request(request, OPUS_4_8, model="m")
    again = decode_request(result.body)
    plain = {**_members(again), "turns": _without_names(again.turns)}
    assert plain == {**_members(request), "turns": _without_names(request.turns)}
    assert result.losses == ()


def _without_names(turns: tuple[Turn, ...]) -> list[Any]:
    """Turns without the names that pairing adds to results."""
    return [[turn.role, [(type(part), getattr(part, "call_id", part)) for part in turn.parts]] for turn in turns]

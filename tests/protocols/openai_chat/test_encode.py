from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json
from bm.chat.request import Extra, OutputFormat
from bm.errors import RequestError
from tests.protocols.openai_chat.kit import COMPATIBLE, OPENAI, client_request, lost, sent

GROQ = Capabilities(dialect=Dialect(name="groq", refuses=frozenset({"n", "logprobs", "store"})))
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def but(capabilities: Capabilities, **members: Any) -> Capabilities:
    return msgspec.structs.replace(capabilities, **members)


def speaking(**members: Any) -> Capabilities:
    return Capabilities(dialect=Dialect(**{"name": "x", **members}))


def members(request: Any, capabilities: Capabilities = OPENAI) -> Json:
    body = sent(request, capabilities)
    return {key: value for key, value in body.items() if key not in ("model", "messages")}


def test_a_plain_request_is_model_and_messages() -> None:
    assert sent(client_request()) == {"model": "up", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        (OPENAI, {"max_completion_tokens": 9000}),
        (COMPATIBLE, {"max_tokens": 9000}),
        (but(OPENAI, max_output=4096), {"max_completion_tokens": 4096}),
    ],
)
def test_the_limit_has_the_services_own_name_and_no_more_than_the_model_gives(
    capabilities: Capabilities, expected: Json
) -> None:
    assert members(client_request(max_tokens=9000), capabilities) == expected
    assert lost(client_request(max_tokens=9000), capabilities) == []


def test_stop_sequences_beyond_the_services_limit_are_reported() -> None:
    request = client_request(stop=["a", "b", "c", "d", "e"])
    assert members(request) == {"stop": ["a", "b", "c", "d"]}
    assert lost(request) == ["stop[4:]"]
    assert members(request, speaking(max_stop=0)) == {"stop": ["a", "b", "c", "d", "e"]}


def test_several_answers_of_a_service_that_gives_one_are_refused() -> None:
    assert members(client_request(n=2)) == {"n": 2}
    assert members(client_request(n=1), GROQ) == {}
    with pytest.raises(RequestError, match="n: the model gives one answer a request"):
        sent(client_request(n=2), GROQ)


@pytest.mark.parametrize(
    ("given", "capabilities", "kept", "reported"),
    [
        ({"temperature": 0.2, "top_p": 0.5, "seed": 1}, OPENAI, {"temperature": 0.2, "top_p": 0.5, "seed": 1}, []),
        ({"temperature": 0.2}, but(OPENAI, sampling=False), {}, ["temperature"]),
        ({"temperature": 0, "top_p": 0.5}, but(OPENAI, temperature_or_top_p=True), {"temperature": 0}, ["top_p"]),
        ({"presence_penalty": 1}, but(OPENAI, penalties=False), {}, ["presence_penalty"]),
        ({"top_k": 4}, OPENAI, {}, ["top_k"]),
        ({"top_k": 4}, speaking(takes=frozenset({"top_k"})), {"top_k": 4}, []),
        ({"logprobs": True}, GROQ, {}, ["logprobs"]),
        ({"logprobs": False}, GROQ, {}, []),
    ],
)
def test_sampling_goes_as_far_as_the_model_takes_it(
    given: Json, capabilities: Capabilities, kept: Json, reported: list[str]
) -> None:
    assert members(client_request(**given), capabilities) == kept
    assert lost(client_request(**given), capabilities) == reported


def test_probabilities_that_no_other_protocol_could_be_given_are_not_asked_for() -> None:
    request = msgspec.structs.replace(client_request(logprobs=True, top_logprobs=2), protocol="gemini")
    assert members(request) == {}
    assert lost(request) == ["logprobs", "top_logprobs"]


def test_what_bm_adds_of_its_own_is_no_loss_when_it_is_refused() -> None:
    capabilities = but(
        speaking(thinking="groq", refuses=frozenset({"user", "stream_options", "reasoning_format"})),
        thinking="effort",
        levels=("low", "high"),
    )
    request = client_request(user="u", stream=True, reasoning_effort="high")
    assert members(request, capabilities) == {"reasoning_effort": "high", "stream": True}
    assert lost(request, capabilities) == []


def test_a_stream_always_asks_for_its_usage_where_that_is_understood() -> None:
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    assert members(client_request(stream=True)) == asked
    assert members(client_request(stream=True), speaking(stream_usage=False)) == {"stream": True}


FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
TOOLS = [{"type": "function", "function": {"name": "f"}}]


def formatted(output: OutputFormat, capabilities: Capabilities, **given: Any) -> tuple[Any, str, list[str]]:
    """`response_format`, the system prompt, and what is reported."""
    request = msgspec.structs.replace(client_request(**given), output=output)
    body = sent(request, capabilities)
    system = next((message["content"] for message in body["messages"] if message["role"] == "system"), "")
    return body.get("response_format"), system, lost(request, capabilities)


def test_a_schema_is_sent_as_a_schema() -> None:
    assert formatted(OutputFormat("schema", SCHEMA, "n", strict=True), OPENAI) == (FORMAT, "", [])
    unnamed, _, _ = formatted(OutputFormat("schema", SCHEMA, "my name!", "d"), OPENAI)
    assert unnamed["json_schema"] == {"name": "my_name_", "schema": SCHEMA, "description": "d"}
    assert formatted(OutputFormat("schema", SCHEMA), OPENAI)[0]["json_schema"]["name"] == "answer"


@pytest.mark.parametrize("able", ["json", "none"])
def test_a_schema_the_service_does_not_know_is_put_into_words(able: Any) -> None:
    form, system, reported = formatted(OutputFormat("schema", SCHEMA), but(COMPATIBLE, structured_output=able))
    assert form == ({"type": "json_object"} if able == "json" else None)
    assert '{"type":"object"' in system
    assert reported == ["response_format"]


def test_any_json_is_asked_for_by_format_or_in_words() -> None:
    assert formatted(OutputFormat("json"), OPENAI) == ({"type": "json_object"}, "Answer with a JSON object.", [])
    form, system, reported = formatted(OutputFormat("json"), but(COMPATIBLE, structured_output="none"))
    assert (form, reported) == (None, ["response_format"])
    assert "JSON" in system


def test_a_format_that_does_not_go_with_tools_is_put_into_words() -> None:
    capabilities = but(COMPATIBLE, structured_with_tools=False)
    form, system, _ = formatted(OutputFormat("schema", SCHEMA), capabilities, tools=TOOLS)
    assert form is None
    assert "JSON Schema" in system
    assert formatted(OutputFormat("schema", SCHEMA), capabilities)[0] is not None


def test_who_asks_and_in_which_conversation() -> None:
    request = client_request(user="u", prompt_cache_key="k")
    assert members(request) == {"safety_identifier": "u", "prompt_cache_key": "k"}
    assert members(request, COMPATIBLE) == {"user": "u"}
    body = members(client_request(user="u" * 200, prompt_cache_key="k" * 200))
    assert (len(body["safety_identifier"]), len(body["prompt_cache_key"])) == (64, 64)
    assert body != members(client_request(user="v" * 200, prompt_cache_key="k" * 200))


def test_own_fields_are_written_back_and_foreign_ones_are_losses_unless_ignorable() -> None:
    extras = (
        Extra("openai-chat", "store", True),
        Extra("openai-chat", "messages[0].name", "ann"),
        Extra("anthropic", "metadata", {"user_id": "x"}),
        Extra("anthropic", "container", "c"),
        Extra("gemini", "safetySettings", []),
        Extra("gemini", "cachedContent", "c"),
    )
    request = msgspec.structs.replace(client_request(), extras=extras)
    assert members(request) == {"store": True}
    assert lost(request) == ["messages[0].name", "container", "cachedContent"]
    assert lost(request, GROQ) == ["messages[0].name", "container", "cachedContent", "store"]


def test_nothing_that_goes_upstream_is_null() -> None:
    request = client_request(
        temperature=None, tools=TOOLS, response_format=None, stream=True, reasoning_effort="low", stop="x"
    )

    def nulls(value: Any) -> bool:
        if isinstance(value, dict):
            return any(map(nulls, value.values()))
        return any(map(nulls, value)) if isinstance(value, list) else value is None

    assert not nulls(sent(request))


def test_the_request_is_left_as_it_is() -> None:
    request = client_request(tools=[{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}], store=True)
    before = copy.deepcopy(request)
    sent(request)
    sent(request, COMPATIBLE)
    assert request == before

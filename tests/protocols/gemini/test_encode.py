"""A request as Gemini gets it."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.capabilities import Capabilities
from bm.chat.parts import CacheMark, Text
from bm.chat.request import (
    Extra,
    Loss,
    OutputFormat,
    Sampling,
    Turn,
)
from bm.errors import RequestError
from tests.protocols.gemini.kit import CAPABLE, OLD, SCHEMA, F, encoded


def test_the_model_and_the_stream_are_not_in_the_body() -> None:
    assert encoded(stream=True).body == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


def test_system_blocks_are_parts() -> None:
    system = (Text("A", cache=CacheMark()), Text(""), Text("B"))
    result = encoded(system=system)
    assert result.body["systemInstruction"] == {"parts": [{"text": "A"}, {"text": "B"}]}
    assert result.losses == ()


def generation(capabilities: Capabilities = CAPABLE, **members: Any) -> Any:
    return encoded(capabilities=capabilities, **members).body.get("generationConfig")


def test_sampling() -> None:
    sampling = Sampling(3.0, 0.9, 40, 2**31, 0.1, 0.2, True, 5)
    assert generation(sampling=sampling, choices=2, stop=("a", "", "b"), protocol="gemini") == {
        "stopSequences": ["a", "b"],
        "candidateCount": 2,
        "temperature": 2.0,
        "topP": 0.9,
        "topK": 40,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "seed": -(2**31),
        "responseLogprobs": True,
        "logprobs": 5,
    }


def test_log_probabilities_are_requested_only_for_gemini_clients() -> None:
    result = encoded(sampling=Sampling(logprobs=True, top_logprobs=5), protocol="openai-chat")
    assert "generationConfig" not in result.body
    assert [loss.field for loss in result.losses] == ["logprobs", "top_logprobs"]


def test_sampling_that_the_model_does_not_take_is_a_loss() -> None:
    capabilities = Capabilities(sampling=False, penalties=False)
    sampling = Sampling(0.5, 0.9, 40, presence_penalty=0.1, frequency_penalty=0.0)
    result = encoded(capabilities=capabilities, sampling=sampling)
    assert "generationConfig" not in result.body
    assert [loss.field for loss in result.losses] == ["temperature", "top_p", "top_k", "presence_penalty"]


@pytest.mark.parametrize(("asked", "most", "sent"), [(100, 0, 100), (128_000, 0, 65_536), (128_000, 8192, 8192)])
def test_max_tokens_are_what_the_model_can_answer(asked: int, most: int, sent: int) -> None:
    result = encoded(capabilities=Capabilities(max_output=most), max_tokens=asked)
    assert result.body["generationConfig"] == {"maxOutputTokens": sent}
    assert result.losses == ()


def test_no_tokens_at_all_are_refused() -> None:
    with pytest.raises(RequestError, match="max_tokens"):
        encoded(max_tokens=0)


def test_the_first_five_stop_sequences_are_sent() -> None:
    result = encoded(stop=tuple("abcdef"))
    assert result.body["generationConfig"]["stopSequences"] == list("abcde")
    assert result.losses == (Loss("stop_sequences[5:]", "the service takes 5 stop sequences"),)


JSON_ONLY = {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("output", "capabilities", "config", "lost"),
    [
        (OutputFormat("json"), CAPABLE, JSON_ONLY, []),
        (OutputFormat("schema", SCHEMA, name="n"), CAPABLE, {**JSON_ONLY, "responseJsonSchema": SCHEMA}, []),
        (OutputFormat("schema", {"type": "string"}), OLD, {**JSON_ONLY, "responseSchema": {"type": "STRING"}}, []),
        (OutputFormat("schema", {"type": "object"}), OLD, JSON_ONLY, []),
        (
            OutputFormat("schema", SCHEMA),
            Capabilities(structured_output="json"),
            JSON_ONLY,
            ["output_config.format"],
        ),
        (OutputFormat("json"), Capabilities(structured_output="none"), None, ["output_config.format"]),
    ],
)
def test_structured_output(output: OutputFormat, capabilities: Capabilities, config: Any, lost: list[str]) -> None:
    result = encoded(capabilities=capabilities, output=output)
    assert result.body.get("generationConfig") == config
    assert [loss.field for loss in result.losses] == lost


def test_structured_output_yields_to_tools_where_they_do_not_combine() -> None:
    result = encoded(capabilities=Capabilities(structured_with_tools=False), output=OutputFormat("json"), tools=(F,))
    assert "generationConfig" not in result.body
    assert [loss.field for loss in result.losses] == ["output_config.format"]


def test_extras_of_gemini_are_written_again() -> None:
    extras = (
        Extra("gemini", "safetySettings", [{"category": "x"}]),
        Extra("gemini", "generationConfig.mediaResolution", "LOW"),
        Extra("gemini", "toolConfig.functionCallingConfig.mode", "VALIDATED"),
        Extra("gemini", "contents[0].parts[0].videoMetadata", {"fps": 1}),
    )
    result = encoded(protocol="gemini", extras=extras)
    assert result.body["safetySettings"] == [{"category": "x"}]
    assert result.body["generationConfig"] == {"mediaResolution": "LOW"}
    assert result.body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert [loss.field for loss in result.losses] == ["contents[0].parts[0].videoMetadata"]


def test_fields_of_other_protocols_are_losses_unless_ignorable() -> None:
    extras = (
        Extra("anthropic", "metadata", {}),
        Extra("anthropic", "mcp_servers", []),
        Extra("anthropic", "container", None),
    )
    assert [loss.field for loss in encoded(extras=extras).losses] == ["mcp_servers", "container"]


@pytest.mark.parametrize(
    "extra",
    [Extra("anthropic", "container", "c"), Extra("openai-responses", "previous_response_id", "r")],
    ids=["container", "previous"],
)
def test_what_lives_elsewhere_is_refused(extra: Extra) -> None:
    with pytest.raises(RequestError) as caught:
        encoded(extras=(extra,))
    assert caught.value.failure.param == extra.field


def test_a_request_ends_in_a_turn_of_the_user_where_the_model_continues_no_answer() -> None:
    turns = (Turn("user", (Text("Hi"),)), Turn("assistant", (Text("The"),)))
    written = encoded(*turns, capabilities=Capabilities(family="gemini", prefill=False))
    assert [row["role"] for row in written.body["contents"]] == ["user", "model", "user"]
    assert [loss.field for loss in written.losses] == ["messages"]
    assert [row["role"] for row in encoded(*turns).body["contents"]] == ["user", "model"]


def test_several_answers_of_a_model_that_gives_one_are_refused() -> None:
    with pytest.raises(RequestError, match="n: the model gives one answer"):
        encoded(capabilities=Capabilities(family="gemini", choices=False), choices=2)

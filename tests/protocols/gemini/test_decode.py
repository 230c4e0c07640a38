"""A client's generationConfig."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Text
from bm.chat.request import (
    Extra,
    OutputFormat,
    Reasoning,
    Sampling,
    Turn,
)
from bm.errors import RequestError
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.kit import CONTENTS, SCHEMA, read


def test_generation() -> None:
    config = {
        "temperature": 0.5,
        "topP": 0.9,
        "top_k": 40.0,
        "candidateCount": 2,
        "max_output_tokens": 100,
        "stopSequences": ["x"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequency_penalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "responseModalities": ["TEXT"],
    }
    for name in ("generationConfig", "generation_config"):
        request = read(**{name: config})
        assert request.sampling == Sampling(0.5, 0.9, 40, 7, 0.1, 0.2, True, 3)
        assert (request.choices, request.max_tokens, request.stop, request.extras) == (2, 100, ("x",), ())


@pytest.mark.parametrize(
    ("config", "reasoning"),
    [
        ({}, Reasoning()),
        ({"thinkingLevel": "HIGH", "includeThoughts": True}, Reasoning("high", visible=True)),
        ({"thinking_level": "low"}, Reasoning("low")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Reasoning()),
        ({"thinking_budget": 100, "include_thoughts": False}, Reasoning(budget=100, visible=False)),
        ({"thinkingBudget": 0}, Reasoning("off")),
        ({"thinkingBudget": -1}, Reasoning("auto")),
    ],
)
def test_thinking(config: dict[str, Any], reasoning: Reasoning) -> None:
    assert read(generationConfig={"thinkingConfig": config}).reasoning == reasoning


@pytest.mark.parametrize(
    ("config", "output"),
    [
        ({"responseMimeType": "text/plain"}, OutputFormat()),
        ({"response_mime_type": "application/json"}, OutputFormat("json")),
        (
            {"responseMimeType": "application/json", "responseJsonSchema": {"type": "OBJECT"}},
            OutputFormat("schema", {"type": "object"}),
        ),
        (
            {"responseMimeType": "application/json", "response_schema": {"type": "STRING"}},
            OutputFormat("schema", {"type": "string"}),
        ),
        (
            {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON", "schema": SCHEMA}}},
            OutputFormat("schema", SCHEMA),
        ),
    ],
)
def test_structured_output(config: dict[str, Any], output: OutputFormat) -> None:
    assert read(generationConfig=config).output == output


def test_the_model_and_the_stream_stand_in_the_path() -> None:
    request = read()
    assert (request.protocol, request.model, request.stream) == ("gemini", "m", True)
    assert request.turns == (Turn("user", (Text("hi"),)),)


def test_a_body_may_name_its_model_and_be_wrapped_for_counting() -> None:
    wrapped = {"generateContentRequest": {"model": "models/gemini-x", "contents": CONTENTS}}
    assert CODEC.decode_request(wrapped).model == "gemini-x"


def test_what_only_gemini_knows_is_kept() -> None:
    video = {"fileData": {"fileUri": "gs://b/v"}, "videoMetadata": {"fps": 1}}
    request = read(
        contents=[{"parts": [video]}],
        safetySettings=[{"category": "x"}],
        cached_content="cachedContents/1",
        labels={},
        generationConfig={"mediaResolution": "LOW", "speech_config": {"x": 1}},
        toolConfig={"includeServerSideToolInvocations": True},
    )
    assert request.extras == (
        Extra("gemini", "safetySettings", [{"category": "x"}]),
        Extra("gemini", "cachedContent", "cachedContents/1"),
        Extra("gemini", "toolConfig.includeServerSideToolInvocations", True),
        Extra("gemini", "generationConfig.mediaResolution", "LOW"),
        Extra("gemini", "generationConfig.speechConfig", {"x": 1}),
        Extra("gemini", "contents[0].parts[0].videoMetadata", {"fps": 1}),
    )


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": None}, "contents"),
        ({"contents": []}, "contents"),
        ({"contents": 7}, "contents"),
        ({"contents": [7]}, "contents[0]"),
        ({"contents": [{"role": "robot", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": 7}]}, "contents[0].parts"),
        ({"contents": [{"parts": [7]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 7}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
        (
            {"contents": [{"parts": [{"functionCall": {"name": "f", "args": 7}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [{"parts": [{"functionResponse": 7}]}]}, "contents[0].parts[0].functionResponse"),
        ({"systemInstruction": 7}, "systemInstruction"),
        ({"tools": 7}, "tools"),
        ({"tools": [7]}, "tools[0]"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"tools": [{"functionDeclarations": 7}]}, "tools[0].functionDeclarations"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": 7}]}]},
            "tools[0].functionDeclarations[0].parameters",
        ),
        ({"toolConfig": 7}, "toolConfig"),
        ({"generationConfig": 7}, "generationConfig"),
        ({"generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({"generationConfig": {"responseLogprobs": 1}}, "generationConfig.responseLogprobs"),
        ({"generationConfig": {"stopSequences": [7]}}, "generationConfig.stopSequences[0]"),
        ({"generationConfig": {"thinkingConfig": 7}}, "generationConfig.thinkingConfig"),
    ],
    ids=str,
)
def test_a_wrong_type_is_refused_by_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        CODEC.decode_request({"contents": CONTENTS, **body})
    assert (caught.value.failure.kind, caught.value.failure.param) == ("bad_request", param)
    assert caught.value.failure.message.startswith(param)

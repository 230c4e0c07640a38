"""How a wrong request is refused."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.request import ChatRequest
from bm.errors import RequestError
from bm.protocols.gemini.codec import CODEC
from bm.protocols.gemini.refusing import expected, place
from tests.protocols.gemini.kit import CONTENTS


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
        ({"generationConfig": {"stopSequences": [7]}}, "generationConfig.stopSequences"),
        ({"generationConfig": {"thinkingConfig": 7}}, "generationConfig.thinkingConfig"),
    ],
    ids=str,
)
def test_a_wrong_type_is_refused_by_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        CODEC.decode_request({"contents": CONTENTS, **body})
    assert (caught.value.failure.kind, caught.value.failure.param) == ("bad_request", param)
    assert caught.value.failure.message.startswith(param)


@pytest.mark.parametrize(
    ("protocol", "at"),
    [
        ("gemini", "contents[1].parts[2]"),
        ("anthropic", "messages[1].content[2]"),
        ("openai-chat", "messages[1].content[2]"),
        ("openai-responses", "input[1].content[2]"),
    ],
)
def test_a_place_is_spelled_as_the_client_would(protocol: Any, at: str) -> None:
    assert place(ChatRequest(protocol=protocol, model="m", turns=()), 1, 2) == at


@pytest.mark.parametrize(
    ("value", "word"),
    [(None, "null"), (True, "a boolean"), (1.5, "a number"), ("x", "a string"), ([], "a list"), ({}, "an object")],
)
def test_what_came_instead_is_named(value: Any, word: str) -> None:
    assert expected("tools", "a list", value).failure.message == f"tools: expected a list, got {word}"

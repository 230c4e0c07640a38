"""What the Gemini API refuses, and what it takes."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from bm.simulator import signatures
from tests.simulator.streams import body_of

NEW, OLD = "gemini-3-flash-preview", "gemini-2.5-flash"
SIGNATURE = signatures.issue("gemini", "look")
DUMMY = "skip_thought_signature_validator"


def call(signature: str | None = SIGNATURE, name: str = "look") -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": {"unknown": "names are the tool's own"}}}
    return part if signature is None else part | {"thoughtSignature": signature}


RESULT: Any = {"functionResponse": {"name": "look", "response": {"output": "blue"}}}
USER: Any = {"role": "user", "parts": [{"text": "hello"}]}


def turn(*steps: list[Any]) -> list[Any]:
    """Steps of the model and the user after a first content of the user."""
    roles = ["model", "user"] * len(steps)
    return [USER, *({"role": role, "parts": parts} for role, parts in zip(roles, steps, strict=False))]


def post(http: httpx.Client, model: str, **change: Any) -> httpx.Response:
    return http.post(f"/v1beta/models/{model}:generateContent", json=body_of("gemini") | change)


SIGNATURES: list[tuple[list[Any], str]] = [
    (turn([call(None)], [RESULT]), "Function call is missing a thought_signature in functionCall parts."),
    (turn([call("")], [RESULT]), "Function call is missing a thought_signature"),
    (turn([call(None), call()], [RESULT, RESULT]), "Function call is missing a thought_signature"),
    (turn([call()], [RESULT], [call(None)], [RESULT]), "Function call is missing a thought_signature"),
    (turn([call(signatures.issue("claude", "look"))], [RESULT]), "Corrupted thought signature."),
    (turn([call(SIGNATURE, name="another")], [RESULT]), "Corrupted thought signature."),
    (turn([call("no base64 at all!")], [RESULT]), "Base64 decoding failed"),
]


@pytest.mark.parametrize(("contents", "words"), SIGNATURES)
def test_gemini_3_wants_its_signatures_back(http: httpx.Client, contents: list[Any], words: str) -> None:
    answer = post(http, NEW, contents=contents)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in answer.json()["error"]["message"]


SIGNED = [
    turn([call()], [RESULT]),
    turn([call(SIGNATURE.replace("+", "-").replace("/", "_"))], [RESULT]),
    turn([call(), call(None)], [RESULT, RESULT]),
    turn([call()], [RESULT], [call()], [RESULT]),
    turn([call(DUMMY)], [RESULT]),
    turn([call(base64.b64encode(DUMMY.encode()).decode())], [RESULT]),
    [*turn([call(None)], [RESULT], [{"text": "so"}]), USER],
]


@pytest.mark.parametrize("contents", SIGNED)
def test_gemini_3_takes_what_it_issued_a_dummy_and_earlier_turns(http: httpx.Client, contents: list[Any]) -> None:
    answer = post(http, NEW, contents=contents)
    assert answer.status_code == 200, answer.text


def test_older_models_want_no_signatures(http: httpx.Client) -> None:
    assert post(http, OLD, contents=turn([call(None)], [RESULT])).status_code == 200


def tool(**function: Any) -> list[Any]:
    return [{"functionDeclarations": [{"name": "look", **function}]}]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"contents": []}, "contents is not specified"),
    ({"contents": [{"role": "user", "parts": []}]}, "contents.parts must not be empty"),
    ({"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
    ({"contents": turn([call()], [RESULT, RESULT])}, "number of function response parts is equal to the number"),
    ({"contents": turn([call(), call()], [RESULT])}, "number of function response parts is equal to the number"),
    ({"contents": turn([call()], [{"text": "no"}])}, "number of function response parts is equal to the number"),
    ({"contents": turn([{"text": "hm"}], [RESULT])}, "comes immediately after a function call turn"),
    ({"contents": [{"parts": [{"text": "a", "inlineData": {}}]}]}, "oneof field 'data' is already set"),
    ({"contents": [{"parts": [{"thought": True}]}]}, "must have one initialized field"),
    ({"metadata": {}}, 'Invalid JSON payload received. Unknown name "metadata": Cannot find field.'),
    ({"generationConfig": {"max_tokens": 5}}, "Unknown name \"max_tokens\" at 'generation_config': Cannot find field."),
    (
        {"contents": [{"parts": [{"text": "a", "cache_control": {}}]}]},
        "Unknown name \"cache_control\" at 'contents[0].parts[0]': Cannot find field.",
    ),
    (
        {"tools": tool(parameters={"type": "object", "$schema": "x"})},
        "Unknown name \"$schema\" at 'tools[0].function_declarations[0].parameters'",
    ),
    (
        {"tools": tool(parameters={"type": "object", "properties": {"a": {"const": 1}}})},
        "Unknown name \"const\" at 'tools[0].function_declarations[0].parameters.properties[a].value'",
    ),
    ({"tools": tool(parameters={"type": ["string", "null"]})}, "Proto field is not repeating"),
    ({"tools": tool(parameters={"type": "string", "enum": [1]})}, "(TYPE_STRING), 1"),
    ({"tools": tool(parameters={"type": "string", "enum": [""]})}, "enum[0]: cannot be empty"),
    ({"tools": tool(parameters={"type": "object", "required": ["a"]})}, "property is not defined: a"),
    ({"tools": tool(name="1st")}, "Invalid function name"),
    ({"tools": [*tool(), *tool()]}, "Duplicate function declaration found: look"),
    ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 5}}}, "only one of"),
    ({"contents": [{"role": "model", "parts": [call()]}, {"parts": [RESULT]}]}, "comes immediately after a user turn"),
]


@pytest.mark.parametrize(("change", "words"), REFUSED)
def test_it_is_refused(http: httpx.Client, change: dict[str, Any], words: str) -> None:
    answer = post(http, OLD, **change)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in answer.json()["error"]["message"]


TAKEN: list[dict[str, Any]] = [
    {"system_instruction": {"parts": [{"text": "Be kind."}]}},
    {"generation_config": {"max_output_tokens": 9, "thinkingConfig": {"thinking_budget": 0}}},
    {
        "tools": tool(
            parametersJsonSchema={"type": ["object", "null"], "$schema": "x", "properties": {"a": {"const": 1}}}
        )
    },
    {"tools": tool(parameters_json_schema={"type": "object", "anyOf": []})},
    {"tools": tool(parameters={"type": "OBJECT", "properties": {"const": {"type": "STRING"}}, "required": ["const"]})},
    {"contents": turn([call(None)])},
    {"contents": [USER, USER]},
    {"contents": {"parts": [{"text": "one content instead of a list"}]}},
    {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]},
    {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}, "tools": tool()},
]


@pytest.mark.parametrize("change", TAKEN)
def test_it_is_taken(http: httpx.Client, change: dict[str, Any]) -> None:
    answer = post(http, OLD, **change)
    assert answer.status_code == 200, answer.text


def test_a_hundred_texts_are_embedded_at_once(http: httpx.Client) -> None:
    one = {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": "x"}]}}
    for number, status in ((100, 200), (101, 400)):
        path = "/v1beta/models/gemini-embedding-001:batchEmbedContents"
        assert http.post(path, json={"requests": [one] * number}).status_code == status

"""What each model of Google refuses, and what it takes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bm.simulator import signatures
from bm.simulator.gemini_refusals import signs_calls
from tests.simulator.streams import body_of

USER: Any = {"role": "user", "parts": [{"text": "hello"}]}
MODEL: Any = {"role": "model", "parts": [{"text": "It is"}]}
TOOLS: Any = [{"functionDeclarations": [{"name": "look"}]}]
MIXED: Any = [*TOOLS, {"googleSearch": {}}]
FLAG: Any = {"includeServerSideToolInvocations": True}
MODE: Any = {"functionCallingConfig": {"mode": "AUTO"}}
SIGNED = {"thoughtSignature": signatures.issue("gemini", "look")}
CALL: Any = {"role": "model", "parts": [{"functionCall": {"name": "look", "id": "a", "args": {}}, **SIGNED}]}


def thinking(**config: Any) -> dict[str, Any]:
    return {"generationConfig": {"thinkingConfig": config}}


def image(kind: str) -> dict[str, Any]:
    return {"contents": [{"parts": [{"inlineData": {"mimeType": kind, "data": "aGk="}}]}]}


def result(name: str, identifier: str = "a") -> dict[str, Any]:
    answer = {"name": name, "id": identifier, "response": {}}
    return {"contents": [USER, CALL, {"role": "user", "parts": [{"functionResponse": answer}]}]}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("gemini-3.8-flash", thinking(thinkingLevel="MINIMAL"), "Thinking level MINIMAL is not supported"),
    ("gemini-3.1-pro-preview", thinking(thinkingLevel="minimal"), "Thinking level MINIMAL is not supported"),
    ("gemini-5-flash", thinking(thinkingLevel="MINIMAL"), "Thinking level MINIMAL is not supported"),
    ("gemini-3.8-flash", thinking(thinkingLevel="XHIGH"), "Thinking level XHIGH is not supported"),
    ("gemini-2.5-flash", thinking(thinkingLevel="LOW"), "Thinking level is not supported"),
    ("gemini-4-argon", thinking(thinkingBudget=1024), "Thinking budget is not supported"),
    ("gemini-2.5-pro", thinking(thinkingBudget=0), "This model only works in thinking mode"),
    ("gemini-3.5-flash-lite", thinking(thinkingBudget=0), "This model only works in thinking mode"),
    ("gemini-2.5-flash", {"generationConfig": {"presencePenalty": 1}}, "Penalty is not enabled for models/gemini-2.5"),
    ("gemini-3.8-flash", {"generationConfig": {"frequencyPenalty": 1}}, "Penalty is not enabled"),
    ("gemini-flash-latest", {"generationConfig": {"candidateCount": 2}}, "Multiple candidates is not enabled"),
    ("gemini-2.5-flash", {"generationConfig": {"temperature": 2.5}}, "temperature must be in the range"),
    ("gemini-2.5-flash", {"generationConfig": {"stopSequences": list("abcdef")}}, "at most 5 stop sequences"),
    ("gemini-3.6-flash", {"contents": [USER, MODEL]}, "Requests ending with a model turn are not supported."),
    ("gemini-3.7-flash", result("another"), "Request contains an invalid argument."),
    ("gemini-4-carbon", result("look", "b"), "Request contains an invalid argument."),
    ("gemini-2.5-flash", {"tools": MIXED}, "Tool use with function calling is unsupported"),
    ("gemini-3.8-flash", {"tools": MIXED}, "Please enable tool_config.include_server_side_tool_invocations"),
    ("gemini-2.5-flash", {"toolConfig": FLAG}, "Tool call context circulation is not enabled"),
    (
        "gemini-2.5-flash",
        {"tools": TOOLS, "generationConfig": {"responseMimeType": "application/json"}},
        "Function calling with a response mime type",
    ),
    ("gemini-3.8-flash", {"toolConfig": MODE}, "Function calling config is set without function_declarations."),
    ("gemini-3.8-flash", image("image/gif"), "Unsupported MIME type: image/gif"),
    ("gemini-3.8-flash", image("application/msword"), "Unsupported MIME type: application/msword"),
    ("gemini-3.8-flash", {"cachedContent": "cachedContents/a", "tools": TOOLS}, "CachedContent can not be used"),
]


def post(http: httpx.Client, model: str, change: dict[str, Any], prefix: str = "/v1beta") -> httpx.Response:
    return http.post(f"{prefix}/models/{model}:generateContent", json=body_of("gemini") | change)


@pytest.mark.parametrize(("model", "change", "words"), REFUSED)
def test_a_model_refuses(http: httpx.Client, model: str, change: dict[str, Any], words: str) -> None:
    answer = post(http, model, change)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in answer.json()["error"]["message"]


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("gemini-3.6-flash", thinking(thinkingLevel="MINIMAL")),
    ("gemini-3-flash-preview", thinking(thinkingLevel="MINIMAL")),
    ("gemini-4-hydrogen", thinking(thinkingLevel="XHIGH")),
    ("gemini-3.8-flash", thinking(thinkingBudget=0)),
    ("gemini-2.5-flash", thinking(thinkingBudget=0)),
    ("gemini-3.5-flash", {"contents": [USER, MODEL]}),
    ("gemini-3.6-flash", result("another")),
    ("gemini-3.7-flash", result("look")),
    ("gemini-3.8-flash", {"tools": MIXED, "toolConfig": FLAG}),
    ("gemini-3.8-flash", {"tools": TOOLS, "generationConfig": {"responseMimeType": "application/json"}}),
    ("gemini-2.5-flash", {"generationConfig": {"maxOutputTokens": 128_000}}),
    ("gemini-3.8-flash", image("image/heic")),
]


@pytest.mark.parametrize(("model", "change"), TAKEN)
def test_a_model_takes(http: httpx.Client, model: str, change: dict[str, Any]) -> None:
    answer = post(http, model, change)
    assert answer.status_code == 200, answer.text


def test_vertex_ai_differs(http: httpx.Client) -> None:
    http.headers["authorization"] = f"Bearer {http.headers.pop('x-api-key')}"
    prefix = "/v1/projects/p/locations/global/publishers/google"
    for change, status in (
        ({"generationConfig": {"presencePenalty": 1}}, 200),
        ({"tools": MIXED}, 400),
        ({"toolConfig": FLAG}, 400),
        ({"generationConfig": {"maxOutputTokens": 128_000}}, 400),
    ):
        assert post(http, "gemini-2.5-flash", change, prefix).status_code == status
    assert post(http, "gemini-3.8-flash", {"tools": MIXED}, prefix).status_code == 200


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-3-pro-preview"])
def test_retired_models_are_not_found(http: httpx.Client, model: str) -> None:
    answer = post(http, model, {})
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_gemini_3_and_later_sign_their_calls() -> None:
    assert [signs_calls(model) for model in ("gemini-2.5-pro", "gemini-3.8-flash", "gemini-flash-latest")] == [0, 1, 1]
    assert not signs_calls("gemma-4-31b-it")

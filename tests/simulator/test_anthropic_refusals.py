"""What each model of Anthropic refuses, and what it takes."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.simulator.streams import body_of

ASKED: Any = {"role": "user", "content": "hello"}
PREFILL: Any = [ASKED, {"role": "assistant", "content": "It is"}]
SYSTEM: Any = {"role": "system", "content": "be brief"}
USE: Any = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "blue"}
LOOP: Any = [ASKED, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT]}]
TOOL: Any = {"name": "look", "input_schema": {"type": "object"}}
BUDGET: Any = {"type": "enabled", "budget_tokens": 2000}
ADAPTIVE: Any = {"type": "adaptive"}


def off(effort: str = "high", kind: str = "disabled") -> dict[str, Any]:
    return {"thinking": {"type": kind}, "output_config": {"effort": effort}}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("claude-opus-5-5", off(), '"thinking.type.disabled" is not supported'),
    ("claude-sonnet-5-5", off(), '"thinking.type.disabled" is not supported'),
    ("claude-mythos-5", off(), '"thinking.type.disabled" is not supported'),
    ("claude-opus-7", off(), '"thinking.type.disabled" is not supported'),
    ("claude-opus-5", off("max"), "output_config.effort 'max' is not supported when thinking is disabled"),
    ("claude-haiku-5-5", off("xhigh"), "output_config.effort 'xhigh' is not supported"),
    ("claude-sonnet-5-5", off("xhigh", "between_tools"), "output_config.effort 'xhigh' is not supported"),
    ("claude-sonnet-5", off("low", "between_tools"), '"thinking.type.between_tools" is not supported'),
    ("claude-opus-4-8", {"thinking": BUDGET}, '"thinking.type.enabled" is not supported'),
    ("claude-haiku-5-5", {"thinking": BUDGET}, '"thinking.type.enabled" is not supported'),
    ("claude-haiku-4-5-20251001", {"thinking": ADAPTIVE}, "adaptive thinking is not supported"),
    ("claude-haiku-4-5", {"output_config": {"effort": "low"}}, "does not support the effort parameter"),
    ("claude-opus-4-5", {"output_config": {"effort": "max"}}, "output_config.effort: Input should be"),
    ("claude-sonnet-4-6", {"output_config": {"effort": "xhigh"}}, "output_config.effort: Input should be"),
    ("claude-sonnet-5-5", {"tool_choice": {"type": "any"}}, 'type "tool" and "any" are not supported'),
    ("claude-fable-5-2", {"tool_choice": {"type": "tool", "name": "look"}}, "are not supported for this model"),
    ("claude-haiku-4-5", {"thinking": BUDGET, "tool_choice": {"type": "any"}}, "Thinking may not be enabled when"),
    ("claude-haiku-4-5", {"thinking": BUDGET, "messages": LOOP}, "Expected `thinking` or `redacted_thinking`"),
    ("claude-opus-4-8", {"temperature": 0.5}, "`temperature` is deprecated"),
    ("claude-sonnet-5", {"top_k": 5}, "`top_k` is deprecated"),
    ("claude-haiku-4-5", {"temperature": 1.5}, "temperature: range: 0..1"),
    ("claude-haiku-4-5", {"temperature": 0.5, "thinking": BUDGET}, "`temperature` may only be set to 1 when thinking"),
    ("claude-haiku-4-5", {"temperature": 0.5, "top_p": 0.5}, "cannot both be specified"),
    ("claude-opus-4-6", {"messages": PREFILL}, "does not support assistant message prefill"),
    ("claude-haiku-5-5", {"messages": PREFILL}, "does not support assistant message prefill"),
    ("claude-haiku-4-5", {"messages": [ASKED, {"role": "assistant", "content": "It "}]}, "trailing whitespace"),
    ("claude-opus-4-7", {"messages": [ASKED, SYSTEM]}, "role 'system' is not supported"),
    ("claude-opus-5-5", {"messages": [ASKED, SYSTEM, ASKED]}, "messages.1: role 'system' must precede"),
    ("claude-opus-5-5", {"tools": [{"type": "computer_20251124", "name": "computer"}]}, "does not support tool types"),
    ("claude-haiku-4-5", {"max_tokens": 64_001}, "max_tokens: 64001 > 64000"),
    ("claude-opus-5-5", {"max_tokens": 200_000}, "max_tokens: 200000 > 128000"),
]


def post(http: httpx.Client, model: str, change: dict[str, Any]) -> httpx.Response:
    body = body_of("anthropic", model=model, stream=False) | {"tools": [TOOL]} | change
    return http.post("/v1/messages", json=body)


@pytest.mark.parametrize(("model", "change", "words"), REFUSED)
def test_a_model_refuses(http: httpx.Client, model: str, change: dict[str, Any], words: str) -> None:
    answer = post(http, model, change)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert words in answer.json()["error"]["message"]


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("claude-opus-5-5", {"thinking": ADAPTIVE, "output_config": {"effort": "max"}}),
    ("claude-sonnet-5-5", off("high", "between_tools")),
    ("claude-opus-5", off()),
    ("claude-sonnet-5", off("max")),
    ("claude-haiku-5-5", {"tool_choice": {"type": "any"}}),
    ("claude-fable-5", {"tool_choice": {"type": "any"}}),
    ("claude-opus-4-5", {"output_config": {"effort": "high"}, "thinking": BUDGET}),
    ("claude-opus-4-8", {"temperature": 1}),
    ("claude-haiku-4-5", {"messages": PREFILL}),
    ("claude-opus-4-8", {"messages": [ASKED, SYSTEM]}),
    ("claude-opus-5-5", {"max_tokens": 128_000}),
]


@pytest.mark.parametrize(("model", "change"), TAKEN)
def test_a_model_takes(http: httpx.Client, model: str, change: dict[str, Any]) -> None:
    answer = post(http, model, change)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("model", ["claude-opus-4-1-20250805", "claude-sonnet-4-20250514", "claude-3-5-haiku-latest"])
def test_retired_models_are_not_found(http: httpx.Client, model: str) -> None:
    answer = post(http, model, {})
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, f"model: {model}")

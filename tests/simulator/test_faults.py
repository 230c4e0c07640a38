"""Errors in each API's wording, by rule and by model name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bm.simulator import Rule, Simulator
from bm.simulator.faults import NAMED, of_model
from bm.simulator.rules import ErrorKind
from tests.simulator.streams import APIS, KINDS, ask
from tests.support.shared import needs_corpus, validators

WORDED: list[tuple[ErrorKind, str, int, str]] = [
    ("bad_request", "anthropic", 400, "invalid_request_error"),
    ("bad_request", "openai-chat", 400, "invalid_request_error"),
    ("bad_request", "gemini", 400, "INVALID_ARGUMENT"),
    ("invalid_key", "anthropic", 401, "authentication_error"),
    ("invalid_key", "openai-chat", 401, "invalid_api_key"),
    ("invalid_key", "gemini", 400, "API_KEY_INVALID"),
    ("permission", "anthropic", 403, "permission_error"),
    ("permission", "gemini", 403, "PERMISSION_DENIED"),
    ("not_found", "anthropic", 404, "not_found_error"),
    ("not_found", "openai-responses", 404, "model_not_found"),
    ("rate_limit", "anthropic", 429, "rate_limit_error"),
    ("rate_limit", "openai-chat", 429, "rate_limit_exceeded"),
    ("rate_limit", "gemini", 429, "RESOURCE_EXHAUSTED"),
    ("server", "gemini", 500, "INTERNAL"),
    ("unavailable", "gemini", 503, "UNAVAILABLE"),
    ("overloaded", "anthropic", 529, "overloaded_error"),
    ("overloaded", "openai-chat", 503, "server_error"),
    ("overloaded", "gemini", 503, "overloaded"),
    ("timeout", "gemini", 504, "DEADLINE_EXCEEDED"),
    ("context_too_long", "anthropic", 400, "prompt is too long: 250000 tokens > 200000 maximum"),
    ("context_too_long", "openai-chat", 400, "context_length_exceeded"),
    ("context_too_long", "gemini", 400, "exceeds the maximum number of tokens allowed"),
]


@pytest.mark.parametrize(("kind", "api", "status", "words"), WORDED)
def test_an_error_is_worded_as_the_service_words_it(
    sim: Simulator, http: httpx.Client, kind: ErrorKind, api: str, status: int, words: str
) -> None:
    sim.script(Rule(error=kind))
    answer = ask(http, api)
    assert answer.status_code == status
    assert words in answer.text


@needs_corpus
@pytest.mark.corpus
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 429, 500, 502, 503, 504, 529])
def test_an_error_has_the_shape_of_its_api(http: httpx.Client, api: str, status: int) -> None:
    answer = ask(http, api, f"sim-{status}", stream=False)
    assert answer.status_code in (status, 503)
    assert validators().validate_response(KINDS[api], answer.text, answer.status_code, compat=False).ok


def details(answer: httpx.Response) -> dict[str, Any]:
    found = {detail["@type"].rpartition(".")[2]: detail for detail in answer.json()["error"]["details"]}
    return dict(found)


def test_google_says_when_to_come_back_and_which_quota_is_used_up(http: httpx.Client) -> None:
    answer = ask(http, "gemini", "gemini-3-flash-sim-429-day")
    found = details(answer)
    assert found["RetryInfo"]["retryDelay"] == "20.5s"
    assert [violation["quotaId"] for violation in found["QuotaFailure"]["violations"]] == [
        "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
    ]
    assert "Please retry in 20.5s." in answer.json()["error"]["message"]


def test_a_limit_of_0_is_in_the_message(http: httpx.Client) -> None:
    assert "limit: 0, model: sim-limit-0" in ask(http, "gemini", "sim-limit-0").json()["error"]["message"]


def test_a_429_without_a_delay_has_none_anywhere(http: httpx.Client) -> None:
    answer = ask(http, "gemini", "sim-429")
    assert "retry-after" not in answer.headers
    assert "details" not in answer.json()["error"]


@pytest.mark.parametrize(("api", "header"), [("anthropic", "2"), ("openai-chat", "2"), ("gemini", None)])
def test_only_google_puts_the_delay_in_the_body(http: httpx.Client, api: str, header: str | None) -> None:
    assert ask(http, api, "sim-429-delay").headers.get("retry-after") == header


def test_an_error_of_a_stream_that_is_an_array_is_a_list_of_one(http: httpx.Client) -> None:
    path = "/v1beta/models/sim-500:streamGenerateContent"
    answer = http.post(path, json={"contents": [{"parts": [{"text": "hello"}]}]})
    assert [error["error"]["status"] for error in answer.json()] == ["INTERNAL"]


@pytest.mark.parametrize(
    ("model", "fault"),
    [
        ("sim-429", "429"),
        ("gemini-3-flash-sim-cut", "cut"),
        ("openai/sim-silent", "silent"),
        ("sim-429-day", "429-day"),
    ],
)
def test_a_model_name_asks_for_a_fault(model: str, fault: str) -> None:
    assert of_model(model) == NAMED[fault]


@pytest.mark.parametrize("model", ["gpt-5", "sim-nothing-known", "simple-429", "sim-429-", "sim-tool"])
def test_other_names_ask_for_none(model: str) -> None:
    assert of_model(model) is None


def test_sim_tool_calls_the_first_tool(http: httpx.Client) -> None:
    tools = [{"name": "look", "input_schema": {"type": "object", "properties": {}}}]
    answer = ask(http, "anthropic", "sim-tool", stream=False, tools=tools)
    assert [block["name"] for block in answer.json()["content"]] == ["look"]


@pytest.mark.parametrize(
    ("api", "model", "said"),
    [
        ("gemini", "sim-blocked", '"blockReason":"PROHIBITED_CONTENT"'),
        ("anthropic", "sim-blocked", '"stop_reason":"refusal"'),
        ("openai-chat", "sim-blocked", '"finish_reason":"content_filter"'),
        ("openai-responses", "sim-filter", '"reason":"content_filter"'),
        ("gemini", "sim-filter", '"finishReason":"SAFETY"'),
        ("gemini", "sim-malformed-call", '"finishReason":"MALFORMED_FUNCTION_CALL"'),
        ("gemini", "sim-length", '"finishReason":"MAX_TOKENS"'),
        ("anthropic", "sim-length", '"stop_reason":"max_tokens"'),
        ("anthropic", "sim-empty", '"content":[]'),
        ("openai-chat", "sim-empty", '"content":""'),
    ],
)
def test_an_answer_can_end_badly_under_status_200(http: httpx.Client, api: str, model: str, said: str) -> None:
    answer = ask(http, api, model, stream=False)
    assert answer.status_code == 200
    assert said in answer.text


def test_a_blocked_prompt_has_no_candidates(http: httpx.Client) -> None:
    assert "candidates" not in ask(http, "gemini", "sim-blocked", stream=False).json()

"""Tokens, errors and what else goes to and fro: what holds for every pair of protocols."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.parts import Json
from bm.errors import RequestError
from bm.names import ProtocolName
from bm.protocols.errors import decode_error
from bm.protocols.registry import CODECS
from tests.protocols.pair import CLIENTS, HI, asks, hello, reported, sent, whole

USED: Json = {
    "promptTokenCount": 1000,
    "cachedContentTokenCount": 800,
    "candidatesTokenCount": 50,
    "thoughtsTokenCount": 200,
    "totalTokenCount": 1250,
}


def used(client: ProtocolName, **metadata: int) -> Json:
    answer = {"candidates": [{"content": {"parts": [{"text": "A"}]}, "finishReason": "STOP"}]}
    shown = whole(hello(client), reported("gemini", [{**answer, "usageMetadata": USED | metadata}]))
    found: Json = shown["usageMetadata" if client == "gemini" else "usage"]
    return found


def test_59_geminis_usage_in_each_clients_way_of_counting() -> None:
    claude, chat, responses = used("anthropic"), used("openai-chat"), used("openai-responses")
    assert (claude["input_tokens"], claude["cache_read_input_tokens"], claude["output_tokens"]) == (200, 800, 250)
    assert claude["output_tokens_details"]["thinking_tokens"] == 200
    assert (chat["prompt_tokens"], chat["completion_tokens"], chat["total_tokens"]) == (1000, 250, 1250)
    assert chat["prompt_tokens_details"]["cached_tokens"] == 800
    assert chat["completion_tokens_details"]["reasoning_tokens"] == 200
    assert (responses["input_tokens"], responses["output_tokens"], responses["total_tokens"]) == (1000, 250, 1250)
    assert responses["input_tokens_details"]["cached_tokens"] == 800
    assert used("gemini") == USED


def test_59_models_that_count_thinking_twice_are_found_out_by_the_total() -> None:
    assert used("anthropic", candidatesTokenCount=250)["output_tokens"] == 250


def quota(*violations: str, message: str = "Quota exceeded", delay: str = "20s") -> bytes:
    details = [
        {
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{"quotaId": f"GenerateRequests{each}PerProjectPerModel-FreeTier"} for each in violations],
        },
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return json.dumps({"error": error}).encode()


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (quota("PerMinute", "PerDay"), "quota_exhausted", None),
        (quota("PerMinute"), "rate_limited", None),
        (quota("PerDay", message="Quota exceeded, limit: 0, model: x"), "quota_exhausted", "not_in_tier"),
    ],
)
def test_60_a_days_quota_weighs_more_than_a_minutes(body: bytes, kind: str, code: str | None) -> None:
    failure = decode_error(429, {}, body)
    assert failure.kind == kind
    assert code is None or failure.code == code


@pytest.mark.parametrize("client", CLIENTS)
def test_60_every_client_gets_429(client: ProtocolName) -> None:
    failure = decode_error(429, {}, quota("PerMinute", "PerDay"))
    status, body = CODECS[client].encode_error(failure, "req_1")
    assert status == 429 and "Quota exceeded" in json.dumps(body)


# Further

CLAUDES_WORDS = b"prompt is too long: 210000 tokens > 200000 maximum"
TOO_LONG: dict[ProtocolName, bytes] = {
    "anthropic": b'{"type":"error","error":{"type":"invalid_request_error","message":"%b"}}' % CLAUDES_WORDS,
    "openai-chat": b'{"error":{"message":"too many tokens","code":"context_length_exceeded"}}',
    "openai-responses": b'{"error":{"message":"too many tokens","code":"context_length_exceeded"}}',
    "gemini": b'{"error":{"code":400,"status":"INVALID_ARGUMENT",'
    b'"message":"The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."}}',
}


@pytest.mark.parametrize("upstream", TOO_LONG)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_context_that_is_too_long_is_said_in_the_words_that_clients_know(
    client: ProtocolName, upstream: ProtocolName
) -> None:
    failure = decode_error(400, {}, TOO_LONG[upstream])
    assert failure.kind == "context_too_long"
    status, body = CODECS[client].encode_error(failure, "req_1")
    assert status == 400
    match client:
        case "anthropic":
            assert body["error"]["message"].startswith("prompt is too long")
        case "gemini":
            assert body["error"]["status"] == "INVALID_ARGUMENT"
        case _:
            assert body["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize("upstream", CLIENTS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_providers_wrong_key_is_never_the_clients(client: ProtocolName, upstream: ProtocolName) -> None:
    failure = decode_error(401, {}, b'{"error":{"message":"bad key"}}')
    assert failure.kind == "upstream_auth"
    # 401 or 403 would make the tool ask for a new login.
    assert CODECS[client].encode_error(failure, "req_1")[0] == 400


@pytest.mark.parametrize("upstream", CLIENTS)
def test_a_body_that_is_too_large_is_reported_as_such(upstream: ProtocolName) -> None:
    failure = decode_error(413, {}, b"<html>413 Request Entity Too Large</html>")
    assert failure.kind == "too_large" and "<html>" not in failure.message
    assert {CODECS[client].encode_error(failure, "req_1")[0] for client in CLIENTS} == {413}


def test_sampling_of_a_client_of_the_newer_anthropic_api_reaches_gemini() -> None:
    request = asks("anthropic", {**HI["anthropic"], "temperature": 0.3})
    assert sent(request, "gemini", "gemini-2.5-flash").body["generationConfig"]["temperature"] == 0.3


def test_an_assistants_document_goes_to_the_users_next_turn() -> None:
    document = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    messages: list[Any] = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "See"}, document]},
        {"role": "user", "content": "Go on"},
    ]
    body = sent(asks("anthropic", {**HI["anthropic"], "messages": messages}), "anthropic", "claude-opus-5").body
    kinds = [[block["type"] for block in message["content"]] for message in body["messages"][1:]]
    assert kinds[0] == ["text"] and "document" in kinds[1]


@pytest.mark.parametrize(
    ("target", "model"), [("gemini", "gemini-3.8-flash"), ("openai-chat", "gpt-5.4"), ("openai-responses", "gpt-5.4")]
)
def test_a_request_for_no_tokens_only_warms_anthropics_cache(target: ProtocolName, model: str) -> None:
    request = asks("anthropic", {**HI["anthropic"], "max_tokens": 0})
    with pytest.raises(RequestError) as refusal:
        sent(request, target, model)
    assert refusal.value.failure.kind == "bad_request"


@pytest.mark.parametrize("spelling", ["parameters_json_schema", "parametersJsonSchema", "parameters"])
def test_every_spelling_of_a_gemini_clients_schema_is_read(spelling: str) -> None:
    schema = {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}
    request = hello("gemini", tools=[{"function_declarations": [{"name": "f", spelling: schema}]}])
    [tool] = sent(request, "anthropic", "claude-opus-5").body["tools"]
    assert tool["input_schema"]["properties"] == {"q": {"type": "string"}}

"""How a call becomes a request for a target, and the target's answer the client's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.accounts.account import Access
from bm.chat.signature import Signature
from bm.dispatch.target import Target
from bm.errors import RequestError
from bm.gateway.call import Call
from bm.gateway.lane import NO_COUNTER, Lane, Rules, Unable
from bm.gateway.lanes import Lanes
from bm.gateway.stores import SignatureStore
from bm.names import ProtocolName
from bm.upstream.endpoint import Operation
from tests.gateway.matrix import providers
from tests.support.grammar_anthropic import check as check_anthropic

CLAUDE = Target("anthropic", "one", "claude-sonnet-4-5", "anthropic")
GPT = Target("openai", "one", "gpt-4.1", "openai-chat")
GEMINI = Target("gemini", "one", "gemini-3-flash-preview", "gemini")
ASKED = b'{ "model" : "asked","max_tokens":10, "unheard_of":[1.0],\n"messages":[{"role":"user","content":"hi"}]}'
TOLD = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    "modelVersion": "gemini-3-flash-preview",
    "responseId": "r",
}


def lanes(
    protocol: ProtocolName = "anthropic",
    body: bytes = ASKED,
    *,
    operation: Operation = "generate",
    stream: bool = False,
    rules: Rules | None = None,
    store: SignatureStore | None = None,
    **more: Any,
) -> Lanes:
    headers = [("x-api-key", "bm-key"), ("anthropic-beta", "b"), ("user-agent", "tool/1")]
    call = Call(
        id="req_1",
        protocol=protocol,
        operation=operation,
        headers=headers,
        body=body,
        model=more.pop("model", "asked"),
        stream=stream,
        **more,
    )
    return Lanes(call, store or SignatureStore(), rules or Rules())


def prepared(given: Lanes, target: Target) -> Lane:
    return given.prepare(target, providers()[target.provider], Access(key="upstream-key"))


def test_a_body_passes_through_with_nothing_but_the_model_changed() -> None:
    lane = prepared(lanes(), CLAUDE)
    assert lane.passes_through
    assert lane.request.body == ASKED.replace(b'"asked"', b'"claude-sonnet-4-5"')
    assert lane.request.url == "https://api.anthropic.com/v1/messages"


def test_the_clients_headers_go_along_and_its_key_does_not() -> None:
    headers = dict(prepared(lanes(), CLAUDE).request.headers)
    assert (headers["anthropic-beta"], headers["user-agent"]) == ("b", "tool/1")
    assert headers["x-api-key"] == "upstream-key"
    assert "bm-key" not in headers.values()


def test_a_gemini_client_keeps_its_version_and_query() -> None:
    given = lanes("gemini", b'{"contents":[]}', stream=True, version="v1alpha", query="alt=sse&x=1")
    url = prepared(given, GEMINI).request.url
    assert url.endswith("/v1alpha/models/gemini-3-flash-preview:streamGenerateContent?alt=sse&x=1")


def test_a_translated_request_is_bms_own() -> None:
    lane = prepared(lanes(stream=True, body=ASKED[:-1] + b',"stream":true}'), GEMINI)
    assert not lane.passes_through
    assert lane.request.url.endswith(":streamGenerateContent?alt=sse")
    headers = dict(lane.request.headers)
    assert headers["user-agent"].startswith("better-manager/") and "anthropic-beta" not in headers
    assert [loss.field for loss in lane.losses] == ["unheard_of"]


def test_strict_refuses_what_would_be_lost_and_names_it() -> None:
    with pytest.raises(RequestError, match="unheard_of") as caught:
        prepared(lanes(rules=Rules(strict=True)), GEMINI)
    assert (caught.value.failure.http_status, caught.value.failure.param) == (400, "unheard_of")
    assert prepared(lanes(rules=Rules(strict=True)), CLAUDE).losses == ()


def test_the_body_is_understood_once_for_all_targets() -> None:
    given = lanes()
    assert given.chat is given.chat
    assert prepared(given, GEMINI).request.body != prepared(given, GPT).request.body


def test_a_body_that_is_none_of_its_protocol_is_the_clients_fault() -> None:
    with pytest.raises(RequestError, match="JSON"):
        prepared(lanes(body=b"[]"), GEMINI)


def test_a_target_without_a_counter_says_so() -> None:
    with pytest.raises(Unable) as caught:
        prepared(lanes(operation="count_tokens"), GPT)
    assert caught.value.failure.code == NO_COUNTER


def test_a_count_is_translated_both_ways() -> None:
    given = lanes(operation="count_tokens")
    lane = prepared(given, GEMINI)
    assert lane.request.url.endswith(":countTokens")
    assert json.loads(lane.request.body)["generateContentRequest"]["contents"]
    assert json.loads(given.whole(lane, b'{"totalTokens": 7}').body) == {"input_tokens": 7}
    assert given.whole(lane, b"{}").watch.failure is not None


def test_names_and_signatures_come_back_the_way_they_went() -> None:
    store = SignatureStore()
    store.keep({"toolu_1": Signature("gemini", "c2ln", "gemini")})
    call = {"type": "tool_use", "id": "toolu_1", "name": "a b", "input": {}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
    ]
    body = {"model": "m", "max_tokens": 9, "messages": messages, "tools": [{"name": "a b", "input_schema": {}}]}
    given = lanes(body=json.dumps(body).encode(), store=store)
    lane = prepared(given, GEMINI)
    part = json.loads(lane.request.body)["contents"][1]["parts"][0]
    assert (part["functionCall"]["name"], part["thoughtSignature"]) == ("a_b", "c2ln")
    answer = json.loads(json.dumps(TOLD))
    answer["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": "a_b", "args": {}}}]
    told = json.loads(given.whole(lane, json.dumps(answer).encode()).body)
    assert [block["name"] for block in told["content"] if block["type"] == "tool_use"] == ["a b"]


def test_the_asked_name_is_shown_to_a_gemini_client_too() -> None:
    """Its `modelVersion` names the model; an argument that is called `model` does not."""
    given = lanes("gemini", b'{"contents":[]}', rules=Rules(echo_asked=True))
    call = {"functionCall": {"name": "f", "args": {"model": "x"}}}
    candidate = {"content": {"role": "model", "parts": [call]}, "finishReason": "STOP", "index": 0}
    answer = TOLD | {"candidates": [candidate]}
    body = given.whole(prepared(given, GEMINI), json.dumps(answer).encode()).body
    assert json.loads(body) == answer | {"modelVersion": "asked"}
    streaming = lanes("gemini", b'{"contents":[]}', stream=True, rules=Rules(echo_asked=True))
    out = streaming.pipe(prepared(streaming, GEMINI)).feed(b"data: " + json.dumps(answer).encode() + b"\r\n\r\n")
    assert json.loads(out.removeprefix(b"data: ")) == answer | {"modelVersion": "asked"}


@pytest.mark.parametrize(("rules", "shown"), [(Rules(), GEMINI.model), (Rules(echo_asked=True), "asked")])
def test_the_model_an_answer_shows(rules: Rules, shown: str) -> None:
    given = lanes(rules=rules)
    told = json.loads(given.whole(prepared(given, GEMINI), json.dumps(TOLD).encode()).body)
    assert told["model"] == shown


def test_a_client_that_asked_for_a_stream_gets_one_even_from_a_whole_answer() -> None:
    given = lanes(stream=True)
    whole = given.whole(prepared(given, GEMINI), json.dumps(TOLD).encode())
    assert whole.content_type == "text/event-stream"
    told = check_anthropic(whole.body)
    assert told.message is not None and told.message["content"] == [{"type": "text", "text": "hello"}]


@pytest.mark.parametrize("target", [CLAUDE, GEMINI], ids=["passing", "translating"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff"])
def test_an_answer_that_is_no_json_object_is_a_failure(target: Target, body: bytes) -> None:
    given = lanes()
    failure = given.whole(prepared(given, target), body).watch.failure
    assert failure is not None and failure.kind == "malformed"


def test_thinking_that_claude_must_do_without_is_reported() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
    ]
    thinking = {"type": "enabled", "budget_tokens": 2048}
    body = json.dumps({"model": "asked", "max_tokens": 4096, "thinking": thinking, "messages": messages}).encode()
    lane = prepared(lanes(body=body), CLAUDE)
    assert lane.passes_through and b'"thinking"' not in lane.request.body
    assert [loss.field for loss in lane.losses] == ["thinking"]


def test_an_answer_is_held_to_what_the_providers_list_says() -> None:
    given = lanes(body=ASKED)
    limited = Lanes(given.call, SignatureStore(), Rules(), lambda provider, model: 77)
    target = Target("gemini", "one", "gemini-2.5-flash", "gemini")
    assert limited.capabilities(target, providers()["gemini"]).max_output == 77
    assert given.capabilities(target, providers()["gemini"]).max_output == 65_536

"""The request for a target, and the client's response from its answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bm.accounts.account import Access
from bm.chat.repair import RETRY_HINT
from bm.chat.request import Loss
from bm.chat.signature import Signature
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.errors import RequestError
from bm.gateway.adapter import GEMINI_EMBEDDING, NO_COUNTER, Adapter, Unable
from bm.gateway.call import Call
from bm.gateway.settings import Rules
from bm.gateway.stores import SignatureStore
from bm.gateway.upstream_call import UpstreamCall
from bm.names import Operation, ProtocolName
from bm.protocols.compaction import compaction_item
from tests.gateway.matrix import providers
from tests.support.grammar_anthropic import check as check_anthropic

CLAUDE = Target("anthropic", "one", "claude-sonnet-4-5", "anthropic")
GPT = Target("openai", "one", "gpt-4.1", "openai-chat")
GEMINI = Target("gemini", "one", "gemini-3-flash-preview", "gemini")
ASKED = b'{ "model" : "asked","max_tokens":10, "unheard_of":[1.0],\n"messages":[{"role":"user","content":"hi"}]}'
UPSTREAM_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    "modelVersion": "gemini-3-flash-preview",
    "responseId": "r",
}


def adapter(
    protocol: ProtocolName = "anthropic",
    body: bytes = ASKED,
    *,
    operation: Operation = "generate",
    stream: bool = False,
    rules: Rules | None = None,
    store: SignatureStore | None = None,
    **more: Any,
) -> Adapter:
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
    return Adapter(call, store or SignatureStore(), rules or Rules())


def prepared(given: Adapter, target: Target) -> UpstreamCall:
    return given.prepare(Attempt(target=target), providers()[target.provider], Access(key="upstream-key"))


def test_only_the_model_changes_in_a_body_that_passes_through() -> None:
    meant = ASKED.replace(b'"asked"', b'"claude-sonnet-4-5-20250929"')
    upstream = prepared(adapter(body=meant, model="claude-sonnet-4-5-20250929"), CLAUDE)
    assert upstream.passes_through
    assert upstream.request.body == ASKED.replace(b'"asked"', b'"claude-sonnet-4-5"')
    assert upstream.request.url == "https://api.anthropic.com/v1/messages"


def test_a_request_is_fitted_to_a_model_that_bm_chose() -> None:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 9000}, "temperature": 0.2, "max_tokens": 200_000}
    messages = [{"role": "user", "content": "hi"}]
    body = json.dumps({"model": "claude-haiku-4-5", "messages": messages, **thinking}).encode()
    target = Target("anthropic", "one", "claude-opus-5-5", "anthropic")
    upstream = prepared(adapter(body=body, model="claude-haiku-4-5"), target)
    written, headers = json.loads(upstream.request.body), dict(upstream.request.headers)
    assert upstream.passes_through
    assert (written["model"], written["thinking"]["type"]) == ("claude-opus-5-5", "adaptive")
    assert written["max_tokens"] == 128_000 and "temperature" not in written
    assert (headers["anthropic-beta"], headers["user-agent"]) == ("b", "tool/1")
    assert headers["anthropic-version"] == "2026-10-21"
    assert [loss.field for loss in upstream.losses] == ["temperature"]


def test_a_count_is_fitted_to_a_model_that_bm_chose() -> None:
    asked = {"thinking": {"type": "disabled"}, "messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps({"model": "claude-haiku-4-5", **asked}).encode()
    target = Target("anthropic", "one", "claude-opus-5-5", "anthropic")
    upstream = prepared(adapter(body=body, operation="count_tokens", model="claude-haiku-4-5"), target)
    written = json.loads(upstream.request.body)
    assert upstream.request.url == "https://api.anthropic.com/v1/messages/count_tokens"
    assert written.get("thinking") is None and {"max_tokens", "stream"}.isdisjoint(written)


def test_a_request_that_bm_cannot_read_goes_to_another_model_as_it_is() -> None:
    body = b'{"model":"asked","messages":"none"}'
    assert prepared(adapter(body=body), CLAUDE).request.body == body.replace(b"asked", b"claude-sonnet-4-5")


def test_a_gemini_request_whose_results_do_not_match_its_calls_is_written_anew() -> None:
    call = {"functionCall": {"id": "1", "name": "ls", "args": {}}}
    result = {"functionResponse": {"id": "1", "name": "ls", "response": {"output": "a"}}}
    turns = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [call]}]
    for results, unchanged in ([result], True), ([result, result], False), ([], False):
        contents = [*turns, {"role": "user", "parts": [*results, {"text": "go on"}]}]
        body = msgspec.json.encode({"contents": contents})
        upstream = prepared(adapter("gemini", body, model=GEMINI.model), GEMINI)
        assert upstream.passes_through
        assert (upstream.request.body == body) == unchanged
        sent = msgspec.json.decode(upstream.request.body)["contents"][2]["parts"]
        assert [part.get("functionResponse", {}).get("name") for part in sent] == ["ls", None]


def test_the_clients_headers_are_forwarded_without_its_key() -> None:
    headers = dict(prepared(adapter(), CLAUDE).request.headers)
    assert (headers["anthropic-beta"], headers["user-agent"]) == ("b", "tool/1")
    assert headers["x-api-key"] == "upstream-key"
    assert "bm-key" not in headers.values()


def test_a_gemini_client_keeps_its_version_and_query() -> None:
    given = adapter("gemini", b'{"contents":[]}', stream=True, version="v1alpha", query="alt=sse&x=1")
    url = prepared(given, GEMINI).request.url
    assert url.endswith("/v1alpha/models/gemini-3-flash-preview:streamGenerateContent?alt=sse&x=1")


def test_a_translated_request_has_bms_own_headers() -> None:
    upstream = prepared(adapter(stream=True, body=ASKED[:-1] + b',"stream":true}'), GEMINI)
    assert not upstream.passes_through
    assert upstream.request.url.endswith(":streamGenerateContent?alt=sse")
    headers = dict(upstream.request.headers)
    assert headers["user-agent"].startswith("better-manager/") and "anthropic-beta" not in headers
    assert [loss.field for loss in upstream.losses] == ["unheard_of"]


def test_strict_refuses_what_would_be_lost_and_names_it() -> None:
    with pytest.raises(RequestError, match="unheard_of") as caught:
        prepared(adapter(rules=Rules(strict=True)), GEMINI)
    assert (caught.value.failure.http_status, caught.value.failure.param) == (400, "unheard_of")
    assert prepared(adapter(rules=Rules(strict=True)), CLAUDE).losses == ()


def test_what_the_body_no_longer_holds_is_lost_too() -> None:
    lost = Loss("labels", "has no place")
    assert prepared(adapter(losses=(lost,)), CLAUDE).losses == (lost,)
    assert lost in prepared(adapter(losses=(lost,)), GEMINI).losses
    with pytest.raises(RequestError, match="labels"):
        prepared(adapter(losses=(lost,), rules=Rules(strict=True)), CLAUDE)


def test_the_body_is_decoded_once_for_all_targets() -> None:
    given = adapter()
    assert given.chat is given.chat
    assert prepared(given, GEMINI).request.body != prepared(given, GPT).request.body


def test_a_body_of_another_shape_is_a_bad_request() -> None:
    with pytest.raises(RequestError, match="JSON"):
        prepared(adapter(body=b"[]"), GEMINI)


@pytest.mark.parametrize("target", [CLAUDE, GEMINI], ids=lambda target: target.provider)
def test_a_retry_hint_follows_the_question_where_bm_understands_the_request(target: Target) -> None:
    access, provider = Access(key="upstream-key"), providers()[target.provider]
    hinted = Attempt(target=target, retry_hint=True)
    assert RETRY_HINT in adapter().prepare(hinted, provider, access).request.body.decode()
    unread = adapter(body=b'{"model": "asked", "messages": "none"}')
    upstream = unread.prepare(Attempt(target=CLAUDE, retry_hint=True), providers()["anthropic"], access)
    assert RETRY_HINT not in upstream.request.body.decode()


def test_a_target_that_cannot_count_tokens_is_unable() -> None:
    with pytest.raises(Unable) as caught:
        prepared(adapter(operation="count_tokens"), GPT)
    assert caught.value.failure.code == NO_COUNTER


def test_a_count_is_translated_both_ways() -> None:
    given = adapter(operation="count_tokens")
    upstream = prepared(given, GEMINI)
    assert upstream.request.url.endswith(":countTokens")
    assert json.loads(upstream.request.body)["generateContentRequest"]["contents"]
    assert json.loads(given.read(upstream, b'{"totalTokens": 7}').body) == {"input_tokens": 7}
    assert given.read(upstream, b"{}").watch.failure is not None


def test_tool_names_and_signatures_are_restored() -> None:
    store = SignatureStore()
    store.keep({"toolu_1": Signature("gemini", "c2ln", "gemini")})
    call = {"type": "tool_use", "id": "toolu_1", "name": "a b", "input": {}}
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
    ]
    body = {"model": "m", "max_tokens": 9, "messages": messages, "tools": [{"name": "a b", "input_schema": {}}]}
    given = adapter(body=json.dumps(body).encode(), store=store)
    upstream = prepared(given, GEMINI)
    part = json.loads(upstream.request.body)["contents"][1]["parts"][0]
    assert (part["functionCall"]["name"], part["thoughtSignature"]) == ("a_b", "c2ln")
    answer = json.loads(json.dumps(UPSTREAM_ANSWER))
    answer["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": "a_b", "args": {}}}]
    reported = json.loads(given.read(upstream, json.dumps(answer).encode()).body)
    assert [block["name"] for block in reported["content"] if block["type"] == "tool_use"] == ["a b"]


def test_the_asked_name_is_shown_to_a_gemini_client_too() -> None:
    """Its `modelVersion` names the model; an argument that is called `model` does not."""
    given = adapter("gemini", b'{"contents":[]}', rules=Rules(echo_asked=True))
    call = {"functionCall": {"name": "f", "args": {"model": "x"}}}
    candidate = {"content": {"role": "model", "parts": [call]}, "finishReason": "STOP", "index": 0}
    answer = UPSTREAM_ANSWER | {"candidates": [candidate]}
    body = given.read(prepared(given, GEMINI), json.dumps(answer).encode()).body
    assert json.loads(body) == answer | {"modelVersion": "asked"}
    streaming = adapter("gemini", b'{"contents":[]}', stream=True, rules=Rules(echo_asked=True))
    out = streaming.pipe(prepared(streaming, GEMINI)).feed(b"data: " + json.dumps(answer).encode() + b"\r\n\r\n")
    assert json.loads(out.removeprefix(b"data: ")) == answer | {"modelVersion": "asked"}


@pytest.mark.parametrize(("rules", "shown"), [(Rules(), GEMINI.model), (Rules(echo_asked=True), "asked")])
def test_the_model_an_answer_shows(rules: Rules, shown: str) -> None:
    given = adapter(rules=rules)
    reported = json.loads(given.read(prepared(given, GEMINI), json.dumps(UPSTREAM_ANSWER).encode()).body)
    assert reported["model"] == shown


def test_a_client_that_asked_for_a_stream_gets_one_from_a_full_response() -> None:
    given = adapter(stream=True)
    full = given.read(prepared(given, GEMINI), json.dumps(UPSTREAM_ANSWER).encode())
    assert full.content_type == "text/event-stream"
    reported = check_anthropic(full.body)
    assert reported.message is not None and reported.message["content"] == [{"type": "text", "text": "hello"}]


CHAT_ANSWER = {"id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-4.1"} | {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]
}
CHAT_STREAM = b"".join(
    b"data: " + json.dumps(CHAT_ANSWER | {"choices": [choice]}).encode() + b"\n\n"
    for choice in (
        {"index": 0, "delta": {"role": "assistant", "content": "hel"}, "finish_reason": None},
        {"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"},
    )
)


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic"], ids=["passing", "translating"])
def test_a_stream_that_was_not_asked_for_is_gathered(protocol: ProtocolName) -> None:
    given = adapter(protocol)
    full = given.read(prepared(given, GPT), CHAT_STREAM)
    assert (full.watch.failure, full.content_type) == (None, "application/json")
    body = json.loads(full.body)
    text = body["choices"][0]["message"]["content"] if protocol == "openai-chat" else body["content"][0]["text"]
    assert text == "hello"


def test_a_stream_that_was_not_asked_for_and_breaks_off_is_a_failure() -> None:
    given = adapter("openai-chat")
    full = given.read(prepared(given, GPT), CHAT_STREAM[: CHAT_STREAM.index(b"\n\n") + 2])
    assert full.watch.failure is not None and full.watch.failure.kind == "truncated"


def test_a_document_for_a_stream_is_written_as_a_stream_where_bytes_pass_through_too() -> None:
    given = adapter("openai-chat", stream=True)
    full = given.read(prepared(given, GPT), json.dumps(CHAT_ANSWER).encode())
    assert full.content_type == "text/event-stream"
    assert b'"content":"hello"' in full.body and full.body.endswith(b"data: [DONE]\n\n")


CHAT_ASKED = b'{"model":"gpt-4.1","stream":true,"messages":[{"role":"user","content":"hi"}]}'
USAGE_CHUNK = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'


@pytest.mark.parametrize("asked", [True, False])
def test_usage_is_known_of_every_chat_stream_and_shown_to_clients_that_asked(asked: bool) -> None:
    body = (
        CHAT_ASKED.replace(b'"messages"', b'"stream_options":{"include_usage":true},"messages"')
        if asked
        else CHAT_ASKED
    )
    given = adapter("openai-chat", body, stream=True, model="gpt-4.1")
    upstream = prepared(given, GPT)
    assert json.loads(upstream.request.body)["stream_options"] == {"include_usage": True}
    assert (upstream.request.body is body) == asked
    pipe = given.pipe(upstream)
    out = pipe.feed(CHAT_STREAM) + pipe.feed(USAGE_CHUNK) + pipe.feed(b"data: [DONE]\n\n") + pipe.close()
    assert (USAGE_CHUNK in out) == asked and out.replace(USAGE_CHUNK, b"") == CHAT_STREAM + b"data: [DONE]\n\n"
    assert pipe.watch.usage is not None and pipe.watch.usage.prompt == 3


def test_groqs_clients_find_the_usage_where_groq_puts_it() -> None:
    given = adapter("openai-chat", CHAT_ASKED, stream=True, path="/openai/v1/chat/completions")
    full = given.read(prepared(given, GEMINI), json.dumps(UPSTREAM_ANSWER).encode())
    (chunk,) = [json.loads(line[6:]) for line in full.body.split(b"\n\n") if b"x_groq" in line]
    assert chunk["choices"][0]["finish_reason"] == "stop"
    assert chunk["x_groq"]["usage"]["prompt_tokens"] == 3


@pytest.mark.parametrize("target", [CLAUDE, GEMINI], ids=["passing", "translating"])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff"])
def test_an_answer_that_is_not_a_json_object_is_malformed(target: Target, body: bytes) -> None:
    given = adapter()
    failure = given.read(prepared(given, target), body).watch.failure
    assert failure is not None and failure.kind == "malformed"


@pytest.mark.parametrize(
    ("body", "shown"), [(b"", "an empty body"), (b" <html>\xff", "<html>\ufffd"), (b"x" * 999, f": {'x' * 200}")]
)
def test_the_start_of_a_malformed_answer_is_shown(body: bytes, shown: str) -> None:
    given = adapter()
    failure = given.read(prepared(given, GEMINI), body).watch.failure
    assert failure is not None and failure.message.endswith(shown)


def test_thinking_that_is_turned_off_is_reported_as_a_loss() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
    ]
    thinking = {"type": "enabled", "budget_tokens": 2048}
    body = json.dumps({"model": "asked", "max_tokens": 4096, "thinking": thinking, "messages": messages}).encode()
    upstream = prepared(adapter(body=body), CLAUDE)
    assert upstream.passes_through and b'"thinking"' not in upstream.request.body
    assert [loss.field for loss in upstream.losses] == ["thinking"]


def test_what_the_providers_list_says_of_a_model_counts_more_than_the_tables() -> None:
    given = adapter(body=ASKED)
    facts = {"gemini-2.5-flash": {"max_output": 77}}
    limited = Adapter(given.call, SignatureStore(), Rules(), lambda provider: facts)
    target = Target("gemini", "one", "gemini-2.5-flash", "gemini")
    assert limited.capabilities(target, providers()["gemini"]).max_output == 77
    assert given.capabilities(target, providers()["gemini"]).max_output == 65_536


EMBEDDER = Target("openai", "one", "text-embedding-3-small", "openai-chat")
FROM_OPENAI = {"model": "m", "input": ["one", "two"]}
FROM_GEMINI = {"requests": [{"content": {"parts": [{"text": "one"}]}}]}


def embedding(protocol: ProtocolName, operation: Operation, body: object) -> Adapter:
    return adapter(protocol, json.dumps(body).encode(), operation=operation)


@pytest.mark.parametrize(
    ("protocol", "operation", "body", "target", "path"),
    [
        ("openai-chat", "embed", FROM_OPENAI, GEMINI, f"{GEMINI_EMBEDDING}:batchEmbedContents"),
        ("openai-chat", "embed", FROM_OPENAI, EMBEDDER, "/embeddings"),
        ("gemini", "batch_embed", FROM_GEMINI, EMBEDDER, "/embeddings"),
        ("gemini", "embed", FROM_GEMINI["requests"][0], GEMINI, f"{GEMINI.model}:embedContent"),
    ],
)
def test_embeddings_are_asked_for_at_the_targets_endpoint(
    protocol: ProtocolName, operation: Operation, body: object, target: Target, path: str
) -> None:
    upstream = prepared(embedding(protocol, operation, body), target)
    assert upstream.request.url.endswith(path)


def test_a_gemini_model_that_embeds_replaces_another_vendors() -> None:
    given = embedding("openai-chat", "embed", FROM_OPENAI)
    upstream = prepared(given, GEMINI)
    assert upstream.target.model == GEMINI_EMBEDDING and upstream.request.url.endswith(
        f"{GEMINI_EMBEDDING}:batchEmbedContents"
    )
    assert len(json.loads(upstream.request.body)["requests"]) == 2


def test_geminis_answer_comes_back_as_openais() -> None:
    given = embedding("openai-chat", "embed", FROM_OPENAI)
    upstream = prepared(given, GEMINI)
    reported = json.loads(
        given.read(upstream, json.dumps({"embeddings": [{"values": [0.5]}, {"values": [0.25]}]}).encode()).body
    )
    assert [row["embedding"] for row in reported["data"]] == [[0.5], [0.25]]
    assert reported["model"] == GEMINI_EMBEDDING


def test_openais_answer_comes_back_as_geminis() -> None:
    given = embedding("gemini", "batch_embed", FROM_GEMINI)
    upstream = prepared(given, EMBEDDER)
    reported = json.loads(given.read(upstream, json.dumps({"data": [{"index": 0, "embedding": [0.5]}]}).encode()).body)
    assert reported["embeddings"][0]["values"] == [0.5]


def test_an_answer_without_vectors_is_malformed() -> None:
    given = embedding("openai-chat", "embed", FROM_OPENAI)
    upstream = prepared(given, GEMINI)
    failure = given.read(upstream, json.dumps({"nothing": True}).encode()).watch.failure
    assert failure is not None and failure.kind == "malformed" and failure.message.startswith("gemini: ")


COMPACTED = b'{"model":"asked","input":[{"role":"user","content":"hi"}]}'
RESPONSES = Target("openai", "one", "gpt-6-sol", "openai-responses")


def test_a_conversation_is_compacted_by_the_service_that_can() -> None:
    upstream = prepared(adapter("openai-responses", COMPACTED, operation="compact"), RESPONSES)
    assert upstream.passes_through and upstream.request.url.endswith("/responses/compact")


def test_elsewhere_a_summary_takes_the_conversations_place() -> None:
    given = adapter("openai-responses", COMPACTED, operation="compact")
    upstream = prepared(given, GEMINI)
    assert upstream.request.url.endswith(":generateContent") and b"summary" in upstream.request.body
    answer = json.loads(given.read(upstream, json.dumps(UPSTREAM_ANSWER).encode()).body)
    assert [item["type"] for item in answer["output"]] == ["message", "compaction"]


def test_a_conversation_without_a_summary_is_no_compacted_one() -> None:
    given = adapter("openai-responses", COMPACTED, operation="compact")
    silent = {**UPSTREAM_ANSWER, "candidates": [{"content": {"parts": []}, "finishReason": "STOP"}]}
    assert given.read(prepared(given, GEMINI), json.dumps(silent).encode()).watch.failure is not None


def test_a_service_without_openais_tools_is_sent_functions() -> None:
    body = b'{"model":"asked","input":"hi","tools":[{"type":"custom","name":"patch"}]}'
    upstream = prepared(adapter("openai-responses", body), Target("xai", "one", "grok-4.6", "openai-responses"))
    assert json.loads(upstream.request.body)["tools"][0]["type"] == "function"
    assert prepared(adapter("openai-responses", body), RESPONSES).passes_through


def test_a_summary_that_bm_wrote_is_a_message_to_openai() -> None:
    item = compaction_item("We went.", "cmp_1")
    body = json.dumps({"model": "asked", "input": [item]}).encode()
    sent = json.loads(prepared(adapter("openai-responses", body), RESPONSES).request.body)
    assert sent["input"][0]["role"] == "user"

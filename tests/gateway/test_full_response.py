"""Responses that are not streams."""

from __future__ import annotations

import msgspec

from bm.chat.estimate import tokens_in
from bm.chat.events import Usage
from bm.dispatch.target import Target
from bm.gateway.call import Call
from bm.gateway.full_response import FullResponse, counted, embedded, malformed, start_of
from bm.gateway.upstream_call import UpstreamCall
from bm.protocols.embeddings import decode_request
from bm.protocols.registry import CODECS
from bm.upstream.client import UpstreamRequest

GPT = Target("openai", "one", "text-embedding-3-small", "openai-chat")
ASKED = b'{"content": {"parts": [{"text": "a"}]}}'
EMBEDDING = (
    Call(id="req_1", protocol="gemini", operation="embed", headers=[], body=ASKED, model="m", stream=False),
    UpstreamCall(
        GPT,
        UpstreamRequest("openai", "POST", "https://example.com", []),
        CODECS["openai-chat"],
        embedding=decode_request("gemini", msgspec.json.decode(ASKED)),
    ),
)


def failure(response: FullResponse) -> str:
    assert response.watch.failure is not None and response.watch.failure.kind == "malformed"
    return response.watch.failure.message


def test_a_count_for_a_client_of_another_protocol() -> None:
    response = counted("anthropic", {"totalTokens": 7}, b"", "gemini")
    assert msgspec.json.decode(response.body) == {"input_tokens": 7}
    assert failure(counted("anthropic", {}, b"{}", "gemini")) == "gemini sent no count: {}"


def test_vectors_for_a_client_of_another_protocol() -> None:
    response = embedded(*EMBEDDING, {"data": [{"index": 0, "embedding": [0.5]}]}, b"")
    assert msgspec.json.decode(response.body)["embedding"] == {"values": [0.5]}
    assert failure(embedded(*EMBEDDING, {}, b"")).startswith("openai: ")


def test_embedded_tokens_are_counted_as_reported_or_estimated() -> None:
    vectors = {"data": [{"index": 0, "embedding": [0.5]}]}
    assert embedded(*EMBEDDING, vectors | {"usage": {"prompt_tokens": 9}}, b"").watch.usage == Usage(input=9)
    assert embedded(*EMBEDDING, vectors | {"usage": {"total_tokens": 8}}, b"").watch.usage == Usage(input=8)
    assert embedded(*EMBEDDING, vectors, b"").watch.usage == Usage(input=tokens_in(len(EMBEDDING[0].body)))


def test_what_cannot_be_read_is_shown_by_its_beginning() -> None:
    assert failure(malformed(start_of(b"<html>" * 100))) == "<html>" * 33 + "<h"
    assert start_of(b" ") == "an empty body"

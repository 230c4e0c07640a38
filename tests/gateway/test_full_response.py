"""Responses that are not streams."""

from __future__ import annotations

import msgspec

from bm.dispatch.target import Target
from bm.gateway.full_response import FullResponse, counted, embedded, malformed, start_of
from bm.protocols.embeddings import decode_request

GPT = Target("openai", "one", "text-embedding-3-small", "openai-chat")


def failure(response: FullResponse) -> str:
    assert response.watch.failure is not None and response.watch.failure.kind == "malformed"
    return response.watch.failure.message


def test_a_count_for_a_client_of_another_protocol() -> None:
    response = counted("anthropic", {"totalTokens": 7}, b"", "gemini")
    assert msgspec.json.decode(response.body) == {"input_tokens": 7}
    assert failure(counted("anthropic", {}, b"{}", "gemini")) == "gemini sent no count: {}"


def test_vectors_for_a_client_of_another_protocol() -> None:
    request = decode_request("gemini", {"content": {"parts": [{"text": "a"}]}})
    response = embedded("gemini", request, {"data": [{"index": 0, "embedding": [0.5]}]}, GPT)
    assert msgspec.json.decode(response.body)["embedding"] == {"values": [0.5]}
    assert failure(embedded("gemini", request, {}, GPT)).startswith("openai: ")


def test_what_cannot_be_read_is_shown_by_its_beginning() -> None:
    assert failure(malformed(start_of(b"<html>" * 100))) == "<html>" * 33 + "<h"
    assert start_of(b" ") == "an empty body"

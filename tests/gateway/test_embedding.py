"""Embeddings between OpenAI's wire and Gemini's, request and answer."""

from __future__ import annotations

import json

import pytest

from bm.accounts.account import Access
from bm.dispatch.target import Target
from bm.gateway.call import Call
from bm.gateway.embedding import GEMINI_EMBEDDING, embedded, embedding_lane, operation_of
from bm.gateway.lane import Lane
from bm.names import ProtocolName
from bm.upstream.endpoint import Operation
from tests.gateway.matrix import providers

GEMINI = Target("gemini", "one", "gemini-3-flash-preview", "gemini")
GPT = Target("openai", "one", "text-embedding-3-small", "openai-chat")
FROM_OPENAI = {"model": "m", "input": ["one", "two"]}
FROM_GEMINI = {"requests": [{"content": {"parts": [{"text": "one"}]}}]}


def call_of(protocol: ProtocolName, operation: Operation, body: object) -> Call:
    sent = json.dumps(body).encode()
    return Call(id="r", protocol=protocol, operation=operation, headers=[], body=sent, model="m", stream=False)


def lane_of(call: Call, target: Target) -> Lane:
    return embedding_lane(call, target, providers()[target.provider], Access(key="upstream-key"))


@pytest.mark.parametrize(
    ("protocol", "operation", "target", "its"),
    [
        ("openai-chat", "embed", GEMINI, "batch_embed"),
        ("openai-chat", "embed", GPT, "embed"),
        ("gemini", "batch_embed", GPT, "embed"),
        ("gemini", "embed", GEMINI, "embed"),
        ("gemini", "generate", GPT, "generate"),
    ],
)
def test_the_operation_in_the_targets_words(
    protocol: ProtocolName, operation: Operation, target: Target, its: Operation
) -> None:
    assert operation_of(call_of(protocol, operation, {}), target) == its


def test_openais_request_reaches_a_model_of_geminis_that_embeds() -> None:
    lane = lane_of(call_of("openai-chat", "embed", FROM_OPENAI), GEMINI)
    assert lane.target.model == GEMINI_EMBEDDING and lane.request.url.endswith(f"{GEMINI_EMBEDDING}:batchEmbedContents")
    assert len(json.loads(lane.request.body)["requests"]) == 2


def test_geminis_answer_comes_back_as_openais() -> None:
    lane = lane_of(call_of("openai-chat", "embed", FROM_OPENAI), GEMINI)
    told = json.loads(embedded("openai-chat", lane, {"embeddings": [{"values": [0.5]}, {"values": [0.25]}]}).body)
    assert [row["embedding"] for row in told["data"]] == [[0.5], [0.25]]
    assert told["model"] == GEMINI_EMBEDDING


def test_openais_answer_comes_back_as_geminis() -> None:
    lane = lane_of(call_of("gemini", "batch_embed", FROM_GEMINI), GPT)
    told = json.loads(embedded("gemini", lane, {"data": [{"index": 0, "embedding": [0.5]}]}).body)
    assert told["embeddings"][0]["values"] == [0.5]


def test_an_answer_without_vectors_is_a_failure_that_names_who_sent_it() -> None:
    lane = lane_of(call_of("openai-chat", "embed", FROM_OPENAI), GEMINI)
    failure = embedded("openai-chat", lane, {"nothing": True}).watch.failure
    assert failure is not None and failure.kind == "malformed" and failure.message.startswith("gemini: ")

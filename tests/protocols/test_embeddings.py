"""Embeddings asked in one wire and answered in the other."""

from __future__ import annotations

import base64
import struct

import pytest

from bm.chat.parts import Json
from bm.errors import RequestError
from bm.names import ProtocolName
from bm.protocols.embeddings import EmbedRequest, decode_request, encode_requests, encode_response, joined

ANSWER = {"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.0, 2.0]}]}
ONE = {"embedding": {"values": [0.5, -1.0]}}
COUNTED = ANSWER | {"usage": {"prompt_tokens": 7}}


def content(*texts: str) -> Json:
    return {"content": {"parts": [{"text": text} for text in texts]}}


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        ({"input": "one"}, EmbedRequest(("one",))),
        ({"input": ["one", "two"]}, EmbedRequest(("one", "two"))),
        ({"input": "one", "dimensions": 64}, EmbedRequest(("one",), dimensions=64)),
        ({"input": "one", "encoding_format": "base64"}, EmbedRequest(("one",), packed=True)),
        ({"input": "one", "encoding_format": "float"}, EmbedRequest(("one",))),
    ],
)
def test_what_an_openai_client_asks(body: Json, request_: EmbedRequest) -> None:
    assert decode_request("openai-chat", body) == request_


@pytest.mark.parametrize("given", [None, [], 3, [3, 4], [[3, 4]], ["one", 2], {"text": "one"}])
def test_tokens_are_no_texts(given: object) -> None:
    with pytest.raises(RequestError) as caught:
        decode_request("openai-chat", {"input": given})
    assert (caught.value.failure.kind, caught.value.failure.param) == ("bad_request", "input")


@pytest.mark.parametrize(
    ("body", "request_"),
    [
        (content("one"), EmbedRequest(("one",), single=True)),
        (content("one", "two"), EmbedRequest(("one\ntwo",), single=True)),
        ({"content": {"parts": {"text": "one"}}}, EmbedRequest(("one",), single=True)),
        ({"content": "one"}, EmbedRequest(("one",), single=True)),
        (content("one") | {"outputDimensionality": 64}, EmbedRequest(("one",), dimensions=64, single=True)),
        (content("one") | {"output_dimensionality": 64}, EmbedRequest(("one",), dimensions=64, single=True)),
        ({"requests": [content("one"), content("two")]}, EmbedRequest(("one", "two"))),
        (
            {"requests": [content("one"), content("two") | {"outputDimensionality": 8}]},
            EmbedRequest(("one", "two"), dimensions=8),
        ),
    ],
)
def test_what_a_gemini_client_asks(body: Json, request_: EmbedRequest) -> None:
    assert decode_request("gemini", body) == request_


@pytest.mark.parametrize(
    ("client", "body", "param"),
    [
        ("openai-chat", {"input": "one", "dimensions": "64"}, "dimensions"),
        ("gemini", {}, "content"),
        ("gemini", {"content": {}}, "content"),
        ("gemini", {"content": {"parts": [{"inlineData": {}}]}}, "content"),
        ("gemini", {"requests": [content("one"), {}]}, "requests[1].content"),
        ("gemini", {"requests": [5]}, "requests[0]"),
        ("gemini", {"requests": 5}, "requests"),
    ],
)
def test_a_request_that_cannot_be_read_names_the_place(client: ProtocolName, body: Json, param: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_request(client, body)
    assert (caught.value.failure.kind, caught.value.failure.param) == ("bad_request", param)


@pytest.mark.parametrize("dimensions", [0, 64])
def test_an_openai_service_is_asked_for_numbers(dimensions: int) -> None:
    sized = {"dimensions": 64} if dimensions else {}
    asked = EmbedRequest(("one", "two"), dimensions=dimensions, packed=True)
    assert (
        encode_requests("openai-chat", asked, "m")[0]
        == {"model": "m", "input": ["one", "two"], "encoding_format": "float"} | sized
    )


@pytest.mark.parametrize("dimensions", [0, 64])
def test_gemini_is_asked_for_all_texts_at_once(dimensions: int) -> None:
    sized = {"outputDimensionality": 64} if dimensions else {}
    rows = [{"model": "models/m"} | content(text) | sized for text in ("one", "two")]
    assert encode_requests("gemini", EmbedRequest(("one", "two"), dimensions=dimensions), "m") == [{"requests": rows}]


@pytest.mark.parametrize("request_", [EmbedRequest(("one", "two")), EmbedRequest(("one",), dimensions=8)])
def test_what_is_asked_survives_both_wires(request_: EmbedRequest) -> None:
    assert decode_request("openai-chat", encode_requests("openai-chat", request_, "m")[0]) == request_
    assert decode_request("gemini", encode_requests("gemini", request_, "m")[0]) == request_


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"embedding": {"values": [0.5]}}, ([[0.5]], 0)),
        ({"embeddings": [{"values": [0.5]}, {"values": [1.0]}]}, ([[0.5], [1.0]], 0)),
        ({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 7}}, ([[0.5]], 7)),
        ({"data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": None}}, ([[0.5]], 0)),
        ({"data": [{"embedding": [0.5]}], "usage": None}, ([[0.5]], 0)),
    ],
)
def test_the_vectors_of_an_answer(answer: Json, found: tuple[list[list[float]], int]) -> None:
    document = encode_response("openai-chat", EmbedRequest(("one",)), answer, "m")
    assert ([row["embedding"] for row in document["data"]], document["usage"]["total_tokens"]) == found


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"data": [None, {"embedding": "AAAA"}]}, {"embeddings": [{}]}])
def test_an_answer_without_vectors_is_none(answer: Json) -> None:
    with pytest.raises(ValueError, match="no embeddings"):
        encode_response("openai-chat", EmbedRequest(("one",)), answer, "m")


def test_an_openai_client_reads_rows_in_the_order_of_its_texts() -> None:
    assert encode_response("openai-chat", EmbedRequest(("one", "two")), COUNTED, "m") == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [0.0, 2.0]},
        ],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_packed_vectors_are_little_endian_floats() -> None:
    row = encode_response("openai-chat", EmbedRequest(("one",), packed=True), ONE, "m")["data"][0]
    assert struct.unpack("<2f", base64.b64decode(row["embedding"])) == (0.5, -1.0)


def test_a_gemini_client_reads_one_vector_or_a_list_as_it_asked() -> None:
    assert encode_response("gemini", EmbedRequest(("one",), single=True), ONE, "m") == {
        "embedding": {"values": [0.5, -1.0]}
    }
    assert encode_response("gemini", EmbedRequest(("one", "two")), ANSWER, "m") == ANSWER
    assert encode_response("gemini", EmbedRequest(("one",)), ONE, "m") == {"embeddings": [{"values": [0.5, -1.0]}]}


def test_gemini_is_asked_for_a_hundred_vectors_at_a_time() -> None:
    texts = tuple(map(str, range(250)))
    bodies = encode_requests("gemini", EmbedRequest(texts), "m")
    assert [len(body["requests"]) for body in bodies] == [100, 100, 50]
    assert joined([b'{"embeddings": [{"values": [1]}]}', b"{}", b'{"embeddings": [{"values": [2]}]}']) == (
        b'{"embeddings":[{"values":[1]},{"values":[2]}]}'
    )

"""Embeddings between OpenAI's API and Gemini's."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from typing import Any

import msgspec

from bm.chat.events import Usage
from bm.chat.parts import Json
from bm.names import ProtocolName
from bm.protocols.reading import (
    array_of,
    count_of,
    elements,
    integer,
    join,
    json_of,
    object_of,
    objects_of,
    refuse,
    string,
    string_of,
)

GEMINI_BATCH = 100
"""The most texts that one request may hold (langchain-google-genai, `embeddings.py`, read 2026-11-30)."""


class EmbedRequest(msgspec.Struct, frozen=True):
    """Texts to embed. `dimensions` 0 leaves the length to the model.

    `single` says that the client wants one vector outside a list, `packed` that it wants base64 instead of numbers.
    """

    texts: tuple[str, ...]
    dimensions: int = 0
    single: bool = False
    packed: bool = False


def decode_request(client: ProtocolName, body: Json) -> EmbedRequest:
    """Read `POST /v1/embeddings`, or Gemini's `:embedContent` or `:batchEmbedContents`.

    Raises:
        RequestError: there is no text to embed.
    """
    if client == "gemini":
        single = "requests" not in body
        asked = [(body, "")] if single else list(elements(body, "requests"))
        dimensions = next((found for row, at in asked if (found := integer(row, "outputDimensionality", at))), 0)
        return EmbedRequest(tuple(_text(row, at) for row, at in asked), dimensions=dimensions, single=single)
    given = body.get("input")
    texts = [given] if isinstance(given, str) else array_of(given)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise refuse("input", "expected a text or a list of texts; token ids mean something to their own model only")
    packed = string(body, "encoding_format") == "base64"
    return EmbedRequest(tuple(texts), dimensions=integer(body, "dimensions") or 0, packed=packed)


def _text(row: Json, place: str) -> str:
    content = row.get("content")
    parts = object_of(content).get("parts")
    texts = [string_of(part.get("text")) for part in objects_of([parts] if isinstance(parts, dict) else parts)]
    text = string_of(content) or "\n".join(filter(None, texts))
    if not text:
        raise refuse(join(place, "content"), "expected a part with text")
    return text


def encode_requests(upstream: ProtocolName, request: EmbedRequest, model: str) -> list[Json]:
    """The body for an OpenAI-compatible upstream, or those for Gemini's `:batchEmbedContents`."""
    if upstream == "gemini":
        more = {"outputDimensionality": request.dimensions} if request.dimensions else {}
        texts = request.texts
        rows = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}} | more for text in texts]
        return [{"requests": rows[at : at + GEMINI_BATCH]} for at in range(0, len(rows), GEMINI_BATCH)]
    body: Json = {"model": model, "input": list(request.texts), "encoding_format": "float"}
    return [body | ({"dimensions": request.dimensions} if request.dimensions else {})]


def joined(answers: Iterable[bytes]) -> bytes:
    """One answer of Gemini's from those to several batches."""
    read = [object_of(json_of(answer)) for answer in answers]
    rows = [row for answer in read for row in objects_of(answer.get("embeddings"))]
    counts = [usage.input for answer in read if (usage := usage_of(answer)) is not None]
    # Counts of some batches would be taken for those of all.
    known = {"usageMetadata": {"promptTokenCount": sum(counts)}} if len(counts) == len(read) else {}
    return msgspec.json.encode({"embeddings": rows} | known)


def usage_of(answer: Json) -> Usage | None:
    """The tokens that were embedded, from the answer of either API; None if it does not say, as Gemini's older models.

    Mistral's and Voyage's have `total_tokens` alone.
    """
    usage, metadata = object_of(answer.get("usage")), object_of(answer.get("usageMetadata"))
    for count in (usage.get("prompt_tokens"), usage.get("total_tokens"), metadata.get("promptTokenCount")):
        if count_of(count):
            return Usage(input=count_of(count))
    return None


def encode_response(client: ProtocolName, request: EmbedRequest, answer: Json, model: str) -> Json:
    """The response for the client, from the answer of either API.

    Raises:
        ValueError: the answer holds no vectors.
    """
    vectors = _vectors(answer)
    if not vectors:
        raise ValueError("the answer holds no embeddings")
    if client == "gemini":
        rows = [{"values": vector} for vector in vectors]
        return {"embedding": rows[0]} if request.single else {"embeddings": rows}
    tokens = (usage_of(answer) or Usage()).input
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if request.packed else vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}


def _vectors(answer: Json) -> list[list[float]]:
    found: list[Any] = [row.get("values") for row in objects_of(answer.get("embeddings"))]
    found += [object_of(answer.get("embedding")).get("values")]
    found += [row.get("embedding") for row in objects_of(answer.get("data"))]
    return [vector for vector in found if array_of(vector)]


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64: what the official SDK asks for by default."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

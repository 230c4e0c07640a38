"""Embeddings between OpenAI's wire and Gemini's."""

from __future__ import annotations

import base64
import struct
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure, RequestError


class EmbedRequest(msgspec.Struct, frozen=True):
    """Texts to embed. `dimensions` 0 leaves the length to the model; `single` and `packed` say how the client asked:
    for one vector outside a list, for base64 instead of numbers."""

    texts: tuple[str, ...]
    dimensions: int = 0
    single: bool = False
    packed: bool = False


def from_openai(body: Json) -> EmbedRequest:
    """Read `POST /v1/embeddings`.

    Raises:
        RequestError: the input is not a text or a list of texts.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        message = "`input` must be a text or a list of texts; token ids mean something to their own model only"
        raise RequestError(Failure(kind="bad_request", message=message, param="input"))
    dimensions = body.get("dimensions")
    return EmbedRequest(
        tuple(texts),
        dimensions=dimensions if isinstance(dimensions, int) else 0,
        packed=body.get("encoding_format") == "base64",
    )


def to_openai(request: EmbedRequest, model: str) -> Json:
    """The body for an OpenAI-compatible upstream."""
    body: Json = {"model": model, "input": list(request.texts), "encoding_format": "float"}
    return body | ({"dimensions": request.dimensions} if request.dimensions else {})


def from_gemini(body: Json) -> EmbedRequest:
    """Read `:embedContent` or `:batchEmbedContents`.

    Raises:
        RequestError: a request holds no text.
    """
    rows = body.get("requests")
    single = not isinstance(rows, list)
    asked = [body] if single else [row for row in rows or () if isinstance(row, dict)]
    dimensions = next((d for row in asked if isinstance(d := _either(row, "outputDimensionality"), int)), 0)
    return EmbedRequest(tuple(_text(row) for row in asked), dimensions=dimensions, single=single)


def to_gemini(request: EmbedRequest, model: str) -> Json:
    """The body of `:batchEmbedContents`."""
    more = {"outputDimensionality": request.dimensions} if request.dimensions else {}
    name = f"models/{model}"
    return {"requests": [{"model": name, "content": {"parts": [{"text": text}]}} | more for text in request.texts]}


def vectors(answer: Json) -> tuple[list[list[float]], int]:
    """The vectors of an answer of either wire, and the tokens it counted (0 where it says none).

    Raises:
        ValueError: the answer holds no vectors.
    """
    match answer:
        case {"embeddings": list(rows)}:
            found = [row.get("values") for row in rows if isinstance(row, dict)]
        case {"embedding": {"values": list(values)}}:
            found = [values]
        case {"data": list(rows)}:
            found = [row.get("embedding") for row in rows if isinstance(row, dict)]
        case _:
            found = []
    whole = [vector for vector in found if isinstance(vector, list)]
    if not whole:
        raise ValueError("the answer holds no embeddings")
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens", 0) if isinstance(usage, dict) else 0
    return whole, tokens if isinstance(tokens, int) else 0


def answer_openai(request: EmbedRequest, found: list[list[float]], tokens: int, model: str) -> Json:
    """The answer for an OpenAI client."""
    rows = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if request.packed else vector}
        for index, vector in enumerate(found)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": model, "usage": usage}


def answer_gemini(request: EmbedRequest, found: list[list[float]]) -> Json:
    """The answer for a Gemini client."""
    if request.single:
        return {"embedding": {"values": found[0]}}
    return {"embeddings": [{"values": vector} for vector in found]}


def _packed(vector: list[float]) -> str:
    """Little-endian 32-bit floats in base64: what the official SDK asks for by default."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _either(body: Json, name: str) -> Any:
    """A member in Gemini's camel case or in snake case."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return body.get(name, body.get(snake))


def _text(row: Json) -> str:
    content = row.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, dict):
        parts = [parts]
    texts = [part["text"] for part in parts or () if isinstance(part, dict) and isinstance(part.get("text"), str)]
    if isinstance(content, str):
        texts = [content]
    if not texts:
        message = "`content` must hold a part with text"
        raise RequestError(Failure(kind="bad_request", message=message, param="content"))
    return "\n".join(texts)

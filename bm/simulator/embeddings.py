"""Embeddings: vectors that depend on nothing but their text."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from bm.simulator.answer import count
from bm.simulator.gemini_check import normal
from bm.simulator.request import Json, Request
from bm.simulator.wire import dump, items, text_of

DIMENSIONS = 8
"""The length of a vector when the request names none."""


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Numbers from -1 to 1, exact in a float of 32 bits."""
    stream = b"".join(hashlib.sha256(f"{place}:{text}".encode()).digest() for place in range(-(-dimensions // 32)))
    return [(byte - 128) / 128 for byte in stream[:dimensions]]


def answer(request: Request) -> Json:
    """The body of an embeddings request's answer, OpenAI's or Gemini's. The body has passed the API's check."""
    if request.api == "gemini":
        body = normal(request)
        if request.verb == "embedContent":
            return {"embedding": _gemini(body)}
        return {"embeddings": [_gemini(one) for one in items(body.get("requests"))]}
    given = request.body.get("input")
    texts = [dump(item) for item in given] if isinstance(given, list) else [str(given)]
    dimensions = int(request.body.get("dimensions") or DIMENSIONS)
    packed = request.body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector(text, dimensions), packed=packed)}
        for index, text in enumerate(texts)
    ]
    total = sum(count(text) for text in texts)
    usage = {"prompt_tokens": total, "total_tokens": total}
    return {"object": "list", "data": data, "model": request.model, "usage": usage}


def _gemini(one: Json) -> Json:
    text = text_of((one.get("content") or {}).get("parts"))
    return {"values": vector(text, int(one.get("outputDimensionality") or DIMENSIONS))}


def _packed(values: list[float], *, packed: bool) -> Any:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode() if packed else values

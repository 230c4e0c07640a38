"""Answers that are not generated: the models each service lists, and embeddings that depend on their text alone."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from bm.simulator.answer import count
from bm.simulator.faults import NAMED, Refused, Trouble
from bm.simulator.gemini_check import normal
from bm.simulator.request import Json, Request
from bm.simulator.wire import CREATED, dump, items, text_of

GEMINI = (
    "gemini-2.5-pro",
    "gemini-2.5-flash",
    "gemini-2.5-flash-lite",
    "gemini-3-flash-preview",
    "gemini-3.1-pro-preview",
    "gemini-3.5-flash-lite",
    "gemini-3.8-flash",
)
ANTHROPIC = (
    "claude-opus-5-5",
    "claude-sonnet-5-5",
    "claude-haiku-5-5",
    "claude-opus-5",
    "claude-opus-4-8",
    "claude-sonnet-5",
    "claude-haiku-4-5",
)
GROQ = ("openai/gpt-oss-120b", "openai/gpt-oss-20b", "qwen/qwen3.8-27b")
TOGETHER = ("deepseek-ai/DeepSeek-V4-Pro-0813", "moonshotai/Kimi-K3", "openai/gpt-oss-120b")
OPENAI = ("gpt-6.1-sol", "gpt-6-luna", "gpt-5.4", "gpt-5", "gpt-5-mini", "text-embedding-3-small")
_PAGE = 50


def names(request: Request) -> tuple[str, ...]:
    """The models that the service of `request` lists."""
    if request.api == "gemini":
        return GEMINI
    if request.api == "anthropic":
        return ANTHROPIC
    return {"groq": GROQ, "together": TOGETHER}.get(request.flavour, OPENAI)


def listed(request: Request) -> Json:
    """The response to a request for models: the list, or one of them.

    Raises:
        Refused: no such model.
    """
    if request.model:
        if request.model not in names(request) and request.model.removeprefix("sim-") not in NAMED:
            raise Refused(Trouble(kind="not_found", message=_not_found(request)))
        return _entry(request, request.model)
    if request.api == "gemini":
        return _gemini_page(request)
    entries = [_entry(request, name) for name in names(request)]
    if request.api == "anthropic":
        listed = entries[: int(request.query.get("limit") or 20)]
        ends = {"first_id": listed[0]["id"], "last_id": listed[-1]["id"]} if listed else {}
        return {"data": listed, "has_more": len(listed) < len(entries), **ends}
    return {"object": "list", "data": entries}


def _not_found(request: Request) -> str:
    if request.api == "gemini":
        return f"models/{request.model} is not found for API version v1beta"
    if request.api == "anthropic":
        return f"model: {request.model}"
    return f"The model '{request.model}' does not exist"


def _gemini_page(request: Request) -> Json:
    start = int(request.query.get("pageToken") or 0)
    size = int(request.query.get("pageSize") or _PAGE)
    page: Json = {
        "publisherModels" if request.vertex else "models": [
            _entry(request, name) for name in names(request)[start : start + size]
        ]
    }
    if start + size < len(names(request)):
        page["nextPageToken"] = str(start + size)
    return page


def _entry(request: Request, name: str) -> Json:
    if request.vertex:
        return {"name": f"publishers/google/models/{name}", "versionId": "default", "launchStage": "GA"}
    if request.api == "gemini":
        return {
            "name": f"models/{name}",
            "version": "001",
            "displayName": name,
            "description": "A simulated model",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "maxTemperature": 2,
            "thinking": True,
        }
    if request.api == "anthropic":
        made = {"created_at": "2026-01-01T00:00:00Z", "lifecycle": "active"}
        return {"type": "model", "id": name, "display_name": name, **made}
    entry: Json = {"id": name, "object": "model", "created": CREATED, "owned_by": request.flavour}
    return entry | ({"active": True, "context_window": 131072} if request.flavour == "groq" else {})


DIMENSIONS = 8
"""The length of a vector if the request names none."""


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The embedding of `text`: numbers from -1 to 1 that are exact in a float of 32 bits."""
    stream = b"".join(hashlib.sha256(f"{place}:{text}".encode()).digest() for place in range(-(-dimensions // 32)))
    return [(byte - 128) / 128 for byte in stream[:dimensions]]


def embed(request: Request) -> Json:
    """The response to an embeddings request of OpenAI or Gemini that has passed the check."""
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

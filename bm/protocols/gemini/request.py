"""A client's generateContent request, read."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Extra
from bm.protocols.gemini.casing import camel
from bm.protocols.gemini.contents import ContentReader, system_texts
from bm.protocols.gemini.declarations import decode_choice, decode_tools
from bm.protocols.gemini.generation import decode_generation
from bm.protocols.gemini.refusing import expected, refused

_KNOWN = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model"})


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a client's request. Every member is taken in camelCase and in snake_case.

    Raises:
        RequestError: the body is not a generateContent request.
    """
    if not isinstance(body, dict):
        raise expected("", "a JSON object", body)
    row: Json = {camel(key): value for key, value in body.items() if value is not None}
    wrapped = row.get("generateContentRequest")
    if isinstance(wrapped, dict) and "contents" not in row:
        return decode_request(wrapped, model=model, stream=stream)
    if not row.get("contents"):
        raise refused("contents", "contents are required")
    reader = ContentReader()
    turns = reader.turns(row["contents"])
    tools, hosted = decode_tools(row.get("tools"))
    choice, choice_extras = decode_choice(row.get("toolConfig"))
    generation = decode_generation(row.get("generationConfig"))
    extras = (Extra("gemini", n, value) for n, value in row.items() if n not in _KNOWN and value not in ([], {}))
    return ChatRequest(
        protocol="gemini",
        model=model or _model_name(row.get("model")),
        turns=turns,
        system=system_texts(row.get("systemInstruction")),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=choice,
        sampling=generation.sampling,
        reasoning=generation.reasoning,
        output=generation.output,
        max_tokens=generation.max_tokens,
        stop=generation.stop,
        choices=generation.choices,
        stream=bool(stream),
        stream_usage=True,
        extras=(*extras, *choice_extras, *generation.extras, *reader.extras),
    )


def _model_name(name: Any) -> str:
    return name.removeprefix("models/") if isinstance(name, str) else ""

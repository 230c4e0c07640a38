"""A client's generateContent request, read into canonical form."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Extra, OutputFormat, Reasoning, Sampling
from bm.protocols.gemini.casing import camel
from bm.protocols.gemini.refusing import expected, refused
from bm.protocols.gemini.thinking import decode_thinking
from bm.protocols.gemini.tools import decode_choice, decode_tools
from bm.protocols.gemini.turns import ContentReader, system_texts
from bm.protocols.json_schema.openapi import from_openapi

_FORMAT = frozenset({"responseMimeType", "responseSchema", "responseJsonSchema", "responseFormat"})
_GENERATION = _FORMAT | {
    "temperature",
    "topP",
    "topK",
    "candidateCount",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
}
_DEFAULTS: dict[str, Any] = {"responseModalities": ["TEXT"]}
"""Values that say nothing: not worth a loss at another upstream."""


class Generation(msgspec.Struct, frozen=True):
    """What a `generationConfig` asks for."""

    sampling: Sampling
    reasoning: Reasoning
    output: OutputFormat
    max_tokens: int | None
    stop: tuple[str, ...]
    choices: int
    extras: tuple[Extra, ...]


def decode_generation(config: Any) -> Generation:
    """Read a `generationConfig`; None is an empty one."""
    if config is None:
        config = {}
    if not isinstance(config, dict):
        raise expected("generationConfig", "an object", config)
    row: Json = {camel(key): value for key, value in config.items() if value is not None}
    thinking = row.get("thinkingConfig", {})
    if not isinstance(thinking, dict):
        raise expected("generationConfig.thinkingConfig", "an object", thinking)
    extras = [
        Extra("gemini", f"generationConfig.{name}", value)
        for name, value in row.items()
        if name not in _GENERATION and _DEFAULTS.get(name) != value
    ]
    output = _output(row, extras)
    return Generation(
        sampling=Sampling(
            temperature=_number(row, "temperature"),
            top_p=_number(row, "topP"),
            top_k=_whole(row, "topK"),
            seed=_whole(row, "seed"),
            presence_penalty=_number(row, "presencePenalty"),
            frequency_penalty=_number(row, "frequencyPenalty"),
            logprobs=_flag(row, "responseLogprobs"),
            top_logprobs=_whole(row, "logprobs"),
        ),
        reasoning=decode_thinking(thinking),
        output=output,
        max_tokens=_whole(row, "maxOutputTokens"),
        stop=_stop(row.get("stopSequences")),
        choices=max(1, _whole(row, "candidateCount") or 1),
        extras=tuple(extras),
    )


def _output(row: Json, extras: list[Extra]) -> OutputFormat:
    mime = row.get("responseMimeType")
    schema = row.get("responseJsonSchema", row.get("responseSchema"))
    text = row["responseFormat"].get("text") if isinstance(row.get("responseFormat"), dict) else None
    if isinstance(text, dict):
        mime = mime or {"APPLICATION_JSON": "application/json"}.get(str(text.get("mimeType", text.get("mime_type"))))
        schema = schema or text.get("schema")
    elif "responseFormat" in row:
        extras.append(Extra("gemini", "generationConfig.responseFormat", row["responseFormat"]))
    if mime not in (None, "application/json", "text/plain"):
        extras.append(Extra("gemini", "generationConfig.responseMimeType", mime))
        if schema is not None:
            extras.append(Extra("gemini", "generationConfig.responseSchema", schema))
        return OutputFormat()
    if isinstance(schema, dict) and schema:
        return OutputFormat("schema", schema=from_openapi(schema))
    return OutputFormat("json" if mime == "application/json" else "text")


def _number(row: Json, name: str) -> float | None:
    value = row.get(name)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise expected(f"generationConfig.{name}", "a number", value)


def _whole(row: Json, name: str) -> int | None:
    value = _number(row, name)
    return None if value is None else int(value)


def _flag(row: Json, name: str) -> bool | None:
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise expected(f"generationConfig.{name}", "true or false", value)


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    rows = [value] if isinstance(value, str) else value
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise expected("generationConfig.stopSequences", "a list of strings", value)
    return tuple(rows)


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

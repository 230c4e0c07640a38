"""A client's generateContent request, read into canonical form."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, OutputFormat, Sampling
from bm.protocols import reading
from bm.protocols.gemini.thinking import decode_reasoning
from bm.protocols.gemini.tools import decode_choice, decode_tools
from bm.protocols.gemini.turns import TurnReader, decode_system
from bm.protocols.json_schema.openapi import from_openapi

_CONFIG = "generationConfig"
_GENERATION = frozenset({
    "responseMimeType", "responseSchema", "responseJsonSchema", "responseFormat", "temperature", "topP", "topK",
    "candidateCount", "maxOutputTokens", "stopSequences", "seed", "presencePenalty", "frequencyPenalty",
    "responseLogprobs", "logprobs", "thinkingConfig",
})  # fmt: skip
_DEFAULTS: dict[str, Any] = {"responseModalities": ["TEXT"]}
"""Default values: leaving them out is no loss."""
_KNOWN = frozenset({"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "model"})


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a client's request. Every member is taken in camelCase and in snake_case."""
    row = reading.in_camel_case(reading.element(body, ""))
    wrapped = row.get("generateContentRequest")
    if isinstance(wrapped, dict) and "contents" not in row:
        return decode_request(wrapped, model=model, stream=stream)
    if not row.get("contents"):
        raise reading.refuse("contents", "contents are required")
    unread = reading.Unread("gemini")
    unread.rest({name: value for name, value in row.items() if value not in ([], {})}, _KNOWN)
    choice = decode_choice(row, unread)
    config = reading.in_camel_case(reading.mapping(row, _CONFIG) or {})
    unread.rest({name: value for name, value in config.items() if _DEFAULTS.get(name) != value}, _GENERATION, _CONFIG)
    output = _output(config, unread)
    turns = TurnReader(unread).turns(row["contents"])
    tools, hosted = decode_tools(row)
    return ChatRequest(
        protocol="gemini",
        model=model or reading.string_of(row.get("model")).removeprefix("models/"),
        turns=turns,
        system=decode_system(row.get("systemInstruction")),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=choice,
        sampling=_sampling(config),
        reasoning=decode_reasoning(
            reading.mapping(config, "thinkingConfig", _CONFIG) or {}, f"{_CONFIG}.thinkingConfig"
        ),
        output=output,
        max_tokens=reading.integer(config, "maxOutputTokens", _CONFIG),
        stop=tuple(reading.strings(config, "stopSequences", _CONFIG)),
        choices=max(1, reading.integer(config, "candidateCount", _CONFIG) or 1),
        stream=bool(stream),
        stream_usage=True,
        extras=tuple(unread.extras),
    )


def _sampling(config: Json) -> Sampling:
    return Sampling(
        temperature=reading.number(config, "temperature", _CONFIG),
        top_p=reading.number(config, "topP", _CONFIG),
        top_k=reading.integer(config, "topK", _CONFIG),
        seed=reading.integer(config, "seed", _CONFIG),
        presence_penalty=reading.number(config, "presencePenalty", _CONFIG),
        frequency_penalty=reading.number(config, "frequencyPenalty", _CONFIG),
        logprobs=reading.boolean(config, "responseLogprobs", _CONFIG),
        top_logprobs=reading.integer(config, "logprobs", _CONFIG),
    )


def _output(row: Json, unread: reading.Unread) -> OutputFormat:
    mime = row.get("responseMimeType")
    schema = row.get("responseJsonSchema", row.get("responseSchema"))
    text = reading.object_of(row.get("responseFormat")).get("text")
    if isinstance(text, dict):
        mime = mime or {"APPLICATION_JSON": "application/json"}.get(reading.string_of(reading.member(text, "mimeType")))
        schema = schema or text.get("schema")
    elif "responseFormat" in row:
        unread.add(f"{_CONFIG}.responseFormat", row["responseFormat"])
    if mime not in (None, "application/json", "text/plain"):
        unread.add(f"{_CONFIG}.responseMimeType", mime)
        if schema is not None:
            unread.add(f"{_CONFIG}.responseSchema", schema)
        return OutputFormat()
    if isinstance(schema, dict) and schema:
        return OutputFormat("schema", schema=from_openapi(schema))
    return OutputFormat("json" if mime == "application/json" else "text")

"""What a model is asked to find out what it takes: tiny requests, each with one member that it may refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from bm.chat.parts import Json
from bm.names import ProtocolName

LEVELS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
NO_LEVEL: Final = "sideways"
"""No service knows this level: one that takes it says nothing by taking others."""
HUGE: Final = 10_000_000
"""Tokens that no model answers with: a refusal names the limit."""
ANSWER: Final = 16
"""The least tokens of an answer that every service allows to ask for."""

_TEXT: Final = "Reply with the word: ready"
_SCHEMA: Json = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
_NARROW: Json = _SCHEMA | {"properties": {"word": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^r"}}}


class Question(msgspec.Struct, frozen=True):
    """`name` is what is asked, `value` which of several is meant, `body` the request."""

    name: str
    body: Json
    value: str = ""


def plain(protocol: ProtocolName, model: str) -> Json:
    """The request without anything that may be refused."""
    user = {"role": "user", "content": _TEXT}
    match protocol:
        case "gemini":
            contents = [{"role": "user", "parts": [{"text": _TEXT}]}]
            return {"contents": contents, "generationConfig": {"maxOutputTokens": ANSWER}}
        case "openai-responses":
            return {"model": model, "input": [user], "max_output_tokens": ANSWER, "store": False}
        case "anthropic":
            return {"model": model, "messages": [user], "max_tokens": ANSWER}
        case _:
            return {"model": model, "messages": [user], "max_completion_tokens": ANSWER}


def questions(protocol: ProtocolName, model: str) -> list[Question]:
    """All questions to a model over a protocol."""
    found = [Question("level", _level(protocol, model, level), level) for level in (*LEVELS, NO_LEVEL)]
    for name, body in _BODIES.items():
        if (made := body(protocol, plain(protocol, model))) is not None:
            found.append(Question(name, made))
    return found


def facts(answers: Mapping[tuple[str, str], bool]) -> dict[str, tuple[Any, ...]]:
    """What the answers say of the model: members of `Capabilities`, each with its values."""
    known: dict[str, tuple[Any, ...]] = {}
    levels = tuple(level for level in LEVELS if answers.get(("level", level)))
    if levels and answers.get(("level", NO_LEVEL)) is False:
        known["levels"] = levels
    if (forced := answers.get(("forced tools", ""))) is not None:
        known["forced_tools"] = ("always" if forced else "never",)
    if (prefill := answers.get(("prefill", ""))) is not None:
        known["prefill"] = (prefill,)
    schema, plain_json = answers.get(("schema", "")), answers.get(("json", ""))
    if schema is not None:
        known["structured_output"] = ("schema" if schema else "json" if plain_json else "none",)
    return known


def _level(protocol: ProtocolName, model: str, level: str) -> Json:
    body = plain(protocol, model)
    match protocol:
        case "gemini":
            body["generationConfig"]["thinkingConfig"] = {"thinkingLevel": level.upper()}
        case "openai-responses":
            body["reasoning"] = {"effort": level}
        case "anthropic":
            body["output_config"] = {"effort": level}
        case _:
            body["reasoning_effort"] = level
    return body


def _forced(protocol: ProtocolName, body: Json) -> Json | None:
    tool: Json = {"name": "say", "description": "Says a word."}
    match protocol:
        case "gemini":
            config = {"mode": "ANY", "allowedFunctionNames": ["say"]}
            declared = tool | {"parametersJsonSchema": _SCHEMA}
            return body | {
                "tools": [{"functionDeclarations": [declared]}],
                "toolConfig": {"functionCallingConfig": config},
            }
        case "anthropic":
            choice = {"type": "tool", "name": "say"}
            return body | {"tools": [tool | {"input_schema": _SCHEMA}], "tool_choice": choice}
        case "openai-responses":
            declared = tool | {"type": "function", "parameters": _SCHEMA, "strict": False}
            return body | {"tools": [declared], "tool_choice": "required"}
        case _:
            declared = {"type": "function", "function": tool | {"parameters": _SCHEMA}}
            return body | {"tools": [declared], "tool_choice": "required"}


def _prefill(protocol: ProtocolName, body: Json) -> Json | None:
    match protocol:
        case "gemini":
            return body | {"contents": [*body["contents"], {"role": "model", "parts": [{"text": "The word is"}]}]}
        case "openai-responses":
            return None
        case _:
            return body | {"messages": [*body["messages"], {"role": "assistant", "content": "The word is"}]}


def _format(schema: Json) -> Callable[[ProtocolName, Json], Json | None]:
    def made(protocol: ProtocolName, body: Json) -> Json | None:
        match protocol:
            case "gemini":
                asked = {"responseMimeType": "application/json", "responseJsonSchema": schema}
                return body | {"generationConfig": body["generationConfig"] | asked}
            case "anthropic":
                return body | {"output_config": {"format": {"type": "json_schema", "schema": schema}}}
            case "openai-responses":
                return body | {"text": {"format": {"type": "json_schema", "name": "word", "schema": schema}}}
            case _:
                named = {"name": "word", "schema": schema}
                return body | {"response_format": {"type": "json_schema", "json_schema": named}}

    return made


def _json(protocol: ProtocolName, body: Json) -> Json | None:
    if protocol != "openai-chat":
        return None
    return body | {
        "messages": [{"role": "user", "content": f"{_TEXT}, as a JSON object"}],
        "response_format": {"type": "json_object"},
    }


def _limit(protocol: ProtocolName, body: Json) -> Json | None:
    if protocol == "gemini":
        return body | {"generationConfig": {"maxOutputTokens": HUGE}}
    name = next(name for name in ("max_output_tokens", "max_completion_tokens", "max_tokens") if name in body)
    return body | {name: HUGE}


_BODIES: Final[Mapping[str, Callable[[ProtocolName, Json], Json | None]]] = {
    "forced tools": _forced,
    "prefill": _prefill,
    "schema": _format(_SCHEMA),
    "json": _json,
    "schema keywords": _format(_NARROW),
    "limit": _limit,
}

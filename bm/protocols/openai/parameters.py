"""Parameters that OpenAI's two APIs have in common: efforts, identities, the format of the answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Text
from bm.chat.request import LEVELS as WORDS
from bm.chat.request import ChatRequest, Loss, OutputFormat
from bm.names import Level
from bm.protocols.parameters import Format, output_format, short
from bm.protocols.reading import boolean, join, mapping, mismatch, required_mapping, string

LEVELS: dict[str, Level] = {"none": "off", **{level: level for level in WORDS[1:]}}
"""OpenAI's words for the levels of thinking."""
EFFORTS: dict[Level, str] = {level: word for word, level in LEVELS.items()}

MAX_USER = 128
MAX_CACHE_KEY = 64
"""Longer values are answered with 400 (OpenAI's API reference, `safety_identifier` and `prompt_cache_key`)."""

_ANSWER = "Answer with a JSON object."
_ILLEGAL_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def identity(request: ChatRequest, *, openai: bool = True) -> Json:
    """The members that name the user and the conversation; services other than OpenAI know only `user`."""
    members: Json = {}
    if request.user:
        members["safety_identifier" if openai else "user"] = short(request.user, MAX_USER)
    if request.cache_key and openai:
        members["prompt_cache_key"] = short(request.cache_key, MAX_CACHE_KEY)
    return members


def decode_format(body: Json, key: str, place: str = "") -> OutputFormat | None:
    """Read the format of the answer; None when it has an unknown type."""
    form, at = mapping(body, key, place) or {}, join(place, key)
    match form.get("type"):
        case "text" | None:
            return OutputFormat()
        case "json_object" if isinstance(form.get("schema"), dict):
            # Together, Fireworks and llama.cpp take the schema beside the older type.
            return OutputFormat("schema", schema=form["schema"])
        case "json_object":
            return OutputFormat("json")
        case "json_schema":
            flat = "schema" in form
            inner, where = (form, at) if flat else (required_mapping(form, "json_schema", at), f"{at}.json_schema")
            return OutputFormat(
                "schema",
                schema=mapping(inner, "schema", where) or {},
                name=string(inner, "name", where),
                description=string(inner, "description", where),
                strict=boolean(inner, "strict", where),
            )
        case str():
            return None
        case other:
            raise mismatch(f"{at}.type", "a string", other)


def openai_format(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Format:
    """The format nearest to what the client asked for.

    OpenAI takes a schema only with an object at its root, and JSON only where the prompt speaks of it (OpenAI,
    "Structured outputs" and "JSON mode").
    """
    schema = request.output.schema or {}
    object_root = schema.get("type") == "object" and "anyOf" not in schema
    if capabilities.dialect.name == "openai" and schema and not object_root:
        capabilities = msgspec.structs.replace(capabilities, structured_output="none")
    form = output_format(request, capabilities, losses)
    if form.kind == "json" and not form.instruction and not any("json" in text.lower() for text in _texts(request)):
        return Format("json", _ANSWER)
    return form


def _texts(request: ChatRequest) -> Iterator[str]:
    parts = (part for turn in request.turns for part in turn.parts)
    yield from (part.text for part in (*request.system, *parts) if isinstance(part, Text))


def encode_schema(output: OutputFormat) -> Json:
    """The members of a format of type `json_schema`."""
    members: Json = {"name": _ILLEGAL_IN_NAME.sub("_", output.name)[:64] or "answer", "schema": output.schema or {}}
    if output.description:
        members["description"] = output.description
    if output.strict is not None:
        members["strict"] = output.strict
    return members

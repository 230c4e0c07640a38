"""Schemas of a tool's arguments for those who want an object at the root, and what is left of a refused one."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.protocols.tool_schema import light

BRANCHES = ("anyOf", "oneOf", "allOf")
NAMED = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Members whose keys are names that the author chose, not keywords."""

_BASIC = frozenset(
    {"type", "title", "description", "enum", "const", "properties", "required", "items", "prefixItems", "anyOf"}
    | {"$ref", "$defs", "additionalProperties"}
)
"""What a refused schema is cut down to: the words that every draft and every validator agree on."""

NESTED = ("items", "not", "if", "then", "else", "contains", "additionalProperties", "propertyNames")


def object_schema(schema: Json | None) -> Json:
    """The schema of a tool's arguments with `type: object` at its root and no alternatives there.

    Anthropic refuses `anyOf`, `oneOf` and `allOf` at the top level. The branches are merged instead of wrapped in a
    property, so that the arguments keep the shape the client's tool expects: a property of any branch may be given,
    those that all branches require must be.
    """
    if schema is None:
        return {"type": "object", "properties": {}}
    schema = _resolved(schema)
    if any(isinstance(schema.get(word), list) for word in BRANCHES):
        schema = _merged(schema)
    if schema.get("type") == "object":
        return schema
    return {"type": "object", **{name: value for name, value in schema.items() if name != "type"}}


def basic_schema(schema: Json | None) -> Json:
    """The schema of a tool's arguments after the upstream refused it: repaired, and without all but basic keywords."""
    return object_schema(None if schema is None else _basic(light(schema)))


def _basic(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    copy: Json = {}
    for name, value in schema.items():
        if name not in _BASIC:
            continue
        if name in NAMED and isinstance(value, dict):
            copy[name] = {key: _basic(child) for key, child in value.items()}
        elif isinstance(value, list) and name in (*BRANCHES, "prefixItems"):
            copy[name] = [_basic(child) for child in value]
        else:
            copy[name] = _basic(value) if name in NESTED else value
    return copy


def _resolved(schema: Json) -> Json:
    """The schema that a `$ref` at the root points at, with the definitions kept."""
    target: Any = schema
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return schema
    for step in reference[2:].split("/"):
        target = target.get(step) if isinstance(target, dict) else None
    if not isinstance(target, dict):
        return schema
    return {**target, **{name: value for name, value in schema.items() if name != "$ref"}}


def _merged(schema: Json) -> Json:
    properties: Json = dict(schema.get("properties") or {})
    required: list[str] = list(schema.get("required") or [])
    for word in BRANCHES:
        branches = [_resolved({**_definitions(schema), **b}) for b in schema.get(word) or [] if isinstance(b, dict)]
        demands: list[list[str]] = []
        for branch in branches:
            for name, value in (branch.get("properties") or {}).items():
                properties.setdefault(name, value)
            demands.append(branch.get("required") or [])
        for name in dict.fromkeys(name for demand in demands for name in demand):
            held = any(name in demand for demand in demands) if word == "allOf" else all(name in d for d in demands)
            if held and name not in required:
                required.append(name)
    kept = {name: value for name, value in schema.items() if name not in (*BRANCHES, "properties", "required")}
    return {**kept, "properties": properties, **({"required": required} if required else {})}


def _definitions(schema: Json) -> Json:
    return {name: schema[name] for name in ("$defs", "definitions") if name in schema}


def with_basic_schemas(request: ChatRequest) -> ChatRequest:
    """The request with the schemas of its tools cut down: an upstream has refused them as they were."""
    tools = tuple(
        tool if tool.schema is None else msgspec.structs.replace(tool, schema=basic_schema(tool.schema))
        for tool in request.tools
    )
    return msgspec.structs.replace(request, tools=tools)

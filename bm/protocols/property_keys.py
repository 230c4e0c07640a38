"""Names of arguments that Anthropic refuses (`$filter`, `filter[id]`): written for it, and put back in calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json, Part, ToolCall
from bm.chat.request import ChatRequest, Tool, Turn
from bm.names import ANTHROPIC, ProtocolName
from bm.protocols.json_schema.subsets import object_schema
from bm.protocols.reading import object_of
from bm.protocols.tools import Rule, renamings

Keys = Mapping[str, Mapping[str, str]]
"""Of each tool with renamed arguments: the client's names by those that the upstream has."""

_RULE = Rule(re.compile(r"[a-zA-Z0-9_.-]{1,64}"), re.compile(r"[^a-zA-Z0-9_.-]"), 64)
"""Anthropic's "Property keys should match pattern" (anthropics/claude-code#79418)."""


def with_legal_keys(request: ChatRequest, protocol: ProtocolName) -> tuple[ChatRequest, Keys]:
    """Give the arguments of tools names that `protocol` takes, in definitions and history alike."""
    tools = request.tools if protocol == ANTHROPIC else ()
    given = {tool.name: object_of(object_schema(tool.schema).get("properties")) for tool in tools}
    keys = {name: names for name, properties in given.items() if (names := renamings(properties, _RULE))}
    if not keys:
        return request, {}
    tools = tuple(_tool(tool, keys[tool.name]) if tool.name in keys else tool for tool in request.tools)
    turns = tuple(Turn(turn.role, tuple(_part(part, keys) for part in turn.parts)) for turn in request.turns)
    return msgspec.structs.replace(request, tools=tools, turns=turns), keys


def _tool(tool: Tool, keys: Mapping[str, str]) -> Tool:
    schema = object_schema(tool.schema)
    new = {old: name for name, old in keys.items()}
    schema = schema | {"properties": renamed(schema["properties"], new)}
    if isinstance(required := schema.get("required"), list):
        schema["required"] = [new.get(name, name) if isinstance(name, str) else name for name in required]
    return msgspec.structs.replace(tool, schema=schema)


def _part(part: Part, keys: Keys) -> Part:
    if not isinstance(part, ToolCall) or part.name not in keys:
        return part
    arguments = renamed(part.arguments, {old: name for name, old in keys[part.name].items()})
    return msgspec.structs.replace(part, arguments=arguments, raw=msgspec.json.encode(arguments).decode())


def renamed(members: Json, names: Mapping[str, str]) -> dict[str, Any]:
    """An object whose members have new names."""
    return {names.get(name, name): value for name, value in members.items()}

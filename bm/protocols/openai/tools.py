"""Tool definitions, choices and call arguments in OpenAI's two APIs; the forms of both are accepted everywhere."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.arguments import parse_arguments, parsed_arguments
from bm.chat.parts import Json, ToolCall, ToolKind
from bm.chat.request import Loss, Tool, ToolChoice
from bm.names import CHAT, RESPONSES, ProtocolName
from bm.protocols.json_schema.subsets import is_strict, openai_schema
from bm.protocols.openai.content import decode_mark
from bm.protocols.reading import array_of, boolean, filled_string, join, mapping, mismatch, object_of, string
from bm.protocols.tools import described

_KNOWN = {"type", "name", "description", "parameters", "strict", "cache_control"}
BUILT_IN = ("apply_patch", "shell")
"""Tools that OpenAI's models know and the client runs, which a choice names by their type."""


def qualified(namespace: object, name: str) -> str:
    """The name by which every other protocol knows a function of a namespace.

    A deferred function outside any namespace is called back with its own name as the namespace.
    """
    return f"{namespace}__{name}" if isinstance(namespace, str) and namespace not in ("", name) else name


def decode_tool(definition: Json, place: str, kind: ToolKind, protocol: ProtocolName, **extra: Any) -> Tool:
    """Read the definition of a function or custom tool. `extra` is kept beside its unknown members."""
    unknown = {name: value for name, value in definition.items() if name not in _KNOWN and value is not None}
    return Tool(
        qualified(extra.get("namespace"), filled_string(definition, "name", place, "the tool's name")),
        string(definition, "description", place),
        schema=mapping(definition, "parameters", place),
        strict=boolean(definition, "strict", place),
        kind=kind,
        cache=decode_mark(definition),
        protocol=protocol,
        extra={**unknown, **extra},
    )


def decode_choice(choice: Any, parallel: bool | None) -> ToolChoice | None:
    """Read a `tool_choice`; None when it names a hosted tool or has an unknown form."""
    match choice:
        case None | "auto" | {"type": "auto"}:
            return ToolChoice(parallel=parallel)
        case "required" | "any" | {"type": "any" | "required"}:
            return ToolChoice("required", parallel=parallel)
        case "none" | {"type": "none"}:
            return ToolChoice("none", parallel=parallel)
        case {"type": "allowed_tools"}:
            allowed = object_of(choice.get("allowed_tools")) or choice
            names = tuple(name for tool in array_of(allowed.get("tools")) if (name := tool_name(tool)))
            return ToolChoice("required" if allowed.get("mode") == "required" else "auto", names, parallel)
        case _:
            name = tool_name(choice)
            return ToolChoice("required", (name,), parallel) if name else None


def described_function(tool: Tool, name: str, place: str, losses: list[Loss], *, keep_schema: bool = False) -> Json:
    """Name, description, parameters and strictness of a function, with a schema that is made to fit if need be."""
    schema, strict = tool.schema if keep_schema else openai_schema(tool.schema), tool.strict
    if strict and tool.protocol not in (CHAT, RESPONSES) and not is_strict(schema):
        losses.append(Loss(f"{place}.strict", "strict mode demands each property; sent without it"))
        strict = False
    members = {**described(tool, name), "parameters": schema}
    return members if strict is None else {**members, "strict": strict}


def described_custom(tool: Tool, name: str, protocol: ProtocolName) -> Json:
    """Name and description of a custom tool, and the other API's format: Chat Completions nests grammars."""
    form = object_of(tool.extra.get("format"))
    if tool.protocol == protocol or not isinstance(form.get("type"), str):
        return described(tool, name)
    if form["type"] == "grammar":
        grammar = object_of(form.get("grammar")) or {key: value for key, value in form.items() if key != "type"}
        form = {"type": "grammar", **({"grammar": grammar} if protocol == CHAT else grammar)}
    return {**described(tool, name), "format": form}


def tool_name(reference: Any) -> str:
    """The name in a definition, or in a choice of a tool; empty for tools that only have a type."""
    match reference:
        case {"function": {"name": str(name)}} | {"custom": {"name": str(name)}}:
            return name
        case {"name": str(name)}:
            return qualified(reference.get("namespace"), name)
        case {"type": str(kind)} if kind in BUILT_IN:
            return kind
        case _:
            return ""


def decode_arguments(owner: Json, place: str) -> tuple[Json, str]:
    """The arguments of a call and their original JSON text. Some clients send the object itself."""
    match owner.get("arguments"):
        case None:
            return {}, ""
        case str(raw):
            return parse_arguments(raw), raw
        case dict(arguments):
            return arguments, msgspec.json.encode(arguments).decode()
        case other:
            raise mismatch(join(place, "arguments"), "a string of JSON", other)


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as JSON text: the original text if it decodes to the same object, else a new one."""
    if call.kind == "function" and call.arguments and parsed_arguments(call.raw) == call.arguments:
        return call.raw
    return msgspec.json.encode(call.arguments).decode()

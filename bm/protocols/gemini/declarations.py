"""A client's `tools` and `toolConfig`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bm.chat.parts import Json
from bm.chat.request import Extra, HostedTool, Tool, ToolChoice
from bm.protocols.gemini.casing import camel, member
from bm.protocols.gemini.refusing import expected, refused

_SCHEMA_FIELDS = ("parametersJsonSchema", "parameters")
_KNOWN = frozenset({"name", "description", *_SCHEMA_FIELDS})
_HOSTED = {
    "googleSearch": "web_search",
    "googleSearchRetrieval": "web_search",
    "codeExecution": "code_execution",
    "urlContext": "web_fetch",
}
_NAMED = ("properties", "$defs", "defs", "definitions", "patternProperties")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not")
_INTEGERS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def decode_tools(tools: Any) -> tuple[tuple[Tool, ...], tuple[HostedTool, ...]]:
    """The declared functions, and the tools that Google runs."""
    rows = [] if tools is None else [tools] if isinstance(tools, dict) else tools
    if not isinstance(rows, list):
        raise expected("tools", "a list of tools", tools)
    functions: list[Tool] = []
    hosted: list[HostedTool] = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            raise expected(f"tools[{number}]", "a tool object", row)
        for key, value in row.items():
            if camel(key) == "functionDeclarations":
                functions += _declared(value, f"tools[{number}].{key}")
            elif value is not None:
                hosted.append(HostedTool(_HOSTED.get(camel(key), camel(key)), "gemini", {key: value}))
    return tuple(functions), tuple(hosted)


def _declared(declarations: Any, at: str) -> Iterator[Tool]:
    if not isinstance(declarations, list):
        raise expected(at, "a list of function declarations", declarations)
    for number, declaration in enumerate(declarations):
        if not isinstance(declaration, dict) or not isinstance(declaration.get("name"), str):
            raise refused(f"{at}[{number}].name", "a function declaration needs a name")
        schema = next((value for f in _SCHEMA_FIELDS if (value := member(declaration, f)) is not None), None)
        if schema is not None and not isinstance(schema, dict):
            raise expected(f"{at}[{number}].parameters", "a schema object", schema)
        described = declaration.get("description")
        extra = {camel(key): value for key, value in declaration.items() if camel(key) not in _KNOWN}
        yield Tool(
            declaration["name"],
            described if isinstance(described, str) else "",
            decode_schema(schema) if schema is not None else None,
            protocol="gemini" if extra else "",
            extra=extra,
        )


def decode_schema(schema: Any) -> Any:
    """A schema of either dialect as JSON Schema: lower-case types, camelCase keywords, null among the types.

    Goes down only where schemas stand: names of properties keep their spelling.
    """
    if not isinstance(schema, dict):
        return schema
    node: Json = {key if key.startswith("$") else camel(key): value for key, value in schema.items()}
    _lower_type(node)
    for key in _NAMED:
        if isinstance(node.get(key), dict):
            node[key] = {name: decode_schema(child) for name, child in node[key].items()}
    for key in _LISTED:
        if isinstance(node.get(key), list):
            node[key] = [decode_schema(child) for child in node[key]]
    for key in _SINGLE:
        if isinstance(node.get(key), dict):
            node[key] = decode_schema(node[key])
    _apply_nullable(node)
    _apply_order(node)
    return node


def _lower_type(node: Json) -> None:
    kind = node.get("type")
    if isinstance(kind, list):
        node["type"] = [name.lower() if isinstance(name, str) else name for name in kind]
    elif isinstance(kind, str):
        node["type"] = kind.lower()
        if node["type"] == "type_unspecified":
            del node["type"]
    for key in _INTEGERS:
        if isinstance(node.get(key), str) and node[key].isdecimal():
            node[key] = int(node[key])


def _apply_nullable(node: Json) -> None:
    if node.pop("nullable", None) is not True:
        return
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
        if isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
    elif isinstance(node.get("anyOf"), list) and {"type": "null"} not in node["anyOf"]:
        node["anyOf"] = [*node["anyOf"], {"type": "null"}]


def _apply_order(node: Json) -> None:
    """JSON Schema has no `propertyOrdering`; models follow the order in which properties stand."""
    order, properties = node.pop("propertyOrdering", None), node.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        names = [*(name for name in order if name in properties), *(name for name in properties if name not in order)]
        node["properties"] = {name: properties[name] for name in names}


def decode_choice(config: Any) -> tuple[ToolChoice, tuple[Extra, ...]]:
    """What a `toolConfig` says, and what only Gemini knows of it."""
    if config is None:
        return ToolChoice(), ()
    if not isinstance(config, dict):
        raise expected("toolConfig", "an object", config)
    calling = member(config, "functionCallingConfig")
    calling = calling if isinstance(calling, dict) else {}
    extras = [
        Extra("gemini", f"toolConfig.{camel(key)}", value)
        for key, value in config.items()
        if camel(key) != "functionCallingConfig"
    ]
    allowed = member(calling, "allowedFunctionNames")
    names = tuple(name for name in allowed if isinstance(name, str)) if isinstance(allowed, list) else ()
    mode = calling.get("mode")
    match mode.upper() if isinstance(mode, str) else mode:
        case "ANY" | 2:
            return ToolChoice("required", names), tuple(extras)
        case "NONE" | 3:
            return ToolChoice("none"), tuple(extras)
        case "VALIDATED" | 4:
            extras.append(Extra("gemini", "toolConfig.functionCallingConfig.mode", "VALIDATED"))
            return ToolChoice("auto", names), tuple(extras)
        case _:
            return ToolChoice("auto"), tuple(extras)

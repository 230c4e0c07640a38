"""Tools and calls in a wire body, as far as a model takes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from bm.chat.arguments import parse_arguments
from bm.chat.parts import Json
from bm.names import ProtocolName
from bm.protocols.json_schema.openapi import from_openapi, openapi_schema
from bm.protocols.json_schema.repair import every_schema
from bm.protocols.json_schema.subsets import basic_schema, object_schema, openai_schema
from bm.protocols.reading import object_of, objects_of, string_of
from bm.protocols.tools import fitting_call_id
from bm.remedies.remedy import Remedy
from bm.remedies.turns import ask, messages_of, pieces_of

_SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema")
_TYPED = frozenset({"type", "anyOf", "oneOf", "allOf", "$ref"})
_TYPE_NAMES: dict[type, str] = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def functions(body: Json) -> Iterator[Json]:
    """The definitions of the functions in a request, wherever its protocol keeps them."""
    for tool in objects_of(body.get("tools")):
        declared = objects_of(tool.get("functionDeclarations") or tool.get("function_declarations"))
        yield from declared
        if not declared:
            yield object_of(tool.get("function")) or tool


def forces_call(body: Json, protocol: ProtocolName) -> bool:
    """Whether the request makes the model call a tool."""
    if protocol == "gemini":
        config = object_of(object_of(body.get("toolConfig")).get("functionCallingConfig"))
        return str(config.get("mode", "")).upper() == "ANY"
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else choice
    return kind in ("any", "required", "tool", "function", "custom")


def choose_freely(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Leave the choice of a tool to the model, and ask in words for the call that was demanded."""
    if not forces_call(body, protocol):
        return False
    if protocol == "gemini":
        config = body["toolConfig"]["functionCallingConfig"]
        named = " or ".join(config.pop("allowedFunctionNames", None) or ())
        config["mode"] = "AUTO"
    else:
        choice = object_of(body["tool_choice"])
        named = str(object_of(choice.get("function")).get("name") or choice.get("name") or "")
        free = {**{name: value for name, value in choice.items() if name != "name"}, "type": "auto"}
        body["tool_choice"] = free if protocol == "anthropic" else "auto"
    ask(body, protocol, f"Call the tool {named} now." if named else "Answer with a call of one of the tools.")
    return True


def choose_by_word(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Demand a call without naming the tool, and offer that tool alone."""
    if body.get("tool_choice") == "any":
        body["tool_choice"] = "required"
        return True
    choice = object_of(body.get("tool_choice"))
    name = object_of(choice.get("function")).get("name") or choice.get("name")
    if not name:
        return False
    body["tools"] = [
        tool for tool in objects_of(body.get("tools")) if (object_of(tool.get("function")) or tool).get("name") == name
    ]
    body["tool_choice"] = "required"
    return bool(body["tools"])


def drop_choice(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Take out the choice of a tool where there is none."""
    names = [name for name in ("tool_choice", "parallel_tool_calls", "toolConfig", "tool_config") if name in body]
    if any(True for _ in functions(body)):
        return False
    for name in names:
        del body[name]
    if empty := body.get("tools") == []:
        del body["tools"]
    return bool(names) or empty


def not_strict(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Make no tool strict, nor the form of the answer."""
    chat, responses = object_of(body.get("response_format")), object_of(body.get("text"))
    strict = [*functions(body), object_of(chat.get("json_schema")), object_of(responses.get("format"))]
    found = [each for each in strict if each.get("strict")]
    for each in found:
        each["strict"] = False
    return bool(found)


def fewer_tools(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Leave out tools that the conversation has not called, the last ones first."""
    (most,) = remedy.values
    names = [str(function.get("name", "")) for function in functions(body)]
    over = len(names) - int(most)
    if over <= 0:
        return False
    called = {name for message in messages_of(body) for name in _called(message)}
    left_out = set([name for name in reversed(names) if name not in called][:over])
    tools = objects_of(body.get("tools"))
    for tool in tools:
        for name in ("functionDeclarations", "function_declarations"):
            if declared := objects_of(tool.get(name)):
                tool[name] = [function for function in declared if function.get("name") not in left_out]
    body["tools"] = [tool for tool in tools if (object_of(tool.get("function")) or tool).get("name") not in left_out]
    return bool(left_out)


def _called(message: Json) -> Iterator[str]:
    for piece in (*pieces_of(message), *objects_of(message.get("tool_calls")), message):
        call = object_of(piece.get("functionCall")) or object_of(piece.get("function")) or piece
        if name := call.get("name"):
            yield str(name)


def declare_called(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Declare the tools that the conversation has called, where a request offers none; none is to be called.

    Bedrock demands it, and clients that sum up a conversation offer no tools: pydantic/pydantic-ai#5929 (2026-06-14),
    aws-samples/bedrock-access-gateway#239 (2026-04-20).
    """
    pieces = [piece for message in messages_of(body) for piece in _calls_of(message)]
    names = list(dict.fromkeys(name for piece in pieces if (name := string_of(piece.get("name")))))
    if not names or body.get("tools") or protocol not in ("anthropic", "openai-chat"):
        return False
    schema: Json = {"type": "object", "properties": {}}
    if protocol == "anthropic":
        body["tools"] = [{"name": name, "input_schema": schema} for name in names]
        body["tool_choice"] = {"type": "none"}
    else:
        body["tools"] = [{"type": "function", "function": {"name": name, "parameters": schema}} for name in names]
        body["tool_choice"] = "none"
    return True


def _calls_of(message: Json) -> Iterator[Json]:
    yield from (piece for piece in pieces_of(message) if piece.get("type") == "tool_use")
    yield from (object_of(call.get("function")) for call in objects_of(message.get("tool_calls")))


def digests(body: Json) -> dict[str, str]:
    """A digest of the schema of each function, by the function's name."""
    return {
        str(function.get("name", "")): _digest([function.get("name"), function[name]])
        for function in functions(body)
        for name in _SCHEMAS
        if isinstance(function.get(name), dict)
    }


def _digest(value: Any) -> str:
    return hashlib.blake2b(msgspec.json.encode(value), digest_size=12).hexdigest()


def simplify_schemas(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Cut down the schemas that a model has refused, by their digests; Gemini gets its own kind of schema instead."""
    known = digests(body)
    if not set(remedy.values) <= set(known.values()):
        return False
    changed = False
    for function in functions(body):
        if known.get(str(function.get("name", ""))) not in remedy.values:
            continue
        for name in _SCHEMAS:
            if not isinstance(schema := function.get(name), dict):
                continue
            if protocol == "gemini":
                del function[name]
                simple, name = openapi_schema(schema), "parameters"
            else:
                simple = basic_schema(schema)
            changed = changed or simple != schema
            function[name] = simple
    return changed


def as_json_schema(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Gemini: schemas with keywords that its own kind of schema lacks, as JSON Schema; one schema a tool."""
    found = [function for function in functions(body) if isinstance(function.get("parameters"), dict)]
    for function in found:
        schema = function.pop("parameters")
        if not function.keys() & {"parametersJsonSchema", "parameters_json_schema"}:
            function["parametersJsonSchema"] = from_openapi(schema)
    return bool(found)


def add_properties(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give every object schema its `properties`, and every tool a schema."""
    changed = False
    for function in functions(body):
        for name in _SCHEMAS:
            if isinstance(schema := function.get(name), dict):
                changed = _with_properties(schema) or changed
        if "name" in function and not any(name in function for name in _SCHEMAS) and protocol != "gemini":
            name = "input_schema" if protocol == "anthropic" else "parameters"
            function[name] = {"type": "object", "properties": {}}
            changed = True
    return changed


def _with_properties(root: Json) -> bool:
    lacking = [schema for schema in every_schema(root) if schema is root or schema.get("type") == "object"]
    lacking = [schema for schema in lacking if not isinstance(schema.get("properties"), dict)]
    for schema in lacking:
        schema |= {"type": "object", "properties": {}}
    return bool(lacking)


def complete_schemas(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give every tool a schema of an object, with `properties` and, in arrays, `items`."""
    changed = False
    for function in functions(body):
        if "name" not in function or protocol == "gemini":
            continue
        name = "input_schema" if protocol == "anthropic" else "parameters"
        given = function.get(name) if isinstance(function.get(name), dict) else None
        made = object_schema(given) if protocol == "anthropic" else openai_schema(given)
        changed = changed or made != given
        function[name] = made
    return changed


def type_into_branches(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Move a `type` that stands beside `anyOf` into the branches."""
    roots = [function.get(name) for function in functions(body) for name in _SCHEMAS]
    found = [
        schema
        for root in roots
        for schema in every_schema(root)
        if isinstance(schema.get("anyOf"), list) and "type" in schema
    ]
    for schema in found:
        kind = schema.pop("type")
        for branch in objects_of(schema["anyOf"]):
            branch.setdefault("type", kind)
    return bool(found)


def add_types(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give every schema a `type`: that of its values or its members, else a text.

    As Moonshot's own client does: MoonshotAI/kimi-cli#2030 (2026-04-23).
    """
    roots = [function.get(name) for function in functions(body) for name in _SCHEMAS]
    found = [schema for root in roots for schema in every_schema(root) if not schema.keys() & _TYPED]
    for schema in found:
        values = schema.get("enum") or [schema.get("const", schema.get("default"))]
        kinds = {_TYPE_NAMES.get(type(value), "string") for value in values if value is not None}
        below = "object" if "properties" in schema else "array" if "items" in schema else "string"
        schema["type"] = kinds.pop() if len(kinds) == 1 else below
    return bool(found)


def shorten_call_ids(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give calls and their results ids of an exact length, or legal ones of at most so many characters."""
    exact, most = remedy.values
    changed = False
    for piece, name in _ids(body):
        new = fitting_call_id(piece[name], exact or 0, most or 0)
        changed = changed or new != piece[name]
        piece[name] = new
    return changed


def _ids(body: Json) -> Iterator[tuple[Json, str]]:
    """Where the ids of calls are; the ids of the items of Responses are others."""
    for message in messages_of(body):
        for piece in (*pieces_of(message), *objects_of(message.get("tool_calls"))):
            yield from ((piece, name) for name in ("id", "tool_use_id") if isinstance(piece.get(name), str))
        yield from ((message, name) for name in ("tool_call_id", "call_id") if isinstance(message.get(name), str))


def arguments_as_objects(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Give the arguments of calls as an object, or as text where an object was refused."""
    as_text = "text" in remedy.values
    changed = False
    for message in messages_of(body):
        for piece in (*pieces_of(message), *objects_of(message.get("tool_calls")), message):
            owner = object_of(piece.get("function")) or piece
            name = "input" if piece.get("type") == "tool_use" else "arguments"
            value = owner.get(name)
            if as_text and isinstance(value, dict | list):
                owner[name] = msgspec.json.encode(value).decode()
                changed = True
            elif not as_text and isinstance(value, str):
                owner[name] = parse_arguments(value)
                changed = True
    return changed


def hosted_types(body: Json) -> list[str]:
    """The types of the tools that are no functions."""
    types = [string_of(tool.get("type")) for tool in objects_of(body.get("tools"))]
    return list(dict.fromkeys(kind for kind in types if kind not in ("", "function")))


def drop_tool(body: Json, remedy: Remedy, protocol: ProtocolName) -> bool:
    """Leave out the hosted tools of a type that the model does not take, in all its versions."""
    (kind,) = remedy.values
    tools = objects_of(body.get("tools"))
    kept = [tool for tool in tools if not f"{tool.get('type')}_".startswith(f"{kind}_") and kind not in tool]
    if len(kept) == len(tools) or kind in ("function", "custom"):
        return False
    body["tools"] = kept
    if not kept:
        del body["tools"]
        drop_choice(body, remedy, protocol)
    return True

"""JSON Schemas as far as each upstream takes them.

Every function takes the root of a schema, never a request: `title`, `format`, `default` and `const` are also ordinary
argument names. The argument is never changed, since failover may need it again for another provider. What Gemini
accepts: google-genai's docstrings of `FunctionDeclaration` and `Schema`, and the 400s reported against both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.protocols.json_schema import repair
from bm.protocols.json_schema.repair import resolve, without
from bm.protocols.reading import array_of, object_of, string_of

CUSTOM_TOOL: Json = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""A custom tool's free text as the arguments of a function, for models without custom tools."""

MAX_DEPTH = 48
"""Deeper schemas are cut: no tool needs them, and Gemini's JSON parser stops at a nesting of 100."""

_BRANCHES = ("anyOf", "oneOf", "allOf")
_NOT_AT_ROOT = frozenset({*_BRANCHES, "$ref", "enum", "not"})
_BASIC = frozenset(
    {"type", "title", "description", "enum", "const", "properties", "required", "items", "prefixItems", "anyOf"}
    | {"$ref", "$defs", "additionalProperties"}
)
"""What a refused schema is cut down to: the keywords on which every draft and every validator agree."""


def gemini_schema(schema: Json) -> Json:
    """The schema for `parametersJsonSchema` and `responseJsonSchema`; the same object when nothing had to change."""
    root = repair.with_root_resolved(schema)
    cleaned = _clean(root, schema, 0)
    for word in ("anyOf", "oneOf"):
        if word in root and not cleaned.keys() & {"anyOf", "oneOf"}:
            cleaned = saying(cleaned, {word: root[word]})
    return schema if cleaned == schema else cleaned


def _clean(schema: Any, root: Json, depth: int) -> Json:
    if depth > MAX_DEPTH:
        return {}
    node = repair.repaired(schema)
    node.pop("$schema", None)
    if "allOf" in node:
        node = _clean_all_of(node, root)
    repair.nullable_to_type(node)
    if "definitions" in node:
        node["$defs"] = {**node.pop("definitions"), **node.get("$defs", {})}
    _descend(node, lambda child: _clean(child, root, depth + 1))
    repair.keep_known_required(node)
    if node.get("type") == "array" and "items" not in node and "prefixItems" not in node:
        node["items"] = {}
    return _clean_ref(node, root)


def _clean_ref(node: Json, root: Json) -> Json:
    """A reference may have no neighbours but `$` keywords, so others move it into an `anyOf` of one."""
    if "$ref" not in node:
        return node
    if resolve(root, node["$ref"]) is None:
        return without(node, "$ref")
    node["$ref"] = _renamed_pointer(node["$ref"])
    if all(key.startswith("$") for key in node) or "anyOf" in node:
        return node
    return {**without(node, "$ref"), "anyOf": [{"$ref": node["$ref"]}]}


def _clean_all_of(node: Json, root: Json) -> Json:
    branches = node["allOf"]
    if len(branches) == 1 and isinstance(branches[0], dict) and branches[0].keys() == {"$ref"}:
        rest = without(node, "allOf")
        if not rest.keys() & (repair.STRUCTURAL - {"$defs", "definitions"}):
            return {**rest, "$ref": branches[0]["$ref"]}
    return repair.all_of_merged(node, root, frozenset())[0]


def _renamed_pointer(pointer: str) -> str:
    """The pointer after `definitions` became `$defs`, leaving alone properties that are called so."""
    steps = pointer.split("/")
    named = False
    for index, step in enumerate(steps[1:], 1):
        if named:
            named = False
            continue
        if step == "definitions":
            steps[index] = "$defs"
        named = step in repair.NAMED
    return "/".join(steps)


def _descend(node: Json, clean: Callable[[Any], Json]) -> None:
    for key in repair.NAMED:
        if key in node:
            node[key] = {name: clean(child) for name, child in node[key].items() if child is not False}
    for key in repair.LISTED:
        if key in node:
            kept = [(child, clean(child)) for child in node[key] if child is not False]
            node[key] = [cleaned for child, cleaned in kept if cleaned or not child]
            if not node[key]:
                del node[key]
    for key in repair.SINGLE:
        if isinstance(given := node.get(key), dict):
            node[key] = clean(given)
            # What became weaker than it was said too much inside a `not`, and what became empty says nothing.
            weaker = key == "not" and node[key].get("required") != given.get("required")
            if given and (weaker or not node[key]):
                del node[key]


def object_schema(schema: Json | None) -> Json:
    """The schema of a tool's arguments with `type: object` at its root and no alternatives there.

    Anthropic refuses `anyOf`, `oneOf` and `allOf` at the top level. The branches are merged instead of wrapped in a
    property, so that the arguments keep the shape the client's tool expects: a property of any branch may be given,
    those that all branches require must be. The description says what each branch requires.
    """
    if schema is None:
        return {"type": "object", "properties": {}}
    schema = repair.with_root_resolved(schema)
    definitions: Json = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
    for word in _BRANCHES:
        if isinstance(branches := schema.get(word), list):
            resolved = [
                repair.with_root_resolved({**definitions, **each}) for each in branches if isinstance(each, dict)
            ]
            schema = repair.union(without(schema, word), resolved, every=word == "allOf")
            required = [each.get("required") or [] for each in resolved]
            if word != "allOf" and any(each != required[0] for each in required):
                schema = saying(schema, {word: [{"required": each} for each in required]})
    return schema if schema.get("type") == "object" else {"type": "object", **without(schema, "type")}


def openai_schema(schema: Json | None) -> Json:
    """The schema of a tool's arguments as OpenAI and the services after it take it; the same object if it was that.

    The root is an object with `properties` and without alternatives, arrays have `items`, and a `type` beside `anyOf`
    stands in its branches (OpenAI's "Invalid schema for function"; Moonshot's "flavored json schema").
    """
    if schema is not None and _is_openai(schema):
        return schema
    root = without(object_schema(schema), "enum", "not")
    made: Json = repair.rewritten({**root, "properties": root.get("properties") or {}}, _with_items)
    return schema if schema == made else made


def _is_openai(schema: Json) -> bool:
    """Whether a schema is such already, as most are."""
    is_object = schema.get("type") == "object" and isinstance(schema.get("properties"), dict)
    return is_object and schema.keys().isdisjoint(_NOT_AT_ROOT) and _has_items(schema)


def _has_items(node: Json) -> bool:
    """Whether `_with_items` leaves the node and those inside it as they are."""
    if "type" in node and ("anyOf" in node or (_is_array(node) and not isinstance(node.get("items"), dict | bool))):
        return False
    if repair.STRUCTURAL.isdisjoint(node):
        return True
    return all([_has_items(inner) for inner in repair.inner_schemas(node) if isinstance(inner, dict)])


def _with_items(node: Json) -> Json:
    if _is_array(node) and not isinstance(node.get("items"), dict | bool):
        listed = node.get("items") or node.get("prefixItems")
        several = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        node["items"] = {"anyOf": several} if len(several) > 1 else several[0] if several else {}
    if "type" in node and isinstance(node.get("anyOf"), list):
        kind = node.pop("type")
        node["anyOf"] = [{"type": kind, **each} if isinstance(each, dict) else each for each in node["anyOf"]]
    return node


def _is_array(node: Json) -> bool:
    kind = node.get("type")
    return kind == "array" or (isinstance(kind, list) and "array" in kind)


def is_strict(schema: Any) -> bool:
    """Whether OpenAI's strict mode takes the schema: every object is closed and requires each of its properties."""
    objects = (node for node in repair.every_schema(schema) if node.get("type") == "object" or "properties" in node)
    return all(
        node.get("additionalProperties") is False
        and all(name in array_of(node.get("required")) for name in object_of(node.get("properties")))
        for node in objects
    )


_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
"""Of the words of `format` those that Anthropic's structured output takes (anthropic SDK, lib/_parse/_transform.py)."""
_MUTE = frozenset({"$schema", "$id", "$comment", "additionalProperties", "readOnly", "writeOnly"})
"""Keywords that say nothing about an answer, or that closing an object replaces."""


def closed_schema(schema: Any, keywords: Collection[str] = ()) -> Any:
    """A copy whose objects say `additionalProperties: false`, as Anthropic's structured output demands of each.

    Where `keywords` names those that are taken, all others move into the description, as in Anthropic's own SDKs.
    """

    def closed(node: Json) -> Json:
        node = _described(node, keywords) if keywords else node
        return {**node, "additionalProperties": False} if node.get("type") == "object" or "properties" in node else node

    return repair.rewritten(schema, closed)


def _described(node: Json, keywords: Collection[str]) -> Json:
    if "oneOf" in node and "anyOf" not in node:
        node["anyOf"] = node.pop("oneOf")
    refused = {
        name: value
        for name, value in node.items()
        if name not in keywords
        or (name == "minItems" and value not in (0, 1))
        or (name == "format" and string_of(value) not in _FORMATS)
    }
    kept = {name: value for name, value in node.items() if name not in refused}
    return saying(kept, without(refused, *_MUTE))


def saying(node: Json, keywords: Json) -> Json:
    """The schema with keywords in words in its description."""
    if not keywords:
        return node
    said = ", ".join(f"{name}: {_spelled(value)}" for name, value in keywords.items())
    described = str(node.get("description") or "")
    return {**node, "description": f"{described}\n\n{{{said}}}" if described else f"{{{said}}}"}


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def is_closable(schema: Any) -> bool:
    """Whether closing every object leaves the schema's meaning: it holds no map and does not hold itself."""
    further = (node.get("additionalProperties") for node in repair.every_schema(schema))
    holds_map = any(isinstance(each, dict) and each for each in further)
    return not (holds_map or _is_recursive(schema, schema, frozenset()))


def _is_recursive(schema: Any, root: Json, seen: frozenset[str]) -> bool:
    if not isinstance(schema, dict):
        return False
    pointer = schema.get("$ref")
    if isinstance(pointer, str):
        return pointer in seen or _is_recursive(resolve(root, pointer), root, seen | {pointer})
    rest = without(schema, "$defs", "definitions") if schema is root else schema
    return any(_is_recursive(inner, root, seen) for inner in repair.inner_schemas(rest))


def basic_schema(schema: Json) -> Json:
    """The schema of a tool's arguments after the upstream refused it: repaired, and with basic keywords alone."""
    return object_schema(repair.rewritten(gemini_schema(schema), _basic))


def _basic(node: Json) -> Json:
    kept = {name: value for name, value in node.items() if name in _BASIC}
    if kept.get("type") == "string" and isinstance(kept.get("enum"), list):
        # Kimi refuses a null among the texts: NousResearch/hermes-agent#18177 (2026-05-01).
        kept["enum"] = [value for value in kept["enum"] if isinstance(value, str)]
    return kept

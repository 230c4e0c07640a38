"""JSON Schemas as Gemini takes them: lightly touched for its JSON-Schema fields, cut down for its OpenAPI subset.

Both functions take the root of a schema, never a request: `title`, `format`, `default` and `const` are also ordinary
argument names. Keys below `properties` and `$defs` are names, not keywords. The argument is never changed, since
failover may need it again for another provider. What is accepted: google-genai's docstrings of `FunctionDeclaration`
and `Schema`, and the 400s reported against both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bm.chat.parts import Json
from bm.protocols.openapi_schema import simplified
from bm.protocols.schema_repair import (
    LISTED,
    NAMED,
    SINGLE,
    STRUCTURAL,
    all_of_merged,
    keep_known_required,
    merge,
    repaired,
    resolve,
    without,
)

__all__ = ["light", "simplified"]

MAX_DEPTH = 48
"""Deeper schemas are cut: no tool needs them, and Gemini's JSON parser stops at a nesting of 100."""


def light(schema: Json) -> Json:
    """The schema for `parametersJsonSchema` and `responseJsonSchema`; the same object when nothing had to change."""
    root = schema if "$ref" not in schema else _with_root_ref(schema)
    cleaned = _light(root, schema, 0)
    return schema if cleaned == schema else cleaned


def _with_root_ref(schema: Json) -> Json:
    target = resolve(schema, schema["$ref"])
    if target is None or target is schema:
        return schema
    return merge(without(schema, "$ref"), target)


def _light(schema: Any, root: Json, depth: int) -> Json:
    if depth > MAX_DEPTH:
        return {}
    node = repaired(schema)
    node.pop("$schema", None)
    if "allOf" in node:
        node = repaired(_light_all_of(node, root))
    _nullable_to_type(node)
    _definitions_to_defs(node)
    _descend(node, lambda child: _light(child, root, depth + 1))
    keep_known_required(node)
    if node.get("type") == "array" and "items" not in node and "prefixItems" not in node:
        node["items"] = {}
    return _light_ref(node, root)


def _light_ref(node: Json, root: Json) -> Json:
    """A reference may have no neighbours but `$` keywords, so others move it into an `anyOf` of one."""
    if "$ref" not in node:
        return node
    if resolve(root, node["$ref"]) is None:
        return without(node, "$ref")
    node["$ref"] = _renamed_pointer(node["$ref"])
    if all(key.startswith("$") for key in node) or "anyOf" in node:
        return node
    return {**without(node, "$ref"), "anyOf": [{"$ref": node["$ref"]}]}


def _light_all_of(node: Json, root: Json) -> Json:
    branches = node["allOf"]
    if len(branches) == 1 and isinstance(branches[0], dict) and branches[0].keys() == {"$ref"}:
        rest = without(node, "allOf")
        if not rest.keys() & (STRUCTURAL - {"$defs", "definitions"}):
            return {**rest, "$ref": branches[0]["$ref"]}
    return all_of_merged(node, root, frozenset())


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
        named = step in NAMED
    return "/".join(steps)


def _definitions_to_defs(node: Json) -> None:
    if "definitions" in node:
        node["$defs"] = {**node.pop("definitions"), **node.get("$defs", {})}


def _nullable_to_type(node: Json) -> None:
    nullable = node.pop("nullable", None)
    kind = node.get("type")
    if nullable is True and isinstance(kind, str) and kind != "null":
        node["type"] = [kind, "null"]
        if "enum" in node and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]


def _descend(node: Json, clean: Callable[[Any], Json]) -> None:
    for key in NAMED:
        if key in node:
            node[key] = {name: clean(child) for name, child in node[key].items() if child is not False}
    for key in LISTED:
        if key in node:
            kept = [(child, clean(child)) for child in node[key] if child is not False]
            node[key] = [cleaned for child, cleaned in kept if cleaned or not child]
            if not node[key]:
                del node[key]
    for key in SINGLE:
        if isinstance(node.get(key), dict):
            node[key] = clean(node[key])

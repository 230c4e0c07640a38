"""The OpenAPI subset of JSON Schema that Gemini's `parameters` and `responseSchema` take, both ways.

Used for models without the JSON-Schema fields, and after such a field was refused. What the subset cannot express
becomes a short hint in the description, so that the model still reads it.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.protocols.json_schema import repair
from bm.protocols.json_schema.repair import Pointers, merge, repaired, without
from bm.protocols.reading import camel

MAX_DEPTH = 16
MAX_NODES = 1000
"""Nodes with children: inlining shared references can multiply them without limit."""

_ANNOTATIONS = ("title", "description", "default", "example")
_HINTED = (
    "multipleOf",
    "uniqueItems",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "not",
    "patternProperties",
    "propertyNames",
    "contains",
    "examples",
)
_FORMATS = {"string": ("enum", "date-time"), "integer": ("int32", "int64"), "number": ("float", "double")}
_CUT = "any value, nested too deeply to describe"
_MAX_HINT = 120
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def openapi_schema(schema: Json) -> Json:
    """The schema for `parameters` and `responseSchema`. Terminates on every schema and is idempotent.

    A root that describes no properties comes back without a type: callers leave the field out then.
    """
    return _Simplifier(schema).root()


class _Simplifier:
    def __init__(self, root: Json) -> None:
        self._root = root
        self._left = MAX_NODES

    def root(self) -> Json:
        node = self._node(self._root, 0, frozenset())
        branches = node.get("anyOf", ())
        if branches and all(branch.get("type") == "OBJECT" for branch in branches):
            return _one_object(branches)
        return node

    def _node(self, schema: Any, depth: int, seen: Pointers) -> Json:
        node, seen = repair.resolved(repaired(schema), self._root, seen)
        inner = any(node.get(key) for key in ("properties", "items", "prefixItems", "anyOf", "oneOf"))
        if "$ref" in node or (inner and (depth >= MAX_DEPTH or self._left <= 0)):
            return _described(_kept(node, "title", "description"), [_CUT])
        self._left -= inner
        nullable = _take_null(node)
        types = node.get("type")
        if isinstance(types, list):
            shared = without(node, "type", "anyOf", "oneOf", *_ANNOTATIONS)
            node = {**_kept(node, *_ANNOTATIONS), "anyOf": [{**shared, "type": name} for name in types]}
        if "anyOf" in node or "oneOf" in node:
            return self._any_of(node, nullable, depth, seen)
        result = self._typed(node, depth, seen)
        if nullable:
            result["nullable"] = True
        return result

    def _any_of(self, node: Json, nullable: bool, depth: int, seen: Pointers) -> Json:
        shared = without(node, "anyOf", "oneOf", *_ANNOTATIONS)
        branches: list[Json] = []
        for candidate in (*node.get("anyOf", ()), *node.get("oneOf", ())):
            branch = repaired(candidate)
            if candidate is False or branch.keys() <= {"required"}:
                continue
            if branch.get("type") == "null":
                nullable = True
            else:
                branches.append(merge(shared, branch) if shared else branch)
        if len(branches) < 2:
            alone = merge(_kept(node, *_ANNOTATIONS), branches[0] if branches else shared)
            joined = self._node(alone, depth + 1, seen)
        else:
            written = [self._node(branch, depth + 1, seen) for branch in branches]
            results = [part for each in written for part in each.get("anyOf", [each]) if part]
            joined = {"anyOf": results}
            if len(results) > 1:
                _push_down(node, results)
            else:
                joined = {**_kept(node, "title", "description"), **(results[0] if results else {})}
        if nullable:
            _set_nullable(joined)
        return joined

    def _typed(self, node: Json, depth: int, seen: Pointers) -> Json:
        kind = node.get("type") or _type_by_enum(node)
        hints = [_hint(key, node[key]) for key in _HINTED if key in node and not _is_expressed(key, kind, node)]
        result: Json = {"type": kind.upper()} if kind is not None else {}
        result |= _kept(node, *_ANNOTATIONS)
        if result.get("default", 0) is None:
            del result["default"]
        match kind:
            case "object":
                self._object(node, result, hints, depth, seen)
            case "array":
                self._array(node, result, depth, seen)
            case "string":
                result |= _kept_counts(node, "minLength", "maxLength") | _kept(node, "pattern")
            case "integer" | "number":
                result |= _bounds(node, kind)
        return _described(result | _named(node, kind, hints), hints)

    def _object(self, node: Json, result: Json, hints: list[str], depth: int, seen: Pointers) -> None:
        further = node.get("additionalProperties")
        given = node.get("properties", {}).items()
        properties = {name: self._node(child, depth + 1, seen) for name, child in given if child is not False}
        if isinstance(further, dict) and further:
            hints.append(_hint("values", further))
        if not properties:
            del result["type"]
            hints += [] if isinstance(further, dict) else ["any JSON object"]
            return
        result["properties"] = properties
        result |= _kept(node, "required") | _kept_counts(node, "minProperties", "maxProperties")
        repair.keep_known_required(result)
        order = node.get("propertyOrdering")
        if isinstance(order, list) and set(order) <= properties.keys():
            result["propertyOrdering"] = order

    def _array(self, node: Json, result: Json, depth: int, seen: Pointers) -> None:
        items = node.get("items")
        result |= _kept_counts(node, "minItems", "maxItems")
        if "prefixItems" in node:
            fixed = [child for child in node["prefixItems"] if child is not False]
            if items is None:
                result["minItems"] = result["maxItems"] = len(fixed)
            union = [*fixed, *([items] if items else [])]
            items = {"anyOf": union} if len(union) > 1 else union[0] if union else None
        result["items"] = self._node(items, depth + 1, seen) if items is not None else {"type": "STRING"}


def _one_object(branches: list[Json]) -> Json:
    """A function's parameters must be one object."""
    described = next((_kept(branch, "description") for branch in branches if "description" in branch), {})
    return repair.union({"type": "OBJECT", **described}, branches, every=False)


def _take_null(node: Json) -> bool:
    nullable = node.pop("nullable", None) is True
    types = node.get("type")
    if isinstance(types, list) and "null" in types:
        nullable = True
        rest = [name for name in types if name != "null"]
        node["type"] = rest if len(rest) > 1 else rest[0]
    elif types == "null":
        nullable = True
        del node["type"]
        node.pop("enum", None)
    if None in node.get("enum", ()):
        nullable = True
        node["enum"] = [value for value in node["enum"] if value is not None]
        if not node["enum"]:
            del node["enum"]
    return nullable


def _set_nullable(result: Json) -> None:
    for target in result.get("anyOf", [result]):
        target["nullable"] = True


def _push_down(node: Json, results: list[Json]) -> None:
    """Vertex refuses neighbours of `anyOf`, so its title and description go into the branches."""
    for key in ("title", "description"):
        text = node.get(key)
        bare = [result for result in results if key not in result]
        if text and bare:
            for result in bare:
                result[key] = text
        elif text and key == "description":
            results[0][key] = f"{text} {results[0][key]}"


def _type_by_enum(node: Json) -> str | None:
    kinds = {repair.type_of(value) for value in node.get("enum", ())}
    return kinds.pop() if len(kinds) == 1 else None


def _named(node: Json, kind: str | None, hints: list[str]) -> Json:
    """The enum and the format. Only strings can be enumerated: numbers as strings would be of another type."""
    values, form = node.get("enum", ()), node.get("format")
    if not all(isinstance(value, str) for value in values) or (kind != "string" and values):
        hints.append(_hint("one of", values))
        values = ()
    if form and form not in _FORMATS.get(kind or "", ()):
        hints.append(f"format: {form}"[:_MAX_HINT])
        form = None
    return ({"enum": list(dict.fromkeys(values))} if values else {}) | ({"format": form} if form else {})


def _bounds(node: Json, kind: str) -> Json:
    low, high = _numbers(node.get("minimum")), _numbers(node.get("maximum"))
    if kind == "integer":
        low += [math.floor(number) + 1 for number in _numbers(node.get("exclusiveMinimum"))]
        high += [math.ceil(number) - 1 for number in _numbers(node.get("exclusiveMaximum"))]
    return ({"minimum": max(low)} if low else {}) | ({"maximum": min(high)} if high else {})


def _is_expressed(key: str, kind: str | None, node: Json) -> bool:
    value = node[key]
    return value is False or (kind == "integer" and key.startswith("exclusive") and bool(_numbers(value)))


def _numbers(value: Any) -> list[int | float]:
    """The value, if it is a number."""
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else []


def _kept(node: Json, *keys: str) -> Json:
    return {key: node[key] for key in keys if key in node}


def _kept_counts(node: Json, *keys: str) -> Json:
    return {key: int(value) for key in keys for value in _numbers(node.get(key)) if value >= 0}


def _hint(name: str, value: Any) -> str:
    text = f"{name}: {msgspec.json.encode(value).decode()}"
    return text if len(text) <= _MAX_HINT else f"{text[:_MAX_HINT]}…"


def _described(node: Json, hints: list[str]) -> Json:
    if hints:
        described = node.get("description", "")
        text = f"({'; '.join(hints)})"
        if not described.endswith(text):
            node["description"] = f"{described} {text}" if described else text
    return node


def from_openapi(schema: Any) -> Any:
    """A schema of either dialect as JSON Schema: lower-case types, camelCase keywords, null among the types.

    JSON Schema has no `propertyOrdering`; models follow the order in which properties stand.
    """
    if not isinstance(schema, dict):
        return schema
    node = {key if key.startswith("$") else camel(key): value for key, value in schema.items()}
    _in_json_types(node)
    node = repair.map_schemas(node, from_openapi)
    repair.nullable_to_type(node)
    order, properties = node.pop("propertyOrdering", None), node.get("properties")
    if isinstance(order, list) and isinstance(properties, dict):
        names = dict.fromkeys([*(name for name in order if isinstance(name, str) and name in properties), *properties])
        node["properties"] = {name: properties[name] for name in names}
    return node


def _in_json_types(node: Json) -> None:
    """Write types in lower case, and counts as numbers: proto clients write 64-bit integers as strings."""
    kind = node.get("type")
    if isinstance(kind, list):
        node["type"] = [name.lower() if isinstance(name, str) else name for name in kind]
    elif isinstance(kind, str):
        node["type"] = kind.lower()
        if node["type"] == "type_unspecified":
            del node["type"]
    for key in _COUNTS:
        if isinstance(node.get(key), str) and node[key].isdecimal():
            node[key] = int(node[key])

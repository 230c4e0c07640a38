"""Reading JSON Schemas: walk, resolve and merge them, and repair what tools commonly get wrong.

No function changes its argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from bm.chat.parts import Json
from bm.protocols.reading import array_of, object_of

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_TYPE_ALIASES = {
    **dict.fromkeys(("str", "text"), "string"),
    **dict.fromkeys(("int", "long"), "integer"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("list", "tuple"), "array"),
    **dict.fromkeys(("dict", "map"), "object"),
    "bool": "boolean",
    "none": "null",
}
_TYPE_OF = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
NAMED = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
SINGLE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")
_NO_BOOLEAN = (*SINGLE, "additionalItems", "unevaluatedItems", "unevaluatedProperties")
STRUCTURAL = frozenset({*NAMED, *LISTED, *_NO_BOOLEAN, "$ref"})


def inner_schemas(schema: Json) -> Iterator[Any]:
    """Each schema directly inside."""
    for key, value in schema.items():
        if isinstance(value, dict):
            if key in NAMED:
                yield from value.values()
            elif key in SINGLE:
                yield value
        elif isinstance(value, list) and key in LISTED:
            yield from value


def every_schema(schema: Any) -> Iterator[Json]:
    """The schema and each one inside it, as far as they are objects."""
    if isinstance(schema, dict):
        yield schema
        for inner in inner_schemas(schema):
            yield from every_schema(inner)


def rewritten(schema: Any, change: Callable[[Json], Json]) -> Any:
    """A copy with `change` applied to every object in it, the inner ones first."""
    if not isinstance(schema, dict):
        return schema
    return change(map_schemas(schema, lambda inner: rewritten(inner, change)))


def map_schemas(schema: Json, change: Callable[[Any], Any]) -> Json:
    """A copy with `change` applied to each schema directly inside. Property names are not keywords."""
    copy = dict(schema)
    for key, value in schema.items():
        if isinstance(value, dict):
            if key in NAMED:
                copy[key] = {name: change(child) for name, child in value.items()}
            elif key in SINGLE:
                copy[key] = change(value)
        elif isinstance(value, list) and key in LISTED:
            copy[key] = [change(child) for child in value]
    return copy


def repaired(schema: Any) -> Json:
    """A shallow copy in which every keyword has the type that JSON Schema requires.

    Repairs what MCP servers get wrong: a bare map of properties, `required: true` on a property, `items` on an
    object, Python type names, a schema that is only a type name, `const`, empty strings in an `enum`.
    """
    if isinstance(schema, str):
        schema = {"type": schema}
    if not isinstance(schema, dict):
        return {}
    node: Json = {"type": "object", "properties": schema} if _is_property_map(schema) else dict(schema)
    _repair_containers(node)
    _repair_type(node)
    _repair_enum(node)
    _repair_required(node)
    for key in ("title", "description", "$ref", "format", "pattern"):
        if key in node and not isinstance(node[key], str):
            del node[key]
    return node


def _is_property_map(schema: Json) -> bool:
    return (
        bool(schema)
        and not schema.keys() & STRUCTURAL
        and all(isinstance(v, dict) and (isinstance(v.get("type"), str) or "$ref" in v) for v in schema.values())
    )


def _repair_containers(node: Json) -> None:
    for key in NAMED:
        if key in node and not isinstance(node[key], dict):
            del node[key]
    for key in LISTED:
        if key in node and not (isinstance(node[key], list) and node[key]):
            del node[key]
    if isinstance(node.get("items"), list):
        tuple_items = node.pop("items")
        if tuple_items:
            node.setdefault("prefixItems", tuple_items)
    for key in _NO_BOOLEAN:
        closes = key == "additionalProperties" and isinstance(node.get(key), bool)
        if key in node and not isinstance(node[key], dict) and not closes:
            del node[key]


def _repair_type(node: Json) -> None:
    kind = node.pop("type", None)
    names = [kind] if isinstance(kind, str) else kind if isinstance(kind, list) else []
    lowered = (name.lower() for name in names if isinstance(name, str))
    known = list(dict.fromkeys(name for n in lowered if (name := _TYPE_ALIASES.get(n, n)) in _TYPES))
    if not known:
        if "properties" in node:
            known = ["object"]
        elif "prefixItems" in node or "items" in node:
            known = ["array"]
    if known:
        node["type"] = known[0] if len(known) == 1 else known
    if known == ["object"]:
        node.pop("items", None)
        node.pop("prefixItems", None)


def _repair_enum(node: Json) -> None:
    if "const" in node:
        value = node.pop("const")
        node["enum"] = [value]
        if "type" not in node and (kind := type_of(value)) is not None:
            node["type"] = kind
    if values := [value for value in array_of(node.pop("enum", None)) if value != ""]:
        node["enum"] = values


def type_of(value: Any) -> str | None:
    """The JSON Schema type of a value; None for objects and arrays, which Gemini does not take as constants."""
    return _TYPE_OF.get(type(value))


def _repair_required(node: Json) -> None:
    names = node.pop("required", None)
    required = [name for name in array_of(names) if isinstance(name, str)]
    required += [name for name, child in node.get("properties", {}).items() if object_of(child).get("required") is True]
    if required:
        node["required"] = list(dict.fromkeys(required))


def nullable_to_type(node: Json) -> None:
    """Replace OpenAPI's `nullable` with null among the types, constants or alternatives."""
    if node.pop("nullable", None) is not True:
        return
    kind, branches = node.get("type"), node.get("anyOf")
    if isinstance(kind, str) and kind != "null":
        node["type"] = [kind, "null"]
        if isinstance(node.get("enum"), list) and None not in node["enum"]:
            node["enum"] = [*node["enum"], None]
    elif kind is None and isinstance(branches, list) and {"type": "null"} not in branches:
        node["anyOf"] = [*branches, {"type": "null"}]


def keep_known_required(node: Json) -> None:
    """Drop required names that no property has: Gemini answers them with 400."""
    known = node.get("properties", {})
    if required := [name for name in node.pop("required", ()) if name in known]:
        node["required"] = required


Pointers = frozenset[str]
"""References that have been followed."""


def resolved(node: Json, root: Json, seen: Pointers) -> tuple[Json, Pointers]:
    """The node with its reference and its `allOf` merged into it, and the references followed. One in `seen` stays."""
    while True:
        pointer = node.get("$ref")
        if pointer is not None and pointer not in seen:
            seen |= {pointer}
            node = repaired(merge(without(node, "$ref"), repaired(resolve(root, pointer))))
        elif "allOf" in node:
            node, seen = all_of_merged(node, root, seen)
        else:
            return node, seen


def all_of_merged(node: Json, root: Json, seen: Pointers) -> tuple[Json, Pointers]:
    """The node with the branches of its `allOf` merged into it, and the references followed; its own keywords win."""
    merged, followed = without(node, "allOf"), seen
    for branch in node["allOf"]:
        part, pointers = resolved(repaired(branch), root, seen)
        merged, followed = merge(merged, without(part, "$ref")), followed | pointers
    return repaired(merged), followed


def merge(first: Json, second: Json) -> Json:
    """Merge two schemas; the first wins where they disagree. Properties and required names are united."""
    merged = {**second, **first}
    for key in ("properties", "$defs", "definitions"):
        if key in first and key in second:
            merged[key] = {**object_of(second[key]), **object_of(first[key])}
    if "required" in first and "required" in second:
        merged["required"] = list(dict.fromkeys([*array_of(first["required"]), *array_of(second["required"])]))
    return merged


def union(schema: Json, branches: list[Json], *, every: bool) -> Json:
    """The schema with the properties of all `branches`; those that all of them require are required.

    With `every`, a value must fit all branches, so what one of them requires is required.
    """
    properties = dict(object_of(schema.get("properties")))
    required = list(array_of(schema.get("required")))
    demands = [array_of(branch.get("required")) for branch in branches]
    for branch in branches:
        properties |= without(object_of(branch.get("properties")), *properties)
    for name in dict.fromkeys(name for demand in demands for name in demand):
        if (every or all(name in demand for demand in demands)) and name not in required:
            required.append(name)
    return {**without(schema, "required"), "properties": properties, **({"required": required} if required else {})}


def without(schema: Json, *keys: str) -> Json:
    """A copy without some members."""
    return {key: value for key, value in schema.items() if key not in keys}


def resolve(root: Json, pointer: Any) -> Json | None:
    """The schema that a local JSON pointer names; None when there is none."""
    if not isinstance(pointer, str) or not pointer.startswith("#"):
        return None
    here: Any = root
    for step in pointer[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict):
            here = here.get(name, here.get("definitions") if name == "$defs" else None)
        elif isinstance(here, list) and re.fullmatch(r"\d{1,6}", name) and int(name) < len(here):
            here = here[int(name)]
        else:
            return None
    anchored = pointer != "#" and not pointer.startswith("#/")
    return here if isinstance(here, dict) and not anchored else None


def with_root_resolved(schema: Json) -> Json:
    """The schema that a `$ref` at the root points at, merged with its neighbours."""
    target = resolve(schema, schema.get("$ref"))
    return schema if target is None or target is schema else merge(without(schema, "$ref"), target)

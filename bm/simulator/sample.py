"""A value that fits a JSON schema: what a forced tool is called with, and what structured output holds."""

from __future__ import annotations

from typing import Any

_PLAIN: dict[str, Any] = {"string": "simulated", "integer": 1, "number": 1.5, "boolean": True, "null": None}
_DEEPEST = 12


def sample(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """The smallest obvious value of `schema`: required properties only, the first of each choice."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return "simulated"
    if isinstance(reference := schema.get("$ref"), str):
        return sample(_resolve(reference, root), root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf", "allOf"):
        if schema.get(choice):
            return sample(schema[choice][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = str(kind[0] if isinstance(kind, list) and kind else kind).lower()
    if kind == "object":
        properties = schema.get("properties") or {}
        names = [name for name in schema.get("required") or [] if name in properties]
        return {name: sample(properties[name], root, depth + 1) for name in names}
    if kind == "array":
        return [sample(schema.get("items"), root, depth + 1)] * max(1, int(schema.get("minItems") or 1))
    return _PLAIN.get(kind, "simulated")


def _resolve(reference: str, root: Any) -> Any:
    value = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(value, dict):
            value = value.get(step)
    return value

"""Schemas of structured output as Anthropic takes them: every object closed."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json
from bm.protocols.object_schema import BRANCHES, NAMED, NESTED


def closed(schema: Any) -> Any:
    """A copy whose objects say `additionalProperties: false`, which structured output demands of every object."""
    if not isinstance(schema, dict):
        return schema
    copy: Json = {}
    for name, value in schema.items():
        if name in NAMED and isinstance(value, dict):
            copy[name] = {key: closed(child) for key, child in value.items()}
        elif name in NESTED:
            copy[name] = closed(value)
        elif name in (*BRANCHES, "prefixItems") and isinstance(value, list):
            copy[name] = [closed(child) for child in value]
        else:
            copy[name] = value
    if (copy.get("type") == "object" or "properties" in copy) and copy.get("additionalProperties") in (None, True):
        copy["additionalProperties"] = False
    return copy

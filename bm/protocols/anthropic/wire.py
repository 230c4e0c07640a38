"""What all of this protocol's files need: its name, and cache marks both ways."""

from __future__ import annotations

from bm.chat.parts import CacheMark, Json
from bm.names import ProtocolName
from bm.protocols.reading import mapping, string

PROTOCOL: ProtocolName = "anthropic"


def cache_mark(block: Json, place: str) -> CacheMark | None:
    """The `cache_control` of a block, tool or system text."""
    value = mapping(block, "cache_control", place)
    return None if value is None else CacheMark(string(value, "ttl", f"{place}.cache_control"))


def cache_control(mark: CacheMark) -> Json:
    """A mark as the wire has it."""
    return {"type": "ephemeral", "ttl": mark.ttl} if mark.ttl else {"type": "ephemeral"}

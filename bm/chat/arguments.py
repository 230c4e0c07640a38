"""The arguments of a call, which travel as JSON text."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import UNREADABLE
from bm.surrogates import without_halves


def parse_arguments(raw: str) -> Json:
    """The object in a call's argument text. Every protocol demands one, so any other text is its member `input`."""
    arguments = parsed_arguments(raw)
    return {"input": raw.encode("utf-8", "replace").decode()} if arguments is None else arguments


def parsed_arguments(raw: str) -> Json | None:
    """The object in a call's argument text, {} for no arguments; None for anything else.

    Some compatible servers encode the object twice.
    """
    try:
        value = _decoded(raw)
        if isinstance(value, str):
            value = _decoded(value)
    except UNREADABLE:
        return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def _decoded(text: str) -> Any:
    if not text or text.isspace():
        return None
    return msgspec.json.decode(without_halves(text.encode()) if "\\u" in text else text)

"""The outline of bm that completion reads: its commands with their options, and the names and settings it knows.

It is made from the commands themselves, which takes longer than a completion may, and is kept beside their compiled
modules until one of the files it comes from changes.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_SOURCES = ("cli", "config", "providers", "clients")
"""The rooms that the outline is made from."""


_loaded: dict[str, Any] = {}


def known() -> dict[str, Any]:
    """The outline as it was loaded."""
    return _loaded


def load(make: Callable[[], dict[str, Any]]) -> None:
    """Load the outline that was kept; if it is out of date or cannot be read, make it and keep it."""
    at = _latest_change()
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = json.loads(_kept().read_bytes())
        if found["at"] == at:
            _loaded.update(found)
            return
    made = make() | {"at": at}
    _loaded.update(made)
    with suppress(OSError):
        _keep(made)


def prefixed(provider: str, model: str) -> str:
    """A model as it is typed: those of Gemini and Anthropic are known by their own names."""
    return model if provider in ("gemini", "anthropic") else f"{provider}:{model}"


def _latest_change() -> list[Any]:
    """The newest file that the outline is made from, and how many there are."""
    times = [
        entry.stat().st_mtime_ns
        for room in _SOURCES
        for entry in os.scandir(_ROOT / room)
        if entry.name.endswith((".py", ".toml"))
    ]
    return [max(times), len(times)]


def _kept() -> Path:
    return Path(__spec__.cached or __file__).parent / f"outline.{sys.implementation.cache_tag}.json"


def _keep(made: dict[str, Any]) -> None:
    path = _kept()
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps(made), encoding="utf-8")
    beside.replace(path)

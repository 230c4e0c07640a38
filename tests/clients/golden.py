"""Golden files: the settings of a tool before and after bm's went in, several files in one.

The first line is the name of the tool; then each file begins with `=== before PATH` or `=== after PATH`. A file that
is listed under only one of them is created or deleted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"
NAMES = {"origin": "http://127.0.0.1:8094", "key": "bm-key-of-the-golden-files"}
_HEAD = re.compile(r"^=== (before|after) (\S+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Golden:
    """One case: the texts by their paths below the home folder."""

    tool: str
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)


def read(name: str) -> Golden:
    """The case of a golden file."""
    tool, *parts = _HEAD.split((FOLDER / name).read_text(encoding="utf-8"))
    case = Golden(tool.strip())
    for side, path, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        (case.before if side == "before" else case.after)[path] = text
    return case


def names() -> list[str]:
    """All golden files."""
    return sorted(file.name for file in FOLDER.iterdir())

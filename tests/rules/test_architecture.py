"""The house is as docs/architecture.md says: rooms, the files of the large ones, and codecs with the same files each.

The files of its own are in the table of `docs/architecture.md`, with the reason.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.source import ROOT

CODECS = ("anthropic", "gemini", "openai_chat", "openai_responses")
COMMON = {"codec", "decode", "encode", "turns", "tools", "thinking"} | {
    "stream_decoder",
    "stream_encoder",
    "usage",
    "errors",
}
MOST_OF_ITS_OWN = 3


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_has_the_common_files_and_few_others(name: str) -> None:
    files = {file.stem for file in (ROOT / "bm/protocols" / name).glob("*.py")} - {"__init__"}
    assert COMMON - files == set()
    own = files - COMMON
    assert len(own) <= MOST_OF_ITS_OWN
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
    documented = set(re.findall(r"`(\w+)`", row.group())) - {name} if row else set()
    assert own - documented == set()


def modules(folder: Path) -> set[str]:
    """The modules in a folder, without `__init__`."""
    return {file.stem for file in folder.glob("*.py")} - {"__init__"}


@pytest.mark.parametrize("room", ["accounts", "gateway", "server"])
def test_every_file_of_a_large_room_is_in_the_architecture(room: str) -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{room}/` \|.*$", page, re.MULTILINE)
    assert modules(ROOT / "bm" / room) == set(re.findall(r"`(\w+)`", row))


def test_every_room_is_in_the_architecture() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = {path.name for path in (ROOT / "bm").iterdir() if (path / "__init__.py").is_file()}
    assert [room for room in sorted(rooms) if not re.search(rf"^\|[^|]*\b{room}\b", page, re.MULTILINE)] == []

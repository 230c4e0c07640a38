"""What no file of the repository may hold: places of one machine, keys, and notes to self."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.rules.source import ROOT, tracked

FORBIDDEN = {
    "a place on one machine": r"/(work|root)/|/tmp/[a-z]+/|/home/(?!user|you)[a-z]+/|/Users/(?!user|you)[a-z]+/",
    "a key": r"sk-ant-api[0-9]{2}-[A-Za-z0-9]{20}|sk-proj-[A-Za-z0-9_-]{24}|AIza[0-9A-Za-z_-]{30}"
    r"|gsk_[A-Za-z0-9]{30}|ya29\.[0-9A-Za-z_-]{30}|-----BEGIN [A-Z ]*PRIVATE KEY-----\n",
    "a note to self": r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b",
}
GENERATED = {"requirements.lock"}


def texts() -> list[Path]:
    """The tracked files that hold text and were written by hand."""
    return [file for file in tracked() if file.name not in GENERATED and b"\0" not in file.read_bytes()[:8192]]


def found(what: str, text: str) -> list[str]:
    """The lines that hold it, with their numbers."""
    starts = [match.start() for match in re.finditer(FORBIDDEN[what], text)]
    return [f"{text.count(chr(10), 0, at) + 1}: {text[at : at + 40]!r}" for at in starts]


@pytest.mark.skipif(not tracked(), reason="no checkout")
@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    holds = {str(file.relative_to(ROOT)): found(what, file.read_text(encoding="utf-8")) for file in texts()}
    assert {name: lines for name, lines in holds.items() if lines} == {}


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a place on one machine", "see /{}/notes".format("work")),
        ("a place on one machine", "/{}/build/x".format("tmp")),
        ("a place on one machine", "/{}/jane/x".format("home")),
        ("a key", "AI" + "za" + "b" * 35),
        ("a key", "gsk" + "_" + "b" * 52),
        ("a key", "sk-ant-" + "api03-" + "b" * 90),
        ("a note to self", "x = 1  # " + "TO" + "DO: later"),
    ],
)
def test_it_is_found_in(what: str, text: str) -> None:
    assert len(found(what, f"first line\n{text}\n")) == 1


@pytest.mark.parametrize("text", ["/tmp", "/home/you/bm", "https://example.com/network/", "sk-ant-…", "hackney"])
def test_harmless_text_is_left_alone(text: str) -> None:
    assert [found(what, text) for what in FORBIDDEN] == [[], [], []]

"""What no file of the repository may hold: places of one machine, keys, notes to self, and words that bm invented."""

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
INVENTED = {
    r"seats?": "candidate",
    r"holders?": "account runtime",
    r"books?|booked|bookings?": "cooldown log, cooldown entry",
    r"ladders?|climb(s|ed|ing)?": "backoff, backoff step",
    r"on trial|trials": "suspect request",
    r"lanes?": "upstream call; pass-through or translated",
    r"told": "reported, delivered",
    r"nudge[sd]?": "retry hint",
    r"omissions?": "media fallback",
    r"alarms?": "deadline",
    r"tapes?": "capture",
    r"hygiene": "sanitize",
    r"mints?|minted": "id factory",
    r"cures?|cured": "remedy",
    r"seams?": "continuation",
    r"rivals?": "override",
    r"rests|resting|(put|puts) to rest": "is cooling down",
    r"out of use": "disabled",
    r"led to bm|lead a tool": "configured to use bm",
    r"by lot|drawn|dice": "chosen at random",
    r"nobody|somebody": "no one is named: say who or what",
    r"acquit(s|ted)?": "roll back",
}
"""Words that stood where the field has its own, and the field's."""
KEPT = {
    "CHANGELOG.md",
    "LICENSE",
    "bm/ledger/database.py",
    "tests/ledger/test_database.py",
    "tests/rules/test_words.py",
}
"""Files that may hold them: history, the migration of what an older version has written, and this list."""

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


@pytest.mark.skipif(not tracked(), reason="no checkout")
@pytest.mark.parametrize("word", INVENTED)
def test_the_word_is_the_fields_own(word: str) -> None:
    pattern = re.compile(rf"(?<![A-Za-z])({word})(?![A-Za-z])", re.IGNORECASE)
    holds = {str(file.relative_to(ROOT)): pattern.search(file.read_text(encoding="utf-8")) for file in texts()}
    found = {name: match.group() for name, match in holds.items() if match and name not in KEPT}
    assert found == {}, f"say {INVENTED[word]}"


@pytest.mark.parametrize("text", ["/tmp", "/home/you/bm", "https://example.com/network/", "sk-ant-…", "hackney"])
def test_harmless_text_is_left_alone(text: str) -> None:
    assert [found(what, text) for what in FORBIDDEN] == [[], [], []]

"""Whoever knows the folder of one codec knows all: the same files for the same jobs, and a few of its own.

The files of its own are in the table of `docs/architecture.md`, with the reason.
"""

from __future__ import annotations

import re

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

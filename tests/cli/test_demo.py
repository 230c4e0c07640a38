"""`bm demo --once`: the whole walk as a person sees it."""

from __future__ import annotations

import re

from bm.config.paths import Paths
from tests.cli.conftest import Bm


def test_the_walk(bm: Bm, paths: Paths) -> None:
    ran = bm("demo", "--once")
    assert ran.code == 0, ran
    served = re.findall(r"^  (?:anthropic|gemini) \d+ of .*$", ran.out, re.MULTILINE)
    assert (served[0], served[1]) == ("  gemini 4 of 4", "  anthropic 3 of 3")
    assert served[3:] == ["  gemini 3 of 3", "  anthropic 3 of 3"]
    assert "another terminal" not in ran.out, "what is about to end invites nobody"
    for protocol in ("Anthropic Messages", "OpenAI Chat", "OpenAI Responses", "Gemini"):
        assert re.search(rf"^  {protocol} +(?:anthropic|gemini) +\w+ +\[simulated .+\] hello$", ran.out, re.MULTILINE)
    assert ran.out.endswith("the demonstration is over; nothing is left of it\n")
    assert not paths.runtime.exists()

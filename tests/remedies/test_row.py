from __future__ import annotations

import re

from bm.remedies.readers import Refusal
from bm.remedies.row import always, do, drops, row
from tests.remedies.heal import CHAT, refused

REFUSAL = Refusal(refused("No."), {}, CHAT)


def test_a_row_finds_its_words_in_any_case_and_over_lines() -> None:
    assert row("Acme", r"never.*again", do("drop", path="n"), CHAT).wording.search("Never\nAGAIN") is not None


def test_a_row_of_one_remedy_and_of_several() -> None:
    match = re.search("", "")
    assert match is not None
    one, two = do("drop", path="a"), do("clamp", None, 8, path="b")
    assert list(row("Acme", "x", one).read(REFUSAL, match)) == [one]
    assert list(row("Acme", "x", always(one, two)).read(REFUSAL, match)) == [one, two]
    assert [each.path for each in drops("a", "b")(REFUSAL, match)] == ["a", "b"]

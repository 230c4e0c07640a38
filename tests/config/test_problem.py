"""The hint that a misspelt word gets."""

from __future__ import annotations

import pytest

from bm.config.problem import nearest


@pytest.mark.parametrize(
    ("word", "hint"),
    [("prot", 'did you mean "port"?'), ("PORT", 'did you mean "port"?'), ("zzz", ""), ("", "")],
)
def test_nearest(word: str, hint: str) -> None:
    assert nearest(word, ["host", "port"]) == hint

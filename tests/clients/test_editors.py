"""Editors: how one that bm cannot set up is set up by a person. What the others get is in the golden files."""

from __future__ import annotations

import pytest

from bm.clients.catalog import BY_NAME
from bm.clients.editors import BY_HAND, EDITORS
from tests.clients.golden import NAMES


@pytest.mark.parametrize("name", BY_HAND)
def test_the_words_for_a_person_need_only_the_address(name: str) -> None:
    text = BY_HAND[name].format(**NAMES)
    assert "{" not in text and NAMES["key"] not in text
    assert name not in BY_NAME


def test_an_editor_is_not_run() -> None:
    assert not any(tool.runs for tool in EDITORS)

"""Call ids that every upstream takes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.protocols.call_ids import clean


@pytest.mark.parametrize("call_id", ["toolu_01", "call-1", "a" * 64])
def test_a_legal_id_stays_as_it_is(call_id: str) -> None:
    assert clean(call_id) == call_id


@given(st.text())
def test_every_id_becomes_legal_and_the_same_each_time(call_id: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", clean(call_id))
    assert clean(call_id) == clean(call_id) == clean(clean(call_id))


@pytest.mark.parametrize(("one", "other"), [("a.b", "a:b"), ("x" * 65, "x" * 66), ("", ".")])
def test_different_ids_stay_different(one: str, other: str) -> None:
    assert clean(one) != clean(other)

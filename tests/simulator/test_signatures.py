"""Signatures know themselves again, in either alphabet, and nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.simulator.signatures import DUMMIES, dummy, issue, known


@given(st.text(), st.sampled_from(["claude", "gemini", "openai"]))
def test_what_was_issued_is_known_in_both_alphabets(content: str, vendor: str) -> None:
    signature = issue(vendor, content)
    assert known(vendor, content, signature)
    assert known(vendor, content, signature.replace("+", "-").replace("/", "_").rstrip("="))


@pytest.mark.parametrize(
    ("vendor", "content", "signature"),
    [
        ("claude", "a", issue("claude", "b")),
        ("claude", "a", issue("gemini", "a")),
        ("claude", "a", ""),
        ("claude", "a", "EqQBCgIYAhIM"),
        ("claude", "a", "not base64!"),
    ],
)
def test_what_was_changed_or_is_foreign_is_not_known(vendor: str, content: str, signature: str) -> None:
    assert not known(vendor, content, signature)


@pytest.mark.parametrize("name", sorted(DUMMIES))
def test_a_dummy_is_one_bare_and_in_base64(name: str) -> None:
    assert dummy(name)
    assert dummy(base64.b64encode(name.encode()).decode())
    assert not dummy(f"{name}x")

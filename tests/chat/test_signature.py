"""Signatures in another vendor's field."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.signature import MARK_BYTES, Signature, unwrap, wrap

words = st.text(st.characters(exclude_characters="\x1f", exclude_categories=["Cs"]))


@given(words, words, words, words)
def test_what_was_wrapped_comes_back(vendor: str, family: str, about: str, value: str) -> None:
    signature = Signature(vendor=vendor, value=value, family=family)
    spelled = wrap(signature, about)
    assert unwrap(spelled) == (signature, about)
    assert base64.b64decode(spelled, validate=True)
    assert spelled.encode().startswith(MARK_BYTES)


@given(words)
def test_the_urlsafe_alphabet_of_googles_sdk_is_understood(value: str) -> None:
    spelled = wrap(Signature("anthropic", value), "next")
    respelled = spelled.replace("+", "-").replace("/", "_").rstrip("=")
    assert unwrap(respelled) == (Signature("anthropic", value), "next")


@pytest.mark.parametrize("text", ["", "c2lnbmVk", "EqoBCkgIARABGAIiQ", "not base64!", wrap(Signature("a", "b"))[:9]])
def test_a_vendors_own_signature_is_left_alone(text: str) -> None:
    assert unwrap(text) is None


def test_signatures_are_compared_by_their_bytes() -> None:
    assert Signature("gemini", "+/+/8w==").spelling == Signature("gemini", "-_-_8w").spelling
    assert Signature("gemini", "AAAA").spelling != Signature("gemini", "AAAB").spelling
    assert Signature("gemini", "AAAA").spelling != Signature("anthropic", "AAAA").spelling

"""Signatures, wrapped and bare."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from bm.chat.parts import Text, Thinking
from bm.chat.signature import Signature, wrap
from bm.protocols.gemini.signatures import DUMMY, decode_signature, encode_signature, spelling
from tests.protocols.gemini.kit import S1, read


@pytest.mark.parametrize("dummy", ["skip_thought_signature_validator", "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="])
def test_the_dummy_is_no_signature(dummy: str) -> None:
    part = read(contents=[{"role": "model", "parts": [{"text": "a", "thoughtSignature": dummy}]}]).turns[0].parts[0]
    assert part == Text("a")


def test_another_vendors_signature_is_unwrapped_in_either_alphabet() -> None:
    claude = Signature("anthropic", "E>>???")
    for spelled in (wrap(claude), wrap(claude).replace("+", "-").replace("/", "_")):
        part = {"text": "hm", "thought": True, "thoughtSignature": spelled}
        assert read(contents=[{"role": "model", "parts": [part]}]).turns[0].parts == (Thinking("hm", claude),)


def test_the_dummy_is_base64_of_googles_word() -> None:
    assert base64.b64decode(DUMMY) == b"skip_thought_signature_validator"


@pytest.mark.parametrize("value", [None, "", 7, {}])
def test_what_is_no_signature(value: Any) -> None:
    assert decode_signature(value) is None


def test_a_client_gets_base64_whoever_signed() -> None:
    assert encode_signature(S1) == S1.value
    wrapped = encode_signature(Signature("anthropic", "not base64!"))
    base64.b64decode(wrapped, validate=True)
    assert decode_signature(wrapped) == Signature("anthropic", "not base64!")


def test_both_alphabets_spell_the_same_bytes() -> None:
    assert spelling(Signature("gemini", "-_-_")) == spelling(Signature("gemini", "+/+/=="))

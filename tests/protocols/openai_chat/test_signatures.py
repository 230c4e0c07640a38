from __future__ import annotations

import pytest

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json
from bm.chat.signature import Signature, wrap
from bm.protocols.openai_chat.signatures import accepts, read_signature, write_signature

OURS = Signature("gemini", "+/+/8w==")


@pytest.mark.parametrize(
    ("holder", "expected"),
    [
        ({"extra_content": {"google": {"thought_signature": "+/+/8w=="}}}, OURS),
        ({"thought_signature": "+/+/8w=="}, OURS),
        ({"extra_content": {"google": {"thought_signature": ""}}}, None),
        ({"extra_content": {"google": None}}, None),
        ({"extra_content": "x"}, None),
        ({}, None),
        (
            {"extra_content": {"google": {"thought_signature": wrap(Signature("anthropic", "v", "f"), "self")}}},
            Signature("anthropic", "v", "f"),
        ),
    ],
)
def test_signatures_are_read(holder: Json, expected: Signature | None) -> None:
    assert read_signature(holder) == expected


def test_a_signature_is_written_as_it_was_read() -> None:
    assert read_signature(write_signature(OURS)) == OURS
    assert write_signature(Signature("anthropic", "v")) == {}
    assert write_signature(None) == {}


def test_a_long_signature_is_not_cut() -> None:
    long = Signature("gemini", "QUJD" * 50_000)
    assert read_signature(write_signature(long)) == long


def test_who_accepts_a_signature() -> None:
    google = Capabilities(family="g3", dialect=Dialect(takes=frozenset({"extra_content"})))
    assert accepts(OURS, google)
    assert accepts(Signature("gemini", "v", "g3"), google)
    assert not accepts(Signature("gemini", "v", "g2"), google)
    assert not accepts(Signature("openai", "v"), google)
    assert not accepts(OURS, Capabilities())
    assert not accepts(None, google)

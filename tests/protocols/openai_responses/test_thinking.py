"""How much to think, and what reasoning items carry."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.parts import Thinking
from bm.chat.signature import Signature, wrap
from bm.protocols.openai_responses.thinking import decode_thinking, reasoning_text
from tests.protocols.openai_responses.samples import CLAUDE, GEMINI, reasoning


@pytest.mark.parametrize(
    ("item", "thinking"),
    [
        (reasoning("gAAAA", "Hm"), Thinking("Hm", Signature("openai", "gAAAA"))),
        (reasoning("gAAAA"), Thinking("", Signature("openai", "gAAAA"))),
        (reasoning("", "Hm"), Thinking("Hm")),
        (reasoning(), None),
        (reasoning(wrap(CLAUDE, "self"), "Hm"), Thinking("Hm", CLAUDE)),
        (reasoning(wrap(CLAUDE, "redacted")), Thinking("", CLAUDE, redacted=True)),
        (reasoning(wrap(GEMINI, "next"), "Hm"), Thinking("Hm")),
        (reasoning(wrap(GEMINI, "next")), None),
    ],
)
def test_reasoning_carries_openais_signature_or_anothers(item: dict[str, Any], thinking: Thinking | None) -> None:
    assert decode_thinking(item) == thinking


def test_the_text_of_reasoning_is_its_summaries_or_what_the_service_shows_instead() -> None:
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    content = [{"type": "reasoning_text", "text": "all"}]
    assert reasoning_text({"summary": summary, "content": content}) == "a\n\nb"
    assert reasoning_text({"summary": [], "content": content}) == "all"
    assert reasoning_text({"summary": None}) == ""

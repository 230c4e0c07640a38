"""Token estimates."""

from __future__ import annotations

import pytest

from bm.chat.estimate import countable, estimate
from bm.chat.parts import Media, Opaque, Part, Text, Thinking, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Tool, Turn

PROSE = "The quick brown fox jumps over the lazy dog. " * 20


def tokens(*parts: Part, tools: tuple[Tool, ...] = (), system: str = "") -> int:
    prompt = (Text(system),) if system else ()
    return estimate(
        ChatRequest(protocol="anthropic", model="m", turns=(Turn("user", parts),), tools=tools, system=prompt)
    )


def test_prose_is_guessed_within_a_third() -> None:
    # 20 sentences of 10 tokens each.
    assert 140 < tokens(Text(PROSE)) < 280


@pytest.mark.parametrize(
    "part",
    [
        Thinking(PROSE),
        ToolCall(id="1", name="x", arguments={"text": PROSE}),
        ToolResult(call_id="1", parts=(Text(PROSE),)),
        Media("document", text=PROSE),
        Media("image", mime="image/png", data="AAAA"),
        Media("document", mime="application/pdf", data="A" * 400_000),
        Media("audio", mime="audio/wav", data="A" * 4_000_000),
        Opaque("anthropic", "server_tool_use", {"text": PROSE}),
    ],
    ids=lambda part: type(part).__name__,
)
def test_everything_in_a_turn_counts(part: Part) -> None:
    assert tokens(part) > tokens() + 100


def test_system_and_tools_count() -> None:
    tool = Tool("search", description=PROSE, schema={"type": "object", "properties": {"q": {"type": "string"}}})
    assert tokens(tools=(tool,)) > tokens() + 100
    assert tokens(system=PROSE) > tokens() + 100


def test_a_long_document_counts_more_than_a_short_one() -> None:
    short, long = (Media("document", mime="application/pdf", data="A" * size) for size in (100_000, 1_000_000))
    assert tokens(long) > tokens(short)


def test_an_empty_request_has_at_least_one_token() -> None:
    assert estimate(ChatRequest(protocol="anthropic", model="m", turns=())) == 1


@pytest.mark.parametrize(
    ("part", "known"),
    [
        (Text("a"), True),
        (Media("document", file_id="file_1"), False),
        (ToolResult("c", (Media("document", file_id="file_1"),)), False),
        (Media("image", file_id="file_1"), True),
        (Media("document", data="QUJD"), True),
    ],
)
def test_an_uploaded_document_may_be_of_any_length(part: Part, known: bool) -> None:
    assert countable(ChatRequest(protocol="anthropic", model="m", turns=(Turn("user", (part,)),))) is known

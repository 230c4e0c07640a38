"""A body of common blocks has an outline, which decides what searching the body would; any other body has none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.signature import Signature, wrap
from bm.protocols.outline import outline_of
from bm.protocols.sanitize import sanitize
from bm.protocols.words import DOCUMENT, IMAGE, MARK, OWN_SIGNATURE, THINKING, TOOL_CHOICE, TOOLS, words_of
from tests.support.shared import corpus_cases, needs_corpus

MARKED = {"cache_control": {"type": "ephemeral"}}
TEXT = {"type": "text", "text": "Hi"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"type": "image", "tools": [{}]}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [TEXT], "is_error": False}
THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "EqRk"}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}
PAGES = {"type": "document", "source": {"type": "content", "content": [TEXT | MARKED]}, "title": "Pages"}
TOOL = {"name": "f", "description": "Does.", "input_schema": {"properties": {"cache_control": {"type": "document"}}}}


def body(*blocks: Any, **members: Any) -> bytes:
    said = {"role": "user", "content": list(blocks) or "Hi"}
    return json.dumps({"model": "m", "max_tokens": 9, "messages": [said], **members}).encode()


@pytest.mark.parametrize(
    ("request_body", "words"),
    [
        (body(), set()),
        (body(TEXT, RESULT, system="Be.", stream=None, metadata={"user_id": "u"}), set()),
        (body(CALL, tools=[TOOL]), {TOOLS}),
        (body(tools=[]), set()),
        (body(tools=[TOOL], tool_choice={"type": "any"}), {TOOLS, TOOL_CHOICE}),
        (body(THOUGHT), {THINKING}),
        (body(thinking={"type": "adaptive"}), {THINKING}),
        (body(THOUGHT | {"signature": wrap(Signature("gemini", "x"))}), {THINKING, OWN_SIGNATURE}),
        (body(TEXT | MARKED), {MARK}),
        (body(RESULT | {"content": [TEXT | MARKED]}), {MARK}),
        (body(RESULT | MARKED), {MARK}),
        (body(system=[TEXT | MARKED]), {MARK}),
        (body(tools=[TOOL | MARKED]), {TOOLS, MARK}),
        (body(PICTURE), {IMAGE, b'"image/', b'"base64"'}),
        (body(RESULT | {"content": [PICTURE | MARKED]}), {IMAGE, b'"image/', b'"base64"', MARK}),
        (body(RESULT | {"content": [{"type": "tool_reference", "tool_name": "f"}]}), set()),
        (body(PAGES), {DOCUMENT, MARK}),
        (body({"type": "text", "text": 'say "image" and "cache_control"'}), set()),
    ],
)
def test_the_words_of_common_bodies(request_body: bytes, words: set[bytes]) -> None:
    outline = outline_of(request_body)
    assert outline is not None and outline.words == words <= words_of(request_body)


@pytest.mark.parametrize(
    "request_body",
    [
        body({"type": "document", "source": {}, "citations": {"enabled": True}}),
        body({"type": "redacted_thinking", "data": "x"}),
        body(THOUGHT | MARKED),
        body(THOUGHT | {"signature": None}),
        body(TEXT | {"citations": []}),
        body({"type": "from_next_week"}),
        body({"text": "without a type"}),
        body(tools=[{"type": "web_search_20260209", "name": "web_search", "blocked_domains": []}]),
        body(mcp_servers=[]),
        body(cache_control=MARKED["cache_control"]),
        body(model=5),
        b'{"messages":[{"role":"user","content":"Hi","name":"x"}]}',
        b'{"messages":' + b"[" * 100_000,
        b"[]",
        b"",
    ],
    ids=lambda found: repr(found[:60]),
)
def test_what_is_less_common_has_no_outline(request_body: bytes) -> None:
    assert outline_of(request_body) is None


@pytest.mark.corpus
@needs_corpus
def test_real_requests_are_handled_as_if_they_had_none() -> None:
    seen = 0
    for case in corpus_cases("anthropic.messages"):
        sent = json.dumps(case.request_body).encode()
        if (outline := outline_of(sent)) is None:
            continue
        seen += 1
        assert outline.words <= words_of(sent), case
        for claude in (True, False):
            alike = [
                sanitize("anthropic", sent, cache_control="keep", claude=claude, words=words, outline=known)
                for words, known in ((None, None), (outline.words, outline))
            ]
            assert alike[0] == alike[1], case
    assert seen > 100

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.parts import CacheMark
from bm.protocols.anthropic.cache_control import MAX_MARKS, decode_mark, encode_mark, with_legal_marks
from bm.protocols.outline import outline_of

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
OWN = {"type": "thinking", "thinking": "hm", "signature": "EqRk"}
TEXT = {"type": "text", "text": "Hi"}


def legal(body: dict[str, Any], *, strip: bool = False) -> Any:
    data = json.dumps(body).encode()
    result = with_legal_marks(data, strip=strip)
    if not strip and (outline := outline_of(data)):
        assert outline.has_legal_marks == (result is data), "its outline says otherwise"
    assert with_legal_marks(result, strip=strip) is result, "not idempotent"
    return json.loads(result)


def messages(*contents: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]}


def marked(block: dict[str, Any], mark: object = MARK) -> dict[str, Any]:
    return {**block, "cache_control": mark}


@pytest.mark.parametrize("strip", [False, True], ids=["repair", "strip"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}',
        b'{"messages":[{"role":"user","content":"say \\"cache_control\\""}]}',
        b"",
    ],
)
def test_a_body_without_marks_is_the_same_object(body: bytes, strip: bool) -> None:
    assert with_legal_marks(body, strip=strip) is body


def test_legal_marks_leave_the_body_alone() -> None:
    body = {
        "tools": [marked({"name": "run"}, HOUR)],
        "system": [marked(TEXT, HOUR)],
        **messages([marked(TEXT), marked({**TEXT, "text": "b"})]),
    }
    data = json.dumps(body).encode()
    assert with_legal_marks(data) is data


CALL = {"type": "tool_use", "id": "t", "name": "run", "input": {"cache_control": MARK}}
SCHEMA = {"type": "object", "properties": {"cache_control": {"type": "string"}}}


def test_stripping_takes_every_mark_and_no_argument() -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [TEXT]}
    document = {"type": "document", "source": {"type": "content", "content": [TEXT]}}
    plain = {
        "tools": [{"name": "run", "input_schema": SCHEMA}],
        "system": [TEXT],
        **messages([TEXT], [CALL], [result, document]),
    }
    full = {
        "cache_control": MARK,
        "tools": [marked(plain["tools"][0])],
        "system": [marked(TEXT)],
        **messages(
            [marked(TEXT)],
            [marked(CALL)],
            [
                marked({**result, "content": [marked(TEXT)]}),
                {**document, "source": {"type": "content", "content": [marked(TEXT)]}},
            ],
        ),
    }
    assert legal(full, strip=True) == plain


@pytest.mark.parametrize(
    ("block", "repaired"),
    [
        (marked(OWN), OWN),
        (marked({"type": "redacted_thinking", "data": "x"}), {"type": "redacted_thinking", "data": "x"}),
        (marked({"type": "text", "text": " "}), {"type": "text", "text": " "}),
        (marked(TEXT, {**MARK, "scope": "global"}), marked(TEXT)),
        (marked(TEXT, {**MARK, "ttl": "2h"}), marked(TEXT)),
        (marked(TEXT, {"type": "forever"}), TEXT),
        (marked(TEXT, True), TEXT),
        (marked(TEXT, None), marked(TEXT, None)),
    ],
)
def test_a_mark_that_the_api_refuses_is_repaired(block: dict[str, Any], repaired: dict[str, Any]) -> None:
    assert legal(messages("Hi", [block, TEXT])) == messages("Hi", [repaired, TEXT])


def test_a_deferred_tool_takes_no_mark() -> None:
    tool = {"name": "run", "defer_loading": True}
    assert legal({"tools": [marked(tool)]}) == {"tools": [tool]}


def test_an_hour_after_five_minutes_is_lowered() -> None:
    body = {"system": [marked(TEXT)], **messages([marked(TEXT, HOUR)]), "cache_control": HOUR}
    assert legal(body) == {"system": [marked(TEXT)], **messages([marked(TEXT)]), "cache_control": MARK}


def test_of_too_many_the_oldest_of_the_messages_go_first() -> None:
    body = {
        "cache_control": MARK,
        "tools": [marked({"name": "a"}), marked({"name": "b"})],
        "system": [marked(TEXT), marked(TEXT)],
        **messages([marked(TEXT)], [marked(TEXT)], [marked(TEXT)]),
    }
    assert legal(body) == {
        "cache_control": MARK,
        "tools": [{"name": "a"}, marked({"name": "b"})],
        "system": [TEXT, marked(TEXT)],
        **messages([TEXT], [TEXT], [marked(TEXT)]),
    }


marks = st.sampled_from([MARK, HOUR, {"type": "ephemeral", "ttl": "5m"}, {**MARK, "x": 1}, 7, None])
blocks = st.one_of(st.just(TEXT), st.just(OWN), st.just(CALL), st.builds(marked, st.just(TEXT), marks))


@given(
    st.lists(blocks, max_size=4),
    st.lists(st.lists(blocks, min_size=1, max_size=4), max_size=4),
    st.booleans(),
)
def test_repairing_again_changes_nothing(system: list[Any], contents: list[Any], strip: bool) -> None:
    result = legal({"system": system, **messages(*contents)}, strip=strip)
    held = [block for message in result["messages"] for block in message["content"]]
    valid = [block for block in [*result["system"], *held] if block.get("cache_control") is not None]
    assert len(valid) <= (0 if strip else MAX_MARKS)
    assert held.count(CALL) == sum(content.count(CALL) for content in contents)


@pytest.mark.parametrize(
    ("value", "mark"),
    [({"type": "ephemeral"}, CacheMark()), ({"type": "ephemeral", "ttl": "1h"}, CacheMark("1h"))],
)
def test_a_cache_mark_is_read_and_written(value: dict[str, Any], mark: CacheMark) -> None:
    assert decode_mark({"cache_control": value}, "tools[0]") == mark
    assert encode_mark(mark) == value

""""""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.chat.parts import Json
from bm.chat.signature import Signature, wrap
from bm.protocols.anthropic.cache_control import MAX_MARKS, Policy, clean

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
FOREIGN = {"type": "thinking", "thinking": "hm", "signature": wrap(Signature("gemini", "c2ln"), "next")}
UNSIGNED = {"type": "thinking", "thinking": "hm", "signature": wrap(Signature("bm", ""), "self")}
OWN = {"type": "thinking", "thinking": "hm", "signature": "EqRk"}
TEXT = {"type": "text", "text": "Hi"}


def cleaned(body: dict[str, Any], policy: Policy = "repair") -> Any:
    data = json.dumps(body).encode()
    result = clean(data, policy)
    assert clean(result, policy) is result, "not idempotent"
    return json.loads(result)


def messages(*contents: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]}


def marked(block: dict[str, Any], mark: object = MARK) -> dict[str, Any]:
    return {**block, "cache_control": mark}


@pytest.mark.parametrize("policy", ["keep", "repair", "strip"])
@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}',
        b'{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"EqRk"}]}]}',
        b'{"messages":[{"role":"user","content":"say \\"cache_control\\""}]}',
        b'["cache_control"]',
        b'{"cache_control"',
        b"",
    ],
)
def test_a_clean_body_is_the_same_object(body: bytes, policy: Policy) -> None:
    assert clean(body, policy) is body


def test_legal_marks_leave_the_body_alone() -> None:
    body = {
        "tools": [marked({"name": "run"}, HOUR)],
        "system": [marked(TEXT, HOUR)],
        **messages([marked(TEXT), marked({**TEXT, "text": "b"})]),
    }
    data = json.dumps(body).encode()
    assert clean(data, "repair") is data
    assert clean(data, "keep") is data


@pytest.mark.parametrize("foreign", [FOREIGN, UNSIGNED], ids=["signed", "unsigned"])
def test_foreign_thinking_goes_and_claudes_own_stays(foreign: dict[str, Any]) -> None:
    body = messages("Hi", [foreign, TEXT], "And?", [OWN, foreign, TEXT])
    assert cleaned(body) == messages("Hi", [TEXT], "And?", [OWN, TEXT])


def test_a_message_that_held_nothing_else_goes_too() -> None:
    assert cleaned(messages("Hi", [FOREIGN], "Hello?")) == {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Hello?"}]
    }


def test_text_that_only_looks_like_a_signature_stays() -> None:
    body = messages([{"type": "text", "text": FOREIGN["signature"]}], FOREIGN["signature"])
    assert cleaned(body) == body


def test_bytes_outside_a_change_stay_as_they_are() -> None:
    odd = '{ "role" : "user",  "content" : "1.0 \\u00e4 \\/" }'
    holder = json.dumps({"role": "assistant", "content": [FOREIGN, TEXT]})
    tail = '"max_tokens":100.0,"model":"a"'
    result = clean(f'{{"messages":[{odd},{holder}],{tail}}}'.encode(), "keep").decode()
    assert odd in result and json.dumps(TEXT) in result and result.endswith(tail + "}")


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
    assert cleaned(full, "strip") == plain


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
def test_a_mark_that_the_api_refuses_is_mended(block: dict[str, Any], repaired: dict[str, Any]) -> None:
    assert cleaned(messages("Hi", [block, TEXT])) == messages("Hi", [repaired, TEXT])


def test_a_deferred_tool_takes_no_mark() -> None:
    tool = {"name": "run", "defer_loading": True}
    assert cleaned({"tools": [marked(tool)]}) == {"tools": [tool]}


def test_an_hour_after_five_minutes_is_lowered() -> None:
    body = {"system": [marked(TEXT)], **messages([marked(TEXT, HOUR)]), "cache_control": HOUR}
    assert cleaned(body) == {"system": [marked(TEXT)], **messages([marked(TEXT)]), "cache_control": MARK}


def test_of_too_many_the_oldest_of_the_messages_go_first() -> None:
    body = {
        "cache_control": MARK,
        "tools": [marked({"name": "a"}), marked({"name": "b"})],
        "system": [marked(TEXT), marked(TEXT)],
        **messages([marked(TEXT)], [marked(TEXT)], [marked(TEXT)]),
    }
    assert cleaned(body) == {
        "cache_control": MARK,
        "tools": [{"name": "a"}, marked({"name": "b"})],
        "system": [TEXT, marked(TEXT)],
        **messages([TEXT], [TEXT], [marked(TEXT)]),
    }


marks = st.sampled_from([MARK, HOUR, {"type": "ephemeral", "ttl": "5m"}, {**MARK, "x": 1}, 7, None])
blocks = st.one_of(
    st.just(TEXT), st.just(OWN), st.just(FOREIGN), st.just(CALL), st.builds(marked, st.just(TEXT), marks)
)


@given(
    st.lists(blocks, max_size=4),
    st.lists(st.lists(blocks, min_size=1, max_size=4), max_size=4),
    st.sampled_from(["keep", "repair", "strip"]),
)
def test_cleaning_again_changes_nothing(system: list[Any], contents: list[Any], policy: Policy) -> None:
    result = cleaned({"system": system, **messages(*contents)}, policy)
    held = [block for message in result["messages"] for block in message["content"]]
    assert FOREIGN not in held
    valid = [block for block in [*result["system"], *held] if block.get("cache_control") is not None]
    assert policy == "keep" or len(valid) <= (MAX_MARKS if policy == "repair" else 0)
    assert held.count(CALL) == sum(content.count(CALL) for content in contents)


def looping(first: Json | None, *, thinking: Json, **members: Any) -> bytes:
    """A request in the middle of a tool loop, whose last message of the assistant begins with `first`."""
    use = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [*([first] if first else []), use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]},
    ]
    return json.dumps({"model": "m", "thinking": thinking, "messages": messages, **members}).encode()


BUDGET: Json = {"type": "enabled", "budget_tokens": 4096}
CLAUDES: Json = {"type": "thinking", "thinking": "hm", "signature": "EqQB"}
GEMINIS: Json = {"type": "thinking", "thinking": "", "signature": wrap(Signature("gemini", "c2ln"), "next")}


@pytest.mark.parametrize("first", [None, GEMINIS, {"type": "text", "text": "Let me see."}])
def test_a_loop_that_another_model_began_goes_on_without_thinking(first: Json | None) -> None:
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    body = json.loads(clean(looping(first, thinking=BUDGET, context_management={"edits": edits}), "keep"))
    assert "thinking" not in body and body["context_management"] == {"edits": edits[1:]}
    alone = json.loads(clean(looping(first, thinking=BUDGET, context_management={"edits": edits[:1]}), "keep"))
    assert not {"thinking", "context_management"} & alone.keys()


@pytest.mark.parametrize(
    "body",
    [
        looping(CLAUDES, thinking=BUDGET),
        looping({"type": "redacted_thinking", "data": "EqQB"}, thinking=BUDGET),
        looping(None, thinking={"type": "adaptive"}),
        looping(None, thinking={"type": "disabled"}),
        looping(None, thinking=BUDGET).replace(b"tool_result", b"text"),
    ],
)
def test_thinking_stays_where_it_may(body: bytes) -> None:
    assert clean(body, "keep") is body

"""What an upstream of the client's own protocol would refuse does not reach it."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from bm.chat.parts import Json
from bm.chat.signature import Signature, wrap
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.gemini.thinking import DUMMY
from bm.protocols.outline import outline_of
from bm.protocols.sanitize import is_unpaired, sanitize
from tests.protocols.pair import HI, asks, continued, reported, whole

FOREIGN = wrap(Signature("anthropic", "c2lnbmVk"), "next")
THOUGHT: Json = {"type": "thinking", "thinking": "hm", "signature": wrap(Signature("gemini", "c2ln"), "next")}
UNSIGNED: Json = {"type": "thinking", "thinking": "hm", "signature": wrap(Signature("bm", ""), "self")}
CLAUDES: Json = {"type": "thinking", "thinking": "hm", "signature": "EqRk"}
TEXT: Json = {"type": "text", "text": "Hi"}


def through(protocol: ProtocolName, body: Any, **options: Any) -> Any:
    return json.loads(sanitize(protocol, json.dumps(body).encode(), **({"cache_control": "strip"} | options)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("cache_control", ["keep", "strip"])
@pytest.mark.parametrize(
    "body",
    [
        b'{ "model":"m",\n "messages" : [ ] }',
        b'{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"EqRk"}]}]}',
        b'["cache_control"]',
        b'{"cache_control"',
        b"not json",
        b"\xff",
        b"",
    ],
)
def test_a_body_without_any_of_it_is_the_same_object(
    protocol: ProtocolName, body: bytes, cache_control: Literal["keep", "strip"]
) -> None:
    assert sanitize(protocol, body, cache_control=cache_control) is body


def test_cache_marks_go_where_an_upstream_takes_none() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    part = {"type": "text", "text": "hi"}
    body = {
        "messages": [{"role": "user", "content": [part | mark]} | mark],
        "tools": [{"type": "function"} | mark],
    } | mark
    assert through("openai-chat", body) == {
        "messages": [{"role": "user", "content": [part]}],
        "tools": [{"type": "function"}],
    }
    assert through("openai-chat", body, cache_control="keep") == body


def test_an_argument_of_that_name_is_not_touched() -> None:
    schema = {"type": "object", "properties": {"cache_control": {"type": "string"}}}
    body = {"messages": [], "tools": [{"type": "function", "function": {"name": "x", "parameters": schema}}]}
    assert through("openai-chat", body) == body


def test_extra_content_goes_where_it_is_not_known() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    call = {"id": "1", "type": "function", "function": {"name": "x", "arguments": "{}"}}
    body = {"messages": [{"role": "assistant", "tool_calls": [call | extra]} | extra]}
    assert through("openai-chat", body, extra_content=False) == {
        "messages": [{"role": "assistant", "tool_calls": [call]}]
    }
    assert through("openai-chat", body, extra_content=True) == body


def test_gemini_gets_its_stand_in_for_the_signature_of_another_vendor() -> None:
    parts = [
        {"text": "hm", "thought": True, "thoughtSignature": FOREIGN},
        {"functionCall": {"name": "x", "args": {}}, "thoughtSignature": FOREIGN},
        {"functionCall": {"name": "y", "args": {}}, "thoughtSignature": "c2ln"},
    ]
    reported = through("gemini", {"contents": [{"role": "model", "parts": parts}]})["contents"][0]["parts"]
    assert reported[1]["thoughtSignature"] == DUMMY
    assert reported[2] == parts[2]
    assert all(FOREIGN not in json.dumps(part) for part in reported)


def test_openai_gets_no_reasoning_that_it_cannot_decrypt() -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    foreign = own | {"encrypted_content": FOREIGN}
    message = {"role": "user", "content": "hi"}
    assert through("openai-responses", {"input": [message, foreign, own]}) == {"input": [message, own]}


def test_openai_gets_as_text_what_another_vendors_model_wrote_to_a_sub_agent() -> None:
    secret = {"type": "encrypted_content", "encrypted_content": "gAAAA"}
    plain = {"type": "encrypted_content", "encrypted_content": "Say banana."}
    items = [{"type": "agent_message", "content": [part]} for part in (secret, plain)]
    sent = through("openai-responses", {"input": items})["input"]
    assert sent == [items[0], {"type": "agent_message", "content": [{"type": "input_text", "text": "Say banana."}]}]
    body = json.dumps({"input": items[:1]}).encode()
    assert sanitize("openai-responses", body, cache_control="keep") is body


def claude_bytes(body: bytes) -> bytes:
    found = sanitize("anthropic", body, cache_control="keep")
    if outline := outline_of(body):
        assert sanitize("anthropic", body, cache_control="keep", words=outline.words, outline=outline) == found
    return found


def claude(body: Json) -> Any:
    data = json.dumps(body).encode()
    result = claude_bytes(data)
    assert claude_bytes(result) is result, "not idempotent"
    return json.loads(result)


def messages(*contents: Any) -> Json:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]}


@pytest.mark.parametrize("foreign", [THOUGHT, UNSIGNED], ids=["signed", "unsigned"])
def test_foreign_thinking_goes_and_claudes_own_stays(foreign: Json) -> None:
    body = messages("Hi", [foreign, TEXT], "And?", [CLAUDES, foreign, TEXT])
    assert claude(body) == messages("Hi", [TEXT], "And?", [CLAUDES, TEXT])


@pytest.mark.parametrize(
    "signature",
    ["", "8f14e45f-ceea-467f-a0e6-0b1f1c1f1c1f", "0123456789abcdef" * 4, None, "<none>"],
    ids=["empty", "uuid", "hex", "null", "text"],
)
def test_thinking_that_claude_has_not_signed_goes(signature: str | None) -> None:
    foreign = {"type": "thinking", "thinking": "hm", "signature": signature}
    body = messages("Hi", [foreign, TEXT], "And?", [CLAUDES, TEXT])
    assert claude(body) == messages("Hi", [TEXT], "And?", [CLAUDES, TEXT])
    data = json.dumps(body).encode()
    assert sanitize("anthropic", data, cache_control="keep", claude=False) is data


def test_thinking_without_any_signature_goes() -> None:
    body = messages("Hi", [{"type": "thinking", "thinking": "hm"}, TEXT], "And?", [CLAUDES, TEXT])
    assert claude(body) == messages("Hi", [TEXT], "And?", [CLAUDES, TEXT])


LINE = "x-anthropic-billing-header: cc_version=2.1.100.7b4; cch=eb6c6;"


@pytest.mark.parametrize(
    ("system", "left"),
    [
        (f"{LINE}\nYou are.", "You are."),
        (LINE, None),
        (
            [{"type": "text", "text": LINE}, {"type": "text", "text": "You are."}],
            [{"type": "text", "text": "You are."}],
        ),
        ([{"type": "text", "text": f"{LINE}\n\nYou are."}], [{"type": "text", "text": "You are."}]),
        (f"Never write {LINE}", f"Never write {LINE}"),
    ],
)
def test_other_models_do_not_get_claude_codes_attribution(system: Any, left: Any) -> None:
    body = messages("Hi") | {"system": system}
    result = json.loads(sanitize("anthropic", json.dumps(body).encode(), cache_control="keep", claude=False))
    assert result.get("system") == left
    assert claude(body) == body


def test_a_message_that_held_nothing_else_goes_too() -> None:
    assert claude(messages("Hi", [THOUGHT], "Hello?")) == {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Hello?"}]
    }


def test_text_that_only_looks_like_a_signature_stays() -> None:
    body = messages([{"type": "text", "text": THOUGHT["signature"]}], THOUGHT["signature"])
    assert claude(body) == body


def test_bytes_outside_a_change_stay_as_they_are() -> None:
    odd = '{ "role" : "user",  "content" : "1.0 \\u00e4 \\/" }'
    owner = json.dumps({"role": "assistant", "content": [THOUGHT, TEXT]})
    tail = '"max_tokens":100.0,"model":"a"'
    result = claude_bytes(f'{{"messages":[{odd},{owner}],{tail}}}'.encode()).decode()
    assert odd in result and json.dumps(TEXT) in result and result.endswith(tail + "}")


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


@pytest.mark.parametrize("first", [None, THOUGHT, {"type": "text", "text": "Let me see."}])
def test_a_loop_that_another_model_began_goes_on_without_thinking(first: Json | None) -> None:
    edits = [{"type": "clear_thinking_20251015", "keep": "all"}, {"type": "clear_tool_uses_20250919"}]
    body = json.loads(claude_bytes(looping(first, thinking=BUDGET, context_management={"edits": edits})))
    assert "thinking" not in body and body["context_management"] == {"edits": edits[1:]}
    alone = json.loads(claude_bytes(looping(first, thinking=BUDGET, context_management={"edits": edits[:1]})))
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
    assert claude_bytes(body) is body


@pytest.mark.parametrize("protocol", ["openai-chat", "openai-responses"])
def test_a_choice_among_no_tools_is_removed_where_it_is_refused(protocol: ProtocolName) -> None:
    for choice in ("auto", "none"):
        body = {"model": "m", "tools": [], "tool_choice": choice, "parallel_tool_calls": False}
        assert through(protocol, body, lone_choice=False) == {"model": "m", "tools": []}
        assert through(protocol, body) == body
    tools = {"tools": [{"type": "function"}], "tool_choice": "auto"}
    assert through(protocol, tools, lone_choice=False) == tools
    demanded = {"tool_choice": "required"}
    assert through(protocol, demanded, lone_choice=False) == demanded


@pytest.mark.parametrize("spelled", ['"allowed_domains":[]', '"blocked_domains" : [ ]'])
def test_an_empty_list_of_domains_does_not_reach_claude(spelled: str) -> None:
    body = b'{"model":"m","tools":[{"type":"web_search_20250305","name":"web_search",%b}],"messages":[]}'
    clean = json.loads(claude_bytes(body % spelled.encode()))
    assert clean["tools"] == [{"type": "web_search_20250305", "name": "web_search"}]


@pytest.mark.parametrize(
    ("parts", "kinds"),
    [
        ([{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}], ["tool_use"]),
        ([{"text": "hm", "thought": True}, {"text": "A"}], ["text"]),
    ],
)
def test_what_gemini_thought_is_recognized_in_the_clients_next_request(parts: list[Json], kinds: list[str]) -> None:
    body = {**HI["anthropic"], "thinking": {"type": "adaptive"}, "tools": [{"name": "f", "input_schema": {}}]}
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    answer = whole(asks("anthropic", body), reported("gemini", [{"candidates": [candidate]}]))
    following = continued("anthropic", body, answer)
    assert any(block["type"] == "thinking" for block in following["messages"][1]["content"])
    assert [block["type"] for block in claude(following)["messages"][1]["content"]] == kinds


@pytest.mark.parametrize(
    ("parts", "unpaired"),
    [
        ([], False),
        ([{"functionCall": {"name": "f"}}, {"functionResponse": {"name": "f"}}], False),
        ([{"functionCall": {"name": "f"}}, {"function_response": {"name": "f"}}], False),
        ([{"functionCall": {"name": "f"}}], True),
        ([{"functionCall": {"name": "f"}}, *[{"functionResponse": {"name": "f"}}] * 2], True),
        ([{"text": 'What is a "functionCall"?'}], False),
    ],
)
def test_results_without_their_calls_and_calls_without_their_results(parts: list[Any], unpaired: bool) -> None:
    body = json.dumps({"contents": [{"parts": parts}]}).encode()
    assert is_unpaired("gemini", body) == unpaired
    assert not is_unpaired("anthropic", body)

"""What must not reach an upstream of the client's own protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm.chat.signature import Signature, wrap
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.gemini.thinking import DUMMY
from bm.protocols.hygiene import cleaned

FOREIGN = wrap(Signature("anthropic", "c2lnbmVk"), "next")


def through(protocol: ProtocolName, body: Any, **options: Any) -> Any:
    return json.loads(cleaned(protocol, json.dumps(body).encode(), **({"cache_control": "strip"} | options)))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("body", [b'{ "model":"m",\n "messages" : [ ] }', b"not json", b"\xff", b'["a"]', b""])
def test_a_body_without_any_of_it_is_the_same_bytes(protocol: ProtocolName, body: bytes) -> None:
    assert cleaned(protocol, body, cache_control="keep") == body


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
    told = through("gemini", {"contents": [{"role": "model", "parts": parts}]})["contents"][0]["parts"]
    assert told[1]["thoughtSignature"] == DUMMY
    assert told[2] == parts[2]
    assert all(FOREIGN not in json.dumps(part) for part in told)


def test_openai_gets_no_reasoning_that_it_cannot_decrypt() -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    foreign = own | {"encrypted_content": FOREIGN}
    message = {"role": "user", "content": "hi"}
    assert through("openai-responses", {"input": [message, foreign, own]}) == {"input": [message, own]}


def test_claude_gets_no_thinking_that_it_did_not_sign() -> None:
    thinking = {"type": "thinking", "thinking": "hm", "signature": FOREIGN}
    text = {"type": "text", "text": "so"}
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [thinking, text]}]
    told = through("anthropic", {"messages": messages}, cache_control="keep")
    assert told["messages"][1]["content"] == [text]

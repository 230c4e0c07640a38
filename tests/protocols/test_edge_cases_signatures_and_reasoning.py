"""Thinking, its signatures and how much of it: what holds for every pair of protocols."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai import types

from bm.chat.events import Event
from bm.chat.parts import Json
from bm.chat.signature import Signature, unwrap, wrap
from bm.gateway.stores import SignatureStore
from bm.names import ProtocolName
from bm.protocols.gemini.thinking import DUMMY
from bm.protocols.passthrough import Watch
from bm.protocols.sanitize import sanitize
from tests.protocols.pair import GROQ, HI, asks, check, continued, hello, reported, sent, streamed, whole

GEMINI_3 = "gemini-3.1-pro-preview"
SIGNED = base64.b64encode(b"a thought of Gemini's").decode()
CARRIERS: tuple[ProtocolName, ...] = ("anthropic", "openai-chat", "openai-responses", "gemini")
FUNCTIONS: dict[ProtocolName, Json] = {
    "anthropic": {
        "thinking": {"type": "adaptive"},
        "tools": [{"name": name, "input_schema": {"type": "object"}} for name in "fg"],
    },
    "openai-chat": {"tools": [{"type": "function", "function": {"name": name}} for name in "fg"]},
    "openai-responses": {
        "include": ["reasoning.encrypted_content"],
        "store": False,
        "tools": [{"type": "function", "name": name, "parameters": {}} for name in "fg"],
    },
    "gemini": {"tools": [{"functionDeclarations": [{"name": name} for name in "fg"]}]},
}


def chunk(*parts: Json, finish: str = "") -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}


def call(name: str, signature: str = "") -> Json:
    part: Json = {"functionCall": {"name": name, "args": {}}}
    return part | ({"thoughtSignature": signature} if signature else {})


def answered(client: ProtocolName, body: Json, events: list[Event]) -> Json:
    return continued(client, body, whole(asks(client, body), events))


def signatures(body: Json) -> list[Any]:
    """What each call in a Gemini request carries, in order."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part.get("thoughtSignature") for part in parts if "functionCall" in part]


@pytest.mark.parametrize("client", CARRIERS)
def test_1_of_parallel_calls_the_first_alone_carries_the_signature_back(client: ProtocolName) -> None:
    events = reported("gemini", [chunk(call("f", SIGNED), call("g"), finish="STOP")])
    body = answered(client, {**HI[client], **FUNCTIONS[client]}, events)
    assert signatures(sent(asks(client, body), "gemini", GEMINI_3).body) == [SIGNED, None]


@pytest.mark.parametrize("client", CARRIERS)
def test_2_each_step_of_a_turn_keeps_its_own_signature(client: ProtocolName) -> None:
    body = {**HI[client], **FUNCTIONS[client]}
    own = [base64.b64encode(b"step %d" % step).decode() for step in range(3)]
    for step, signature in enumerate(own):
        events = reported("gemini", [chunk(call("f" if step else "g", signature), finish="STOP")])
        body = answered(client, body, events)
    assert signatures(sent(asks(client, body), "gemini", GEMINI_3).body) == own


CLAUDES_LOOP: list[Json] = [
    {"role": "user", "content": "Hi"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Q2xhdWRl"},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
            {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": f"toolu_{n}", "content": "ok"} for n in (1, 2)],
    },
]


def test_3_a_loop_that_claude_began_gets_the_dummy_and_none_of_claudes_thinking() -> None:
    body = {**HI["anthropic"], **FUNCTIONS["anthropic"], "messages": CLAUDES_LOOP}
    encoded = sent(asks("anthropic", body), "gemini", GEMINI_3).body
    assert signatures(encoded) == [DUMMY, None]
    assert "Q2xhdWRl" not in json.dumps(encoded) and "hm" not in json.dumps(encoded["contents"])


@pytest.mark.parametrize("parts", [[call("f", SIGNED)], [{"text": "hm", "thought": True}, {"text": "A"}]])
def test_4_what_gemini_thought_is_taken_out_before_claude_and_no_message_stays_empty(parts: list[Json]) -> None:
    body = {**HI["anthropic"], **FUNCTIONS["anthropic"]}
    following = answered("anthropic", body, reported("gemini", [chunk(*parts, finish="STOP")]))
    assert any(block["type"] == "thinking" for block in following["messages"][1]["content"])
    clean = json.loads(sanitize("anthropic", json.dumps(following).encode(), cache_control="keep"))
    kinds = [block["type"] for block in clean["messages"][1]["content"]]
    assert kinds == (["tool_use"] if "functionCall" in parts[0] else ["text"])


def test_5_a_signature_after_the_text_adds_no_block_and_is_kept_by_the_text() -> None:
    events = reported("gemini", [chunk({"text": "A"}), chunk({"text": "", "thoughtSignature": SIGNED}, finish="STOP")])
    request = hello("anthropic", **FUNCTIONS["anthropic"])
    stream = streamed(request, events)
    check(request, stream, complete=True)
    assert stream.count(b"content_block_start\n") == 1 and b'"text":"A"' in stream
    watch, store = Watch(), SignatureStore()
    for event in events:
        watch.see(event)
    store.keep(watch.signatures, "one conversation")
    said = [{"role": "assistant", "content": [{"type": "text", "text": "A"}]}, {"role": "user", "content": "go on"}]
    following = hello("anthropic", messages=[{"role": "user", "content": "Hi"}, *said])
    for conversation, expected in (("one conversation", SIGNED), ("another", None), ("", None)):
        restored = store.sign(following, conversation)
        [part] = sent(restored, "gemini", GEMINI_3).body["contents"][1]["parts"]
        assert (part["text"], part.get("thoughtSignature")) == ("A", expected)


@pytest.mark.parametrize("client", CARRIERS)
def test_6_text_with_a_signature_is_text(client: ProtocolName) -> None:
    events = reported("gemini", [chunk({"text": "answer", "thoughtSignature": SIGNED}, finish="STOP")])
    shown = whole(hello(client, **FUNCTIONS[client]), events)
    match client:
        case "anthropic":
            texts = [block["text"] for block in shown["content"] if block["type"] == "text"]
        case "openai-chat":
            texts = [shown["choices"][0]["message"]["content"]]
        case "openai-responses":
            texts = [item["content"][0]["text"] for item in shown["output"] if item["type"] == "message"]
        case _:
            texts = [part["text"] for part in shown["candidates"][0]["content"]["parts"] if not part.get("thought")]
    assert texts == ["answer"]


def test_7_one_signature_on_text_and_call_is_sent_once_on_the_call() -> None:
    parts = [{"text": "A", "thoughtSignature": SIGNED}, call("f", SIGNED)]
    user = {"role": "user", "parts": [{"text": "Hi"}]}
    back = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "ok"}}}]}
    contents = [user, {"role": "model", "parts": parts}, back]
    encoded = sent(asks("gemini", {"contents": contents}), "gemini", GEMINI_3).body
    assert json.dumps(encoded).count(SIGNED) == 1
    assert signatures(encoded) == [SIGNED]


@pytest.mark.parametrize("client", CARRIERS)
def test_8_a_signature_of_200_kb_survives(client: ProtocolName) -> None:
    long = base64.b64encode(bytes(range(256)) * 600).decode()
    events = reported("gemini", [chunk(call("f", long), finish="STOP")])
    body = answered(client, {**HI[client], **FUNCTIONS[client]}, events)
    assert signatures(sent(asks(client, body), "gemini", GEMINI_3).body) == [long]


def test_8_both_spellings_of_base64_are_one_signature() -> None:
    plain, safe = "+/+/+/8=", "-_-_-_8="
    assert Signature("gemini", plain).spelling == Signature("gemini", safe).spelling
    wrapped = wrap(Signature("anthropic", plain))
    assert unwrap(wrapped.replace("+", "-").replace("/", "_")) == (Signature("anthropic", plain), "")
    parts = [{"text": "A", "thoughtSignature": plain}, call("f", safe)]
    contents = [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": parts}]
    encoded = json.dumps(sent(asks("gemini", {"contents": contents}), "gemini", GEMINI_3).body)
    assert encoded.count("8=") == 1


def test_9_a_signature_is_never_decoded_on_its_way() -> None:
    message = whole(hello("openai-chat"), reported("gemini", [chunk(call("f", "c2ln"), finish="STOP")]))
    [made] = message["choices"][0]["message"]["tool_calls"]
    assert made["extra_content"]["google"]["thought_signature"] == "c2ln"


def test_10_a_conversation_never_gets_the_signature_of_another() -> None:
    store = SignatureStore()
    store.keep({"toolu_9": Signature("gemini", SIGNED)})
    body = {**HI["anthropic"], **FUNCTIONS["anthropic"], "messages": CLAUDES_LOOP}
    assert signatures(sent(store.sign(asks("anthropic", body)), "gemini", GEMINI_3).body) == [DUMMY, None]


def test_11_a_gemini_client_reads_claudes_signature_as_base64() -> None:
    events = reported(
        "anthropic",
        [
            {"type": "message_start", "message": {"id": "msg_1"}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "Eq-_~é"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ],
    )
    asked = hello("gemini", generationConfig={"thinkingConfig": {"includeThoughts": True}})
    shown = whole(asked, events)
    parsed = types.GenerateContentResponse.model_validate(shown)
    assert parsed.candidates and parsed.candidates[0].content and parsed.candidates[0].content.parts
    signed = [part.thought_signature for part in parsed.candidates[0].content.parts if part.thought_signature]
    assert len(signed) == 1 and "Eq-_~é".encode() in signed[0]


def test_12_redacted_thinking_reaches_groq_in_no_form() -> None:
    messages = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "redacted_thinking", "data": "c2VjcmV0"}, {"type": "text", "text": "A"}],
        },
        {"role": "user", "content": "go on"},
    ]
    encoded = sent(asks("anthropic", {**HI["anthropic"], "messages": messages}), "openai-chat", "qwen/qwen3-32b", GROQ)
    assert encoded.body["messages"][1] == {"role": "assistant", "content": "A"}
    assert "c2VjcmV0" not in json.dumps(encoded.body)


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"])
def test_13_a_budget_leaves_room_for_the_answer(model: str) -> None:
    asked = hello("anthropic", max_tokens=16_000, thinking={"type": "enabled", "budget_tokens": 32_000})
    config = sent(asked, "gemini", model).body["generationConfig"]
    assert 0 < config["thinkingConfig"]["thinkingBudget"] < config["maxOutputTokens"] == 16_000


def test_13_a_budget_that_passes_through_stays_as_it_is() -> None:
    body = json.dumps({**HI["anthropic"], "thinking": {"type": "enabled", "budget_tokens": 32_000}}).encode()
    assert sanitize("anthropic", body, cache_control="keep") is body


@pytest.mark.parametrize("model", ["gemini-3-pro-preview", GEMINI_3, "gemini-3.8-flash"])
def test_14_adaptive_thinking_without_an_effort_leaves_the_level_to_gemini(model: str) -> None:
    config = sent(hello("anthropic", thinking={"type": "adaptive"}), "gemini", model).body["generationConfig"]
    assert config["thinkingConfig"] == {"includeThoughts": True}


@pytest.mark.parametrize("model", ["gemini-3-pro-preview", "gemini-3.8-flash", "gemini-2.5-flash", "gemini-2.5-pro"])
@pytest.mark.parametrize(
    "members",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 9_000}, "output_config": {"effort": "low"}},
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        {"output_config": {"effort": "medium"}},
    ],
)
def test_14_level_and_budget_never_stand_together(model: str, members: Json) -> None:
    config = sent(hello("anthropic", **members), "gemini", model).body["generationConfig"]["thinkingConfig"]
    assert len({"thinkingLevel", "thinkingBudget"} & config.keys()) == 1


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("gemini-3-pro-preview", {"thinkingLevel": "LOW", "includeThoughts": False}),
        ("gemini-2.5-pro", {"thinkingBudget": 128, "includeThoughts": False}),
        ("gemini-2.5-flash", {"thinkingBudget": 0, "includeThoughts": False}),
    ],
)
def test_15_no_reasoning_is_the_least_that_a_model_can(model: str, thinking: Json) -> None:
    encoded = sent(hello("openai-chat", reasoning_effort="none"), "gemini", model)
    assert encoded.body["generationConfig"]["thinkingConfig"] == thinking


def test_16_without_thinking_opus_5_gets_no_higher_effort_than_high() -> None:
    asked = asks(
        "anthropic", {**HI["anthropic"], "thinking": {"type": "disabled"}, "output_config": {"effort": "xhigh"}}
    )
    encoded = sent(asked, "anthropic", "claude-opus-5")
    assert encoded.body["thinking"] == {"type": "disabled"}
    assert encoded.body["output_config"] == {"effort": "high"}


@pytest.mark.parametrize(
    ("model", "members", "kept", "version"),
    [
        ("claude-opus-4-8", {"temperature": 0.2}, {}, "2026-10-21"),
        ("claude-sonnet-4-5", {"temperature": 0.2}, {"temperature": 0.2}, "2023-06-01"),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, "2023-06-01"),
    ],
)
def test_17_sampling_and_the_version_of_the_api_go_together(
    model: str, members: Json, kept: Json, version: str
) -> None:
    encoded = sent(hello("openai-chat", **members), "anthropic", model)
    assert {name: encoded.body[name] for name in ("temperature", "top_p") if name in encoded.body} == kept
    assert dict(encoded.headers)["anthropic-version"] == version


@pytest.mark.parametrize(
    ("model", "forced", "thinks"),
    [("claude-fable-5-2", False, True), ("claude-sonnet-4-5", True, False), ("claude-opus-4-8", True, True)],
)
def test_18_of_a_forced_call_and_thinking_goes_what_the_model_cannot_have(
    model: str, forced: bool, thinks: bool
) -> None:
    members = {"tool_choice": "required", "reasoning_effort": "high", **FUNCTIONS["openai-chat"]}
    encoded = sent(hello("openai-chat", **members), "anthropic", model)
    assert (encoded.body.get("tool_choice", {}).get("type") == "any") is forced
    assert ("thinking" in encoded.body) is thinks
    assert bool(encoded.losses) is not (forced and thinks)

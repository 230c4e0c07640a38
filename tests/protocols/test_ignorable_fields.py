"""Dropping an ignorable field is not reported; dropping any other is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bm.chat.parts import Json
from bm.chat.request import Extra, Tool
from bm.errors import RequestError
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.ignorable_fields import FIELDS, is_loss, is_sampling_loss, lost_tool_fields
from tests.protocols.pair import GROQ, asks, hello, sent
from tests.support.shared import SHARED

MODELS: dict[ProtocolName, str] = {
    "anthropic": "claude-opus-5",
    "openai-chat": "gpt-5.4",
    "openai-responses": "gpt-5.4",
    "gemini": "gemini-3.8-flash",
}


def test_every_ignorable_field_has_its_reason() -> None:
    assert all(reason for members in FIELDS.values() for reason in members.values())
    assert FIELDS.keys() == set(PROTOCOLS)


def test_a_field_is_ignorable_for_its_own_protocol_alone() -> None:
    assert not is_loss(Extra("gemini", "safetySettings", [])) and is_loss(Extra("anthropic", "safetySettings", []))
    assert is_loss(Extra("openai-chat", "logit_bias", {"1": 1}))


def test_tool_fields_that_change_no_answer_are_ignorable() -> None:
    assert lost_tool_fields(Tool("f", extra={"defer_loading": True, "input_examples": []})) == ["input_examples"]


@pytest.mark.parametrize(
    ("client", "members", "name", "expected"),
    [
        ("openai-chat", {"temperature": 1}, "temperature", False),
        ("openai-chat", {"temperature": 0.2}, "temperature", True),
        ("openai-chat", {"presence_penalty": 0}, "presence_penalty", False),
        ("openai-chat", {"logprobs": False}, "logprobs", False),
        ("gemini", {"generationConfig": {"topK": 64, "topP": 0.95}}, "top_k", False),
        ("gemini", {"generationConfig": {"topK": 3}}, "top_k", True),
        ("anthropic", {"top_k": 64}, "top_k", True),
        ("anthropic", {}, "temperature", False),
    ],
)
def test_an_explicit_default_is_no_loss(client: ProtocolName, members: Json, name: str, expected: bool) -> None:
    assert is_sampling_loss(hello(client, **members), name) is expected


IGNORED_BODIES: dict[ProtocolName, Json] = {
    "anthropic": {
        "metadata": {"user_id": "u", "plan": "x"},
        "context_management": {"edits": []},
        "service_tier": "auto",
        "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}],
    },
    "openai-chat": {"store": True, "user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "prediction": {}},
    "openai-responses": {
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "client_metadata": {"x": "y"},
        "stream_options": {"include_obfuscation": False},
        "prompt_cache_retention": "24h",
        "truncation": "auto",
        "text": {"verbosity": "low"},
        "reasoning": {"summary": "detailed"},
    },
    "gemini": {
        "safetySettings": [],
        "labels": {"a": "b"},
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
    },
}


@pytest.mark.parametrize("target", MODELS)
@pytest.mark.parametrize("client", IGNORED_BODIES)
def test_no_target_reports_ignorable_fields(client: ProtocolName, target: ProtocolName) -> None:
    if client != target:
        assert sent(hello(client, **IGNORED_BODIES[client]), target, MODELS[target]).losses == ()


@pytest.mark.parametrize("target", ["anthropic", "openai-responses", "gemini", "openai-chat"])
def test_another_models_thinking_is_left_out_without_a_word(target: ProtocolName) -> None:
    history: list[Json] = [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}, {"type": "text", "text": "Hello"}],
        },
        {"role": "user", "content": "Go on"},
    ]
    if target == "anthropic":
        parts = [{"text": "hm", "thought": True}, {"text": "Hello"}]
        contents: list[Json] = [
            {"role": "user", "parts": [{"text": "Hi"}]},
            {"role": "model", "parts": parts},
            {"role": "user", "parts": [{"text": "Go on"}]},
        ]
        request = asks("gemini", {"contents": contents})
    else:
        request = asks("anthropic", {"model": "m", "max_tokens": 9000, "messages": history})
    encoded = sent(request, target, MODELS[target])
    assert encoded.losses == () and "hm" not in json.dumps(encoded.body)


# Real tools


AGENTS = ("claude", "codex", "gemini-cli", "opencode", "aider")
HONEST = frozenset(
    {"temperature", "tools (web_search)", "tools (googleSearch)", "text.format", "reasoning", "thinking"}
)
"""What a session of a real tool may lose, because its user would notice."""


def captured() -> Iterator[Any]:
    """The recorded generating requests of agents, with their protocol."""
    folder = SHARED / "clients" / "captures" if SHARED is not None else None
    for file in sorted(folder.glob("*/*.json")) if folder is not None else ():
        seen = json.loads(file.read_text())
        path, body = seen["path"].partition("?")[0], seen.get("body")
        client = next((own for sign, own in _SIGNS.items() if sign in path), None)
        if client is not None and isinstance(body, dict) and file.parent.name.startswith(AGENTS):
            yield pytest.param(client, body, id=f"{file.parent.name}-{file.stem}")


_SIGNS: dict[str, ProtocolName] = {
    "/messages": "anthropic",
    "/chat/completions": "openai-chat",
    "/responses": "openai-responses",
    "enerateContent": "gemini",
}


TARGETS: list[tuple[ProtocolName, str]] = [
    *MODELS.items(),
    ("gemini", "gemini-2.5-flash"),
    ("anthropic", "claude-sonnet-4-5"),
    ("openai-chat", "openai/gpt-oss-120b"),
]


@pytest.mark.corpus
@pytest.mark.skipif(SHARED is None, reason="no recorded requests of real tools")
@pytest.mark.parametrize(("client", "body"), list(captured()))
def test_a_real_tools_session_loses_nothing_but_what_its_user_would_notice(client: ProtocolName, body: Json) -> None:
    request = asks(client, body, stream=True if client == "gemini" else None)
    for target, model in TARGETS:
        if client == target:
            continue
        try:
            encoded = sent(request, target, model, GROQ) if "oss" in model else sent(request, target, model)
        except RequestError as error:
            assert "no image input" in error.failure.message, model
            continue
        lost = {loss.field for loss in encoded.losses}
        assert {field for field in lost if not field.endswith("(image)")} <= HONEST, model

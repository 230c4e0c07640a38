"""What a body says of its request, in each protocol."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from bm.dispatch.snapshot import Traits
from bm.gateway.traits import traits_of
from bm.names import ROUTE_KINDS, RouteKind
from tests.gateway.build import call


def found(body: Any) -> Traits:
    return traits_of(call(body=json.dumps(body).encode()), ROUTE_KINDS)


@pytest.mark.parametrize(
    ("body", "thinks"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, True),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"output_config": {"effort": "high"}}, False),
        ({"reasoning_effort": "low"}, True),
        ({"reasoning_effort": "minimal"}, False),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning": {"effort": "medium", "summary": "auto"}}, True),
        ({"reasoning": {"summary": "auto"}}, False),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 8192}}}, True),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}}, True),
        ({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}, False),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "HIGH"}}}, True),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}}, False),
        ({"generation_config": {"thinking_config": {"thinking_level": "low"}}}, True),
        ({"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}, False),
        ({"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "..."}]}]}, False),
        ({"thinking": "enabled", "reasoning": [], "reasoning_effort": 3, "generationConfig": 7}, False),
        ([], False),
    ],
)
def test_whether_thinking_is_asked_for(body: Any, thinks: bool) -> None:
    assert found(body).thinking is thinks


@pytest.mark.parametrize(
    ("body", "searches"),
    [
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, True),
        ({"tools": [{"type": "function", "name": "x"}, {"type": "web_search", "external_web_access": True}]}, True),
        ({"tools": [{"type": "web_search_preview_2025_03_11"}]}, True),
        ({"tools": [{"functionDeclarations": []}, {"googleSearch": {}}]}, True),
        ({"tools": [{"google_search": {}}]}, True),
        ({"web_search_options": {}}, True),
        ({"tools": [{"name": "WebSearch", "input_schema": {"type": "object"}}]}, False),
        ({"tools": [{"type": "function", "function": {"name": "web_search"}}]}, False),
        ({"messages": [{"content": [{"type": "web_search_tool_result", "content": []}]}]}, False),
        ({"input": [{"type": "web_search_call"}]}, False),
        ({"tools": {"type": "web_search"}}, False),
    ],
)
def test_whether_the_service_is_to_search_the_web(body: Any, searches: bool) -> None:
    assert found(body).web_search is searches


DATA = "iVBORw0K" * 9_000
PROSE = "It was a bright cold day in April, and the clocks were striking thirteen. " * 1_000


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "picture",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}},
        {"type": "input_audio", "input_audio": {"data": DATA, "format": "mp3"}},
        {"type": "input_file", "file_data": DATA},
        {"inlineData": {"mimeType": "image/png", "data": DATA}},
        {"inlineData": {"data": DATA, "mimeType": "image/png"}},
        {"text": 'a "data" and a "data": and ";base64,'},
    ],
)
def test_the_length_is_that_of_the_text_without_its_media(picture: Any, indent: int | None) -> None:
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": PROSE}, picture, picture]}]}
    traits = traits_of(call(body=json.dumps(body, indent=indent).encode()), ROUTE_KINDS)
    assert 18_500 < traits.tokens < 19_000


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), Traits()),
        (("background", "default"), Traits()),
        (("image",), Traits(images=True)),
        (("think",), Traits(thinking=True, web_search=True)),
        (("long_context",), Traits(tokens=59)),
    ],
)
def test_only_what_matters_is_read(kinds: tuple[RouteKind, ...], expected: Traits) -> None:
    body = {
        "thinking": {"type": "enabled"},
        "tools": [{"type": "web_search_20250305"}],
        "messages": [{"type": "image"}],
    }
    padded = json.dumps(body).encode().ljust(236)
    assert traits_of(call(body=padded), kinds) == expected


def test_a_body_that_is_not_understood_is_nothing_in_particular() -> None:
    assert traits_of(call(body=b'{"tools": ['), ROUTE_KINDS) == msgspec.structs.replace(Traits(), tokens=2)

from __future__ import annotations

import re
from collections import Counter
from datetime import date

import msgspec
import pytest

from bm.chat.capabilities import Capabilities
from bm.providers.catalog import CATALOG
from bm.providers.families import families, family_of, normalised


def named(model: str, service: str = "") -> str:
    found = family_of(model, service)
    return found.name if found is not None else ""


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("anthropic/Claude-Haiku-4.5", "claude-haiku-4-5"),
        ("qwen3.8:27b", "qwen3-8-27b"),
        ("accounts/fireworks/models/glm-5p3", "glm-5-3"),
        ("claude-opus-5@20260724", "claude-opus-5-20260724"),
    ],
)
def test_names_are_compared_without_path_and_spelling(model: str, name: str) -> None:
    assert normalised(model) == name


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("us.anthropic.claude-opus-4-8-v1:0", "claude-opus-4-8"),
        ("claude-opus-5", "claude-opus-5"),
        ("claude-opus-5-20260724", "claude-opus-5"),
        ("claude-mythos-5-1", "claude-fable-5-2"),
        ("claude-3-7-sonnet-latest", "claude-sonnet-4"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("us.anthropic.claude-opus-4-20250514-v1:0", "claude-opus-4"),
        ("claude-opus-4-0", "claude-opus-4"),
        ("claude-4.5-haiku", "claude-4-5"),
        ("claude-4.6-sonnet-thinking", "claude-4-6"),
        ("gemini-2.5-computer-use-preview-10-2025", "gemini-2-5-flash"),
        ("gemini-3-pro-image-preview", "gemini-3-media"),
        ("gemini-3.1-flash-image-preview", "gemini-3-media"),
        ("gemini-2.5-flash-preview-tts", "gemini-2-5-media"),
        ("gemini-2.5-flash-lite", "gemini-2-5-flash-lite"),
        ("gpt-5-mini-2025-08-07", "gpt-5"),
        ("gpt-5.4-mini", "gpt-5-4-mini"),
        ("gpt-5.5-pro", "gpt-5-pros"),
        ("gpt-4-1106-preview", "gpt-3-5"),
        ("ft:gpt-4o:acme::id", "gpt-4o"),
        ("gpt-oss:20b", "gpt-oss"),
        ("qwen3:8b", "qwen3"),
        ("qwen3-8b", "qwen3"),
        ("Qwen/Qwen3.8-27B", "qwen3-8"),
        ("qwen3-vl-8b", "qwen3-vision"),
        ("kimi-k2-0905-preview", "kimi-k2"),
        ("glm-4.5v", "glm-vision"),
        ("deepseek-v4p1-flash", "deepseek-v4-flash"),
        ("deepseek-r1-distill-llama-70b", "deepseek-r1"),
        ("grok-4-1-fast-non-reasoning", "grok-non-reasoning"),
        ("mistral-nemo", "mistral-large-3"),
        ("something-else", ""),
    ],
)
def test_the_family_of_a_name(model: str, family: str) -> None:
    assert named(model) == family


@pytest.mark.parametrize(
    ("newer", "strictest"),
    [
        ("claude-opus-6", "claude-opus-5-5"),
        ("claude-sonnet-5-7", "claude-opus-5-5"),
        ("claude-opus-4-9", "claude-opus-5-5"),
        ("claude-haiku-4-7", "claude-opus-5-5"),
        ("qwen4-72b", "qwen3-8-max"),
        ("Qwen/Qwen3.9-30B-A3B", "qwen3-8-max"),
        ("claude-tale-1", "claude-opus-5-5"),
        ("claude-fable-6", "claude-fable-5-2"),
        ("gemini-5-flash", "gemini-4"),
        ("gemini-4.2-argon", "gemini-4"),
        ("gpt-7", "gpt-6-1-sol"),
        ("gpt-5.9-mini", "gpt-6-1-sol"),
        ("o5", "o3"),
        ("grok-6", "grok-4-5"),
        ("kimi-k4", "kimi-k3-1-pro"),
        ("glm-6", "glm-5-3"),
        ("deepseek-v5", "deepseek-v4-pro"),
    ],
)
def test_a_newer_name_counts_as_the_strictest_known_one(newer: str, strictest: str) -> None:
    assert named(newer) == strictest


def test_a_row_of_a_service_holds_only_there() -> None:
    assert (named("zai-org/GLM-5.3", "together"), named("zai-org/GLM-5.3")) == ("glm-at-together", "glm-5-3")


@pytest.mark.parametrize("name", families())
def test_a_row_says_only_what_capabilities_have_and_where_it_is_from(name: str) -> None:
    family = families()[name]
    assert isinstance(msgspec.convert(family.takes, Capabilities), Capabilities)
    assert re.search(r"\w.*; read \d{4}-\d\d-\d\d$", family.source)


def test_no_pattern_stands_twice() -> None:
    seen = Counter((family.at, pattern) for family in families().values() for pattern in family.models)
    assert [each for each, times in seen.items() if times > 1] == []


@pytest.mark.parametrize("row", [name for name in CATALOG if CATALOG[name].models])
def test_no_default_of_the_catalog_is_near_its_end(row: str) -> None:
    names = {*CATALOG[row].models.values(), *CATALOG[row].words.values()}
    ends = {model: family.retires for model in names if (family := family_of(model)) is not None and family.retires}
    assert {model: end for model, end in ends.items() if end < date(2027, 1, 1)} == {}

"""Completion offers the names of this home, and nothing where they cannot be read."""

from __future__ import annotations

import pytest

from bm.cli import completion
from bm.config.paths import Paths
from tests.cli.conftest import Bm


def test_names_of_this_home_are_offered(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "alpha", "--no-verify", stdin="k")
    bm("providers", "add", "ownhouse", "--protocol", "openai-chat", "--base-url", "https://own.example/v1")
    assert completion.accounts("al") == ["alpha"]
    assert completion.providers("own") == ["ownhouse"]
    assert {"anthropic", "gemini", "groq"} <= set(completion.providers(""))
    assert completion.accounts_and_providers("a") == ["alpha", "anthropic"]


def test_unreadable_files_offer_nothing_of_theirs(paths: Paths) -> None:
    paths.config.parent.mkdir(parents=True, exist_ok=True)
    paths.config.write_text("[providers")
    paths.accounts.write_text("not = [")
    assert completion.accounts("") == []
    assert "groq" in completion.providers("")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("server.po", ["server.port"]),
        ("ser", ["server."]),
        ("providers.groq.mod", ["providers.groq.mode", "providers.groq.models."]),
        ("nosuch.", []),
    ],
)
def test_settings_are_offered_level_by_level(typed: str, offered: list[str]) -> None:
    assert completion.settings(typed) == offered


def test_tools_are_offered() -> None:
    assert completion.tools("cl") == ["claude"]

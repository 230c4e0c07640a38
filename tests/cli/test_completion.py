"""Completion offers the names of this home, and nothing where they cannot be read."""

from __future__ import annotations

import os
import subprocess
import sys

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
        ("aliases.f", ["aliases.fast"]),
        ("providers.own", ["providers.ownhouse."]),
    ],
)
def test_settings_are_offered_level_by_level(paths: Paths, typed: str, offered: list[str]) -> None:
    paths.config.write_text('[aliases]\nfast = "x"\n[providers.ownhouse]\n')
    assert completion.settings(typed) == offered


def test_tools_are_offered() -> None:
    assert completion.tools("cl") == ["claude"]


def completed(words: str, paths: Paths) -> list[str]:
    """What bash is offered for the last of the words."""
    environ = {**os.environ, "BM_HOME": str(paths.config.parent), "_BM_COMPLETE": "complete_bash"}
    environ |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    run = subprocess.run([sys.executable, "-m", "bm"], env=environ, capture_output=True, text=True, check=False)
    return run.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("bm he", {"help"}),
        ("bm help acc", {"accounts"}),
        ("bm help accounts ren", {"rename"}),
        ("bm ask -m fa", {"fast"}),
        ("bm route groq:openai/gpt-oss-1", {"groq:openai/gpt-oss-120b"}),
        ("bm providers use gro", {"groq"}),
        ("bm providers mode groq e", {"exclusive"}),
        ("bm config set providers.groq.mode f", {"fallback"}),
        ("bm config set pool.affinity t", {"true"}),
        ("bm config set aliases.quick so", {"sonnet"}),
        ("bm config set providers.groq.api_key e", {"env:"}),
        ("bm config set pool.max_wait 1", set()),
    ],
)
def test_a_shell_is_offered(paths: Paths, words: str, offered: set[str]) -> None:
    paths.config.write_text('[aliases]\nfast = "groq:x"\n')
    assert set(completed(words, paths)) == offered

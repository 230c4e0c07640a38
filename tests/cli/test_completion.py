"""Completion offers commands, options and the names of this home, and nothing where they cannot be read."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bm.cli import completion, outline
from bm.cli.make_outline import made
from bm.cli.shells import split
from bm.config.paths import Paths
from tests.cli.conftest import Bm


@pytest.fixture(autouse=True, scope="module")
def known() -> None:
    outline.load(made)


def offered(line: str) -> list[str]:
    words, incomplete = split(line)
    return [value for value, _ in completion.offered(words, incomplete)]


def test_names_of_this_home_are_offered(bm: Bm, paths: Paths) -> None:
    bm("accounts", "add", "alpha", "--no-verify", stdin="k")
    bm("providers", "add", "ownhouse", "--protocol", "openai-chat", "--base-url", "https://own.example/v1")
    bm("keys", "add", "laptop")
    assert completion.accounts("al") == ["alpha"]
    assert completion.keys("lap") == ["laptop"]
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
    ("typed", "found"),
    [
        ("server.po", ["server.port"]),
        ("ser", ["server."]),
        ("providers.groq.mod", ["providers.groq.mode", "providers.groq.models."]),
        ("nosuch.", []),
        ("aliases.f", ["aliases.fast"]),
        ("providers.own", ["providers.ownhouse."]),
        ("providers.anth", ["providers.anthropic."]),
        ("server.port.", []),
    ],
)
def test_settings_are_offered_level_by_level(paths: Paths, typed: str, found: list[str]) -> None:
    paths.config.write_text('[aliases]\nfast = "x"\n[providers.ownhouse]\n')
    assert completion.settings(typed) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("he", ["help"]),
        ("help acc", ["accounts"]),
        ("help accounts ren", ["rename"]),
        ("ask -m fa", ["fast"]),
        ("ask --model fa", ["fast"]),
        ("ask --model=fa", ["--model=fast"]),
        ("ask --mo", ["--model"]),
        ("ask -m fast --js", ["--json"]),
        ("run cl", ["claude"]),
        ("run claude -- --mo", []),
        ("route groq:openai/gpt-oss-1", ["groq:openai/gpt-oss-120b"]),
        ("providers use gro", ["groq"]),
        ("providers mode groq e", ["exclusive"]),
        ("providers mode groq off x", []),
        ("test groq gro", []),
        ("status ", ["--all", "--json"]),
        ("config set providers.groq.mode f", ["fallback"]),
        ("config set pool.affinity t", ["true"]),
        ("config set aliases.quick so", ["sonnet"]),
        ("config set providers.groq.api_key e", ["env:"]),
        ("config set pool.max_wait 1", []),
    ],
)
def test_what_may_stand_next_is_offered(paths: Paths, line: str, found: list[str]) -> None:
    paths.config.write_text('[aliases]\nfast = "groq:x"\n')
    assert offered(line) == found


def test_the_files_are_those_of_this_home(paths: Paths) -> None:
    for environ in ({"BM_HOME": "~/x"}, {"BM_HOME": "y"}, {}):
        assert completion.folder(environ) == Paths.default(environ).config.parent


def test_nothing_slow_is_imported(paths: Paths) -> None:
    slow = "{'typer', 'msgspec', 'rich', 'asyncio', 'inspect', 'bm.cli.app', 'bm.config.load'}"
    code = f"import sys, bm.cli; bm.cli.main(); print(sorted({slow} & set(sys.modules)))"
    environ = {**os.environ, "BM_HOME": str(paths.config.parent), "_BM_COMPLETE": "fish", "_BM_LINE": "bm providers us"}
    words = [sys.executable, "-c", code]
    for _ in range(2):  # the first may have to make the outline
        run = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == [
        "use\tUse a provider: ask for its key, test it, enable the provider, set its mode.",
        "[]",
    ]

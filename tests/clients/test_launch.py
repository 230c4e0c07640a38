"""What a tool is started with, and that its own files are not touched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from bm.clients.catalog import BY_NAME
from bm.clients.launch import Launch, launch
from bm.errors import ConfigError
from tests.clients.golden import NAMES

KEY, ORIGIN = NAMES["key"], NAMES["origin"]


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """bm's own folder for the files of a run."""
    return tmp_path / "clients"


def launched(tool: str, folder: Path, *words: str, environ: Mapping[str, str] | None = None) -> Launch:
    return launch(BY_NAME[tool], f"/bin/{tool}", words, NAMES, environ or {}, folder)


def test_variables_that_point_elsewhere_are_removed(folder: Path) -> None:
    environ = {"CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_API_KEY": "mine", "PATH": "/bin", "OPENAI_API_KEY": "mine"}
    found = launched("claude", folder, environ=environ).environ
    assert found.keys().isdisjoint({"CLAUDE_CODE_USE_BEDROCK", "ANTHROPIC_API_KEY"})
    assert found["PATH"] == "/bin" and found["OPENAI_API_KEY"] == KEY


def test_claude_code_gets_settings_that_override_its_own(folder: Path) -> None:
    argv = launched("claude", folder, "-p", "hi").argv
    assert argv == ["/bin/claude", "--settings", str(folder / "claude.json"), "-p", "hi"]
    text = (folder / "claude.json").read_text()
    elsewhere = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")
    settings = {"ANTHROPIC_BASE_URL": ORIGIN, "ANTHROPIC_AUTH_TOKEN": KEY, **dict.fromkeys(elsewhere, "0")}
    assert json.loads(text)["env"] == settings


@pytest.mark.parametrize("words", [("--settings", "mine.json"), ("--settings={}",)])
def test_settings_given_by_the_user_are_the_only_ones(folder: Path, words: tuple[str, ...]) -> None:
    assert launched("claude", folder, *words).argv == ["/bin/claude", *words]
    assert not folder.exists()


def test_codex_is_configured_by_arguments_without_the_key(folder: Path) -> None:
    found = launched("codex", folder, "exec", "hi")
    provider = f'model_providers.bm={{name="bm",base_url="{ORIGIN}/v1",env_key="OPENAI_API_KEY",wire_api="responses"}}'
    assert found.argv == ["/bin/codex", "-c", 'model_provider="bm"', "-c", provider, "exec", "hi"]
    assert found.environ["OPENAI_API_KEY"] == KEY
    assert not any(KEY in word for word in found.argv)


def test_gemini_cli_needs_settings_only_when_its_own_choose_no_key(folder: Path, home: Path) -> None:
    own = home / ".gemini/settings.json"
    own.parent.mkdir()
    own.write_text('{"security": {"auth": {"selectedType": "oauth-personal"}}, "ui": {"theme": "x"}} // mine')
    found = launched("gemini", folder, environ={"GOOGLE_GENAI_USE_VERTEXAI": "true"})
    assert "GOOGLE_GENAI_USE_VERTEXAI" not in found.environ
    assert found.environ["GEMINI_CLI_HOME"] == str(folder / "gemini")
    assert "~/.gemini/settings.json does not select a key" in found.notes[0]
    copy = (folder / "gemini/.gemini/settings.json").read_text()
    assert copy == own.read_text().replace("oauth-personal", "gemini-api-key")
    own.write_text(copy)
    found = launched("gemini", folder)
    assert "GEMINI_CLI_HOME" not in found.environ and found.notes == ()


def test_unreadable_settings_are_an_error(folder: Path, home: Path) -> None:
    (home / ".gemini").mkdir()
    (home / ".gemini/settings.json").write_text("{")
    with pytest.raises(ConfigError, match=r"~/\.gemini/settings\.json"):
        launched("gemini", folder)


def test_opencode_keeps_the_users_settings(folder: Path) -> None:
    mine = '{"model": "mine/x", "permission": "allow"}'
    held = json.loads(
        launched("opencode", folder, environ={"OPENCODE_CONFIG_CONTENT": mine}).environ["OPENCODE_CONFIG_CONTENT"]
    )
    assert held["permission"] == "allow" and held["model"] == "bm/sonnet"
    assert held["provider"]["bm"]["options"] == {"baseURL": f"{ORIGIN}/v1", "apiKey": "{env:ANTHROPIC_AUTH_TOKEN}"}
    with pytest.raises(ConfigError, match="OPENCODE_CONFIG_CONTENT"):
        launched("opencode", folder, environ={"OPENCODE_CONFIG_CONTENT": "{"})


def test_aider_gets_variables_that_override_its_settings(folder: Path) -> None:
    found = launched("aider", folder, environ={"ANTHROPIC_API_KEY": "mine"}).environ
    assert found["ANTHROPIC_API_KEY"] == found["AIDER_OPENAI_API_KEY"] == KEY
    assert found["AIDER_OPENAI_API_BASE"] == f"{ORIGIN}/v1"


@pytest.mark.parametrize(
    ("environ", "hosts"),
    [
        ({}, None),
        ({"http_proxy": "http://proxy"}, "127.0.0.1,localhost,[::1]"),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "corp, localhost"}, "corp,localhost,127.0.0.1,[::1]"),
    ],
)
def test_this_machine_is_excluded_from_the_proxy(folder: Path, environ: dict[str, str], hosts: str | None) -> None:
    found = launched("codex", folder, environ=environ).environ
    assert found.get("NO_PROXY") == found.get("no_proxy") == hosts

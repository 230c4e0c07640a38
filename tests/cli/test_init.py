"""`bm init`: questions with answers on standard input, or flags; each step can be skipped and repeated."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bm.accounts.credentials import load
from bm.config.paths import Paths
from bm.simulator import Simulator
from tests.cli.conftest import PLANTED, Bm
from tests.clients.conftest import home

__all__ = ["home"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


@pytest.fixture(autouse=True)
def claude(home: Path, tmp_path: Path, paths: Paths, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of Claude Code, which is the only tool that is installed."""
    addresses = {"gemini": simulator.url, "providers.groq": f"{simulator.url}/groq/openai/v1"}
    paths.config.write_text("".join(f'[{name}]\nbase_url = "{url}"\n' for name, url in addresses.items()))
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return home / ".claude" / "settings.json"


def stored(paths: Paths) -> dict[tuple[str, str], str]:
    """The keys of the accounts."""
    return {each.id: each.key for each in load(paths.accounts).accounts}


def modes(bm: Bm) -> dict[str, str]:
    """The providers in use, and their modes."""
    rows = bm("providers", "--json").json["providers"]
    return {row["name"]: row["mode"] for row in rows if row["state"] == "in use"}


def test_each_question_has_its_answer(bm: Bm, paths: Paths, claude: Path) -> None:
    answers = ["1", "key-one", "key-two", "", "gorq", "groq", PLANTED, "", "2", "", "y"]
    ran = bm("init", stdin="\n".join(answers) + "\n")
    assert ran.code == 0, ran
    assert stored(paths) == {
        ("gemini", "main"): "key-one",
        ("gemini", "account2"): "key-two",
        ("groq", "main"): PLANTED,
    }
    assert modes(bm)["groq"] == "pooled"
    assert bm("status").code == 0
    assert "ANTHROPIC_BASE_URL" in claude.read_text()
    assert "no provider is named 'gorq' (did you mean \"groq\"?)" in ran.err
    assert ran.out.splitlines()[-2].startswith("now   running at ")
    assert ran.out.splitlines()[-1] == "next  use Claude Code as always; bm top shows what happens"
    assert PLANTED not in ran.out + ran.err


def test_every_step_can_be_skipped(bm: Bm, paths: Paths, claude: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    ran = bm("init", stdin="3\n\nn\nn\n")
    assert (ran.code, stored(paths)) == (0, {})
    assert bm("status").code == 3
    assert not claude.exists()


def test_flags_replace_the_questions_and_a_second_run_keeps_everything(
    bm: Bm, paths: Paths, claude: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "key-of-gemini")
    monkeypatch.setenv("GROQ_API_KEY", PLANTED)
    for _ in range(2):
        ran = bm("init", "--yes", "--mode", "exclusive")
        assert ran.code == 0, ran
        assert stored(paths)["gemini", "main"] == "key-of-gemini"
        assert stored(paths)["groq", "main"] == PLANTED
        assert modes(bm)["groq"] == "exclusive"
        files = (paths.accounts.read_text(), paths.config.read_text(), claude.read_text())
    assert (paths.accounts.read_text(), paths.config.read_text(), claude.read_text()) == files
    assert "Claude Code uses bm" in ran.out


def test_only_what_is_named_is_used(bm: Bm, paths: Paths, claude: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "key-of-together")
    monkeypatch.setenv("GROQ_API_KEY", PLANTED)
    assert bm("init", "--yes", "--provider", "groq", "--no-tools", "--no-verify").code == 0
    assert set(stored(paths)) == {("groq", "main")}
    assert not claude.exists()
    assert bm("init", "--yes", "--provider", "grok").code == 2


def test_what_fails_is_reported_and_does_not_stop_the_rest(
    bm: Bm, paths: Paths, claude: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.script(keys=("another-key",))
    monkeypatch.setenv("GEMINI_API_KEY", "key-of-gemini")
    ran = bm("init", "--yes")
    assert ran.code == 1
    assert "not saved" in ran.err
    assert ran.err.endswith("not done: accounts (bm init again goes on there)\n")
    assert stored(paths) == {}
    assert claude.exists()


def test_the_own_key_in_the_environment_is_no_account(bm: Bm, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "bm-" + "x" * 43)
    assert bm("init", "--yes", "--no-tools").code == 0
    assert stored(paths) == {}


def test_without_answers_it_says_what_to_add(bm: Bm, paths: Paths) -> None:
    ran = bm("init")
    assert ran.code == 2
    assert ran.err.endswith("error: bm init asks questions: run it on a terminal, or add --yes\n")
    assert stored(paths) == {}

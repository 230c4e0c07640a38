"""What shells are offered: by the real program, and in the shells that are installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bm.cli.shells import SCRIPTS, split
from bm.config.paths import Paths
from tests.cli.conftest import Bm


@pytest.fixture
def environ(paths: Paths, bm: Bm, tmp_path: Path) -> dict[str, str]:
    """An environment with bm as a program and this test's home, which has an alias and an account."""
    paths.config.write_text('[aliases]\nfast = "groq:x"\n')
    bm("accounts", "add", "my work", "--no-verify", stdin="k")
    program = tmp_path / "bin" / "bm"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m bm "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "BM_HOME": str(paths.config.parent), "PATH": path, "PYTHONPATH": str(Path.cwd())}


def printed(words: list[str], environ: dict[str, str]) -> list[str]:
    run = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert run.stderr == ""
    return run.stdout.splitlines()


@pytest.mark.parametrize(
    ("shell", "line", "lines"),
    [
        ("bash", "bm he", ["help"]),
        ("bash", "bm ask -m fa", ["fast"]),
        ("bash", "bm accounts rename my", ["my\\ work"]),
        ("zsh", "bm record o", ["+on:Keep every exchange: prompts and answers, but no keys.", "+off:Stop recording."]),
        ("zsh", "bm route groq:openai/gpt-oss-1", ["+groq\\:openai/gpt-oss-120b"]),
        ("zsh", "bm config set pool", ["=pool."]),
        ("fish", "bm status ", ["--all\tShow every node of the team.", "--json\tPrint JSON."]),
        ("pwsh", "bm accounts rename `m", ["'my work'\t"]),
    ],
)
def test_each_shell_is_answered_in_its_form(environ: dict[str, str], shell: str, line: str, lines: list[str]) -> None:
    assert printed(["bm"], {**environ, "_BM_COMPLETE": shell, "_BM_LINE": line}) == lines


@pytest.mark.parametrize(
    ("words", "cursor", "offered"),
    [("bm accounts rename my", 3, ["my\\ work"]), ("bm ask -m ", 3, "fast"), ("bm he", 1, ["help"])],
)
def test_a_script_of_an_older_version_is_answered(
    environ: dict[str, str], words: str, cursor: int, offered: str | list[str]
) -> None:
    asked = {"_BM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(cursor)}
    found = printed(["bm"], environ | asked)
    assert offered in found if isinstance(offered, str) else found == offered


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("bm rout", ["route"]),
        ("git log | bm ask -m fa", ["fast"]),
        ("bm route groq:openai/gpt-oss-1", ["openai/gpt-oss-120b"]),
        ("bm providers use groq --mode=f", ["fallback"]),
        ("bm nosuch x", []),
    ],
)
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_offers(environ: dict[str, str], line: str, offered: list[str]) -> None:
    # Bash itself gives a completion function the line of the command alone.
    own = line.rpartition("| ")[2]
    script = f'{SCRIPTS["bash"]}\nCOMP_LINE="{own}"; COMP_POINT={len(own)}; _bm bm; printf "%s\\n" "${{COMPREPLY[@]}}"'
    assert [each for each in printed(["bash", "--norc", "-c", script], environ) if each] == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_offers(environ: dict[str, str]) -> None:
    script = f'{SCRIPTS["fish"]}\ncomplete -C "bm accounts rename m"; complete -C "bm service u"'
    assert printed(["fish", "--no-config", "-c", script], environ) == [
        "my work",
        "uninstall\tRemove what install has created.",
    ]


@pytest.mark.parametrize("shell", ["complete_zsh", "complete_fish"])
def test_scripts_of_an_earlier_bm_get_nothing_that_a_shell_would_run(environ: dict[str, str], shell: str) -> None:
    assert printed(["bm"], {**environ, "_BM_COMPLETE": shell, "_TYPER_COMPLETE_ARGS": "bm he"}) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bm ask 'two words' -m x", (["bm", "ask", "two words", "-m"], "x")),
        (r"bm accounts rename my\ work ", (["bm", "accounts", "rename", "my work"], "")),
        ('bm ask "an open one', (["bm", "ask"], "an open one")),
        ("", ([], "")),
    ],
)
def test_a_line_is_split_as_shells_do(line: str, words: tuple[list[str], str]) -> None:
    assert split(line) == words

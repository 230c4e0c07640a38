"""The variables each tool needs, and statements that a shell reads back exactly."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from bm.clients.environment import (
    DIALECTS,
    HOW,
    SHELLS,
    UNSET,
    VARIABLES,
    Shell,
    beside_proxy,
    detect,
    is_proxied,
    script,
    values,
)

VALUES = {
    "PLAIN": "http://127.0.0.1:8094/v1",
    "SPACES": "  two words ",
    "QUOTES": 'it\'s "so"',
    "DOLLARS": "$HOME ${X} `id` $(id)",
    "SIGNS": r"a\b & c | d > e; f # g ! h % i ^ j * k ~ l",
    "EMPTY": "",
}
ECHO = "import os, sys; sys.stdout.write(repr([os.environ.get(name) for name in sys.argv[1:]]))"


def test_each_tool_gets_the_address_in_its_own_form() -> None:
    found = values("http://127.0.0.1:8094", "bm-key")
    assert found["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:8094"
    assert found["ANTHROPIC_AUTH_TOKEN"] == "bm-key"
    assert found["OPENAI_BASE_URL"] == "http://127.0.0.1:8094/v1"
    assert found["OPENAI_API_KEY"] == "bm-key"
    assert found["GOOGLE_GEMINI_BASE_URL"] == "http://127.0.0.1:8094"
    assert found["GEMINI_API_KEY"] == "bm-key"
    assert found["GROQ_BASE_URL"] == "http://127.0.0.1:8094"


def test_nothing_is_both_set_and_unset() -> None:
    assert len({row.name for row in VARIABLES}) == len(VARIABLES)
    assert not {row.name for row in VARIABLES} & set(UNSET)


def quoted_call(names: list[str]) -> str:
    words = [sys.executable, "-c", ECHO, *names]
    return " ".join("'" + word.replace("'", "'\"'\"'") + "'" for word in words)


@pytest.mark.parametrize(("shell", "how"), [("bash", "eval"), ("zsh", "eval"), ("fish", "source")])
def test_a_real_shell_reads_the_values_back(shell: Shell, how: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    statements = script(shell, VALUES, ("GONE",))
    carried_out = 'eval "$STATEMENTS"' if how == "eval" else "echo $STATEMENTS | source"
    command = f"{carried_out}; {quoted_call([*VALUES, 'GONE'])}"
    environ = {"STATEMENTS": statements, "GONE": "still there", "PATH": "/usr/bin:/bin"}
    run = subprocess.run([program, "-c", command], env=environ, capture_output=True, text=True, check=True)
    assert run.stdout == repr([*VALUES.values(), None])


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ("bash", "unset B\nexport A='it'\"'\"'s $5'"),
        ("zsh", "unset B\nexport A='it'\"'\"'s $5'"),
        ("fish", "set -e B\nset -gx A 'it\\'s $5'"),
        ("pwsh", "Remove-Item Env:B -ErrorAction SilentlyContinue\n$env:A = 'it''s $5'"),
        ("cmd", 'set "B="\nset "A=it\'s $5"'),
    ],
)
def test_the_statements_of_each_shell(shell: Shell, text: str) -> None:
    assert script(shell, {"A": "it's $5"}, ("B",)) == text


def test_backslashes_percent_signs_and_typographic_quotes() -> None:
    assert DIALECTS["fish"].assign("A", r"a\b") == r"set -gx A 'a\\b'"
    assert DIALECTS["cmd"].assign("A", "50%") == 'set "A=50%%"'
    assert DIALECTS["pwsh"].assign("A", "it’s") == "$env:A = 'it’’s'"


def test_every_shell_has_instructions() -> None:
    assert set(DIALECTS) == set(HOW) == set(SHELLS)


@pytest.mark.parametrize(
    ("variable", "windows", "shell"),
    [
        ("/bin/bash", False, "bash"),
        ("/usr/local/bin/fish", False, "fish"),
        ("/bin/tcsh", False, "bash"),
        ("", False, "bash"),
        ("", True, "pwsh"),
        ("/usr/bin/bash", True, "bash"),
    ],
)
def test_the_shell_is_detected(variable: str, windows: bool, shell: Shell) -> None:
    assert detect({"SHELL": variable}, windows=windows) == shell


@pytest.mark.parametrize(
    ("environ", "excepted", "proxied"),
    [
        ({}, None, False),
        ({"NO_PROXY": "corp"}, None, False),
        ({"HTTP_PROXY": ""}, None, False),
        ({"HTTP_PROXY": "http://proxy"}, "127.0.0.1,localhost,[::1]", True),
        ({"all_proxy": "socks://proxy", "no_proxy": "corp"}, "corp,127.0.0.1,localhost,[::1]", True),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "127.0.0.1"}, "127.0.0.1,localhost,[::1]", False),
    ],
)
def test_a_proxy_does_not_get_the_requests_to_bm(environ: dict[str, str], excepted: str | None, proxied: bool) -> None:
    assert beside_proxy(environ).get("NO_PROXY") == beside_proxy(environ).get("no_proxy") == excepted
    assert is_proxied(environ) is proxied

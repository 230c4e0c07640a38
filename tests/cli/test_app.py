"""The command line as a whole: its commands, exit codes and one-line errors."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bm import __version__
from bm.config.paths import Paths
from tests.cli.conftest import Bm


def test_it_prints_its_version(bm: Bm) -> None:
    assert bm("--version") == bm("version") == (0, f"bm {__version__}\n", "")


@pytest.mark.parametrize("words", [("nonsense",), ("status", "--nonsense"), ("providers", "mode", "groq", "maybe")])
def test_wrong_usage_is_2(bm: Bm, words: tuple[str, ...]) -> None:
    ran = bm(*words)
    assert (ran.code, ran.out) == (2, "")
    assert "rror" in ran.err


def test_an_error_is_one_line_without_a_traceback(bm: Bm, paths: Paths) -> None:
    paths.config.write_text("[server]\nprot = 1\n")
    ran = bm("config", "check")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f'error: {paths.config}:2: server.prot: unknown key (did you mean "port"?)\n'


def test_a_file_that_cannot_be_written_exits_with_1(bm: Bm, paths: Paths) -> None:
    paths.config.mkdir()
    assert bm("config", "set", "server.port", "1").code in (1, 2)


@pytest.mark.parametrize(
    ("words", "closed", "code", "said"),
    [("status --json", ">&-", 3, ""), ("doctor", ">&-", 1, ""), ("accounts add a", "<&-", 2, "no key given")],
)
def test_standard_streams_may_be_closed(words: str, closed: str, code: int, said: str) -> None:
    command = f'"$0" -m bm {words} {closed}'
    run = subprocess.run(["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (run.returncode, said in run.stderr, "Traceback" in run.stderr) == (code, True, False)


def test_as_a_module_it_is_the_same_program() -> None:
    run = subprocess.run([sys.executable, "-m", "bm", "status"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (3, "bm is not running (bm start)\n")

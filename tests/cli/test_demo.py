"""`bm demo --once`, as a whole and in parts."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bm.cli.demo import _environment
from bm.config.paths import Paths
from tests.cli.conftest import Bm


def test_the_whole_demo(bm: Bm, paths: Paths) -> None:
    ran = bm("demo", "--once")
    assert ran.code == 0, ran
    served = re.findall(r"^  (?:anthropic|gemini) \d+ of .*$", ran.out, re.MULTILINE)
    assert (served[0], served[1]) == ("  gemini 4 of 4", "  anthropic 3 of 3")
    assert served[3:] == ["  gemini 3 of 3", "  anthropic 3 of 3"]
    assert "another terminal" not in ran.out, "no invitation to what is about to end"
    for protocol in ("Anthropic Messages", "OpenAI Chat", "OpenAI Responses", "Gemini"):
        assert re.search(rf"^  {protocol} +(?:anthropic|gemini) +\w+ +\[simulated .+\] hello$", ran.out, re.MULTILINE)
    assert ran.out.endswith("the demo is over; everything it created is removed\n")
    assert not paths.runtime.exists()


def test_the_users_own_settings_are_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BM_SERVER_PORT", "GROQ_API_KEY", "ANTHROPIC_BASE_URL", "https_proxy", "TOGETHER_DISPATCH_MODE"):
        monkeypatch.setenv(name, "x")
    found = _environment(tmp_path)
    assert [name for name, value in found.items() if value == "x"] == []
    assert found["BM_HOME"] == str(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_sigterm_ends_everything() -> None:
    command = [sys.executable, "-m", "bm", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.fullmatch(r"bm is running at \S+ on simulated providers .*; home: (.+)\n", first)
        assert found is not None, first
        process.terminate()
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "the demo is over" in output
    assert not Path(found[1]).exists()
    homes = [_home(each) for each in psutil.process_iter()]
    assert found[1] not in homes


def _home(process: psutil.Process) -> str:
    try:
        return process.environ().get("BM_HOME", "")
    except psutil.Error:
        return ""


@pytest.mark.skipif(sys.platform == "win32", reason="prints lines for PowerShell there")
@pytest.mark.skipif(shutil.which("curl") is None or shutil.which("bash") is None, reason="needs bash and curl")
def test_the_printed_lines_work_without_bm_on_the_path() -> None:
    command = [sys.executable, "-m", "bm", "demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = list(iter(process.stdout.readline, "Ctrl-C ends the demo.\n"))
        lines = printed[printed.index("Try it from another terminal (bash, zsh):\n") + 1 : -2]
        environ = {"PATH": "/usr/bin:/bin", "http_proxy": "http://127.0.0.1:9"}
        pasted = subprocess.run(["bash", "-c", "".join(lines)], env=environ, capture_output=True, text=True)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate()
    assert process.returncode == 0 and "the demo is over" in output
    assert pasted.returncode == 0, pasted.stderr
    assert "HTTP/1.1 200" in pasted.stdout and "x-bm-provider: " in pasted.stdout

"""`bm run`, with a program in the place of the tool that tells what it was given."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bm.accounts.credentials import load
from bm.clients.catalog import TOOLS
from bm.config.paths import Paths
from bm.daemon import runtime
from tests.cli.conftest import Bm
from tests.clients.conftest import home

__all__ = ["home"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the programs are scripts of POSIX")

TELLS = """\
#!{python}
import json, os, signal, sys
print(json.dumps({{"argv": sys.argv[1:], "environ": dict(os.environ), "pid": os.getpid()}}), flush=True)
if "wait" in sys.argv:
    signal.signal(signal.SIGINT, lambda *_: sys.exit(42))
    print("waits", flush=True)
    signal.pause()
sys.exit(7)
"""


@pytest.fixture
def tools(home: Path, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH that holds nothing but a program called claude and one called codex."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("claude", "codex"):
        (folder / name).write_text(TELLS.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bm", "run", *words]


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


def test_the_daemon_is_started_and_the_tool_finds_it(tools: Path, paths: Paths, home: Path) -> None:
    first = ran("codex", "--", "exec", "--help", "--", "hi")
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    assert first.stderr == f"bm: started at {daemon.url}, pid {daemon.pid} (bm stop ends it)\n"
    told = json.loads(first.stdout)
    assert told["argv"][-4:] == ["exec", "--help", "--", "hi"]
    assert told["environ"]["OPENAI_BASE_URL"] == f"{daemon.url}/v1"
    assert told["environ"]["OPENAI_API_KEY"] == load(paths.accounts).local_key
    assert first.returncode == 7
    second = ran("codex", "--version")
    assert json.loads(second.stdout)["argv"][-1] == "--version"
    assert second.stderr == ""
    assert [file.name for file in home.iterdir()] == ["project"]


def test_the_key_is_in_no_argument(tools: Path, paths: Paths) -> None:
    for name in ("claude", "codex"):
        told = json.loads(ran(name, "x").stdout)
        assert not any(load(paths.accounts).local_key in word for word in told["argv"])


def test_signals_reach_the_tool_and_its_exit_code_comes_back(tools: Path) -> None:
    process = subprocess.Popen(command("claude", "wait"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert process.stdout.readline() == "waits\n"
    assert told["pid"] == process.pid
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 42
    process.stdout.close()


def test_what_wins_all_the_same_is_told(tools: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tools / "qwen").write_text(TELLS.format(python=sys.executable))
    (tools / "qwen").chmod(0o755)
    (home / ".qwen").mkdir()
    (home / ".qwen/settings.json").write_text('{"modelProviders": {"openai": []}}')
    assert "modelProviders.openai overrides" in ran("qwen").stderr


def test_an_unknown_tool_and_one_that_is_not_here(bm: Bm, tools: Path) -> None:
    unknown = bm("run", "nano")
    assert unknown.code == 2 and "claude, codex, gemini" in unknown.err and "bm env" in unknown.err
    missing = bm("run", "gemini")
    assert missing.code == 1 and "npm install -g @google/gemini-cli" in missing.err


def test_the_help_names_every_tool(bm: Bm) -> None:
    said = bm("run", "--help").out
    assert [tool.name for tool in TOOLS if tool.name not in said] == []


def test_a_daemon_that_does_not_start_is_an_error(bm: Bm, tools: Path, paths: Paths) -> None:
    paths.config.write_text("[[[")
    assert bm("run", "claude").code == 2
    assert not os.path.lexists(paths.runtime)

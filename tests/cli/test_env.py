"""`bm env`, read by a real shell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bm.accounts.credentials import load
from bm.config.paths import Paths
from bm.daemon import runtime
from tests.cli.conftest import Bm


def test_the_statements(bm: Bm, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    ran = bm("env", "--shell", "bash")
    key = load(paths.accounts).local_key
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert "unset ANTHROPIC_API_KEY" in lines
    assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:8094" in lines
    assert f"export ANTHROPIC_AUTH_TOKEN={key}" in lines
    assert "export OPENAI_BASE_URL=http://127.0.0.1:8094/v1" in lines
    assert all(line.startswith(("export ", "unset ")) for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX shells")
def test_bash_carries_them_out(bm: Bm, paths: Paths) -> None:
    bm("start")
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    shown = '"$ANTHROPIC_BASE_URL $OPENAI_API_KEY ${ANTHROPIC_API_KEY-unset}"'
    script = f'eval "$({sys.executable} -m bm env)" && echo {shown}'
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == f"{daemon.url} {load(paths.accounts).local_key} unset\n"


def test_a_port_that_is_not_known_yet(bm: Bm) -> None:
    ran = bm("env")
    assert (ran.code, ran.out) == (3, "")
    assert "bm start, then this again" in ran.err


def test_a_daemon_on_every_network_is_reached_over_loopback(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    monkeypatch.setenv("BM_SERVER_HOST", "::")
    assert bm("env", "--json").json["set"]["OPENAI_BASE_URL"] == "http://[::1]:8094/v1"


def test_a_person_is_told_what_it_is_for(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    monkeypatch.setattr("bm.cli.render.is_terminal", lambda: True)
    ran = bm("env", "--shell", "fish")
    assert "set -gx ANTHROPIC_BASE_URL 'http://127.0.0.1:8094'" in ran.out
    assert "carried out by: bm env --shell fish | source" in ran.err
    assert "Claude Code" in ran.err


def test_an_unknown_shell(bm: Bm) -> None:
    assert bm("env", "--shell", "tcsh").code == 2

"""docs/troubleshooting.md quotes what bm says: each situation is played, and its words must be in both."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.simulator import Rule, Simulator
from tests.cli.conftest import PLANTED, Bm
from tests.clients.conftest import home
from tests.daemon.support import foreign_process
from tests.rules.source import ROOT

__all__ = ["home"]

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def said(bm: Bm, *words: str, stdin: str = "") -> str:
    """Everything a command prints, which must fail or warn."""
    ran = bm(*words, stdin=stdin)
    return ran.out + ran.err


@pytest.mark.parametrize(
    ("words", "quoted"),
    [
        (("stauts",), "No such command 'stauts'. Did you mean 'status'"),
        (("providers", "use", "gorq"), "no provider is named 'gorq' (did you mean \"groq\"?)"),
        (("accounts", "disable", "wrok"), "no account is named 'wrok' (did you mean \"work\"?)"),
        (("run", "cluade"), "unknown tool 'cluade' (did you mean \"claude\"?)"),
        (("config", "set", "server.prot", "1"), 'server.prot: unknown key (did you mean "port"?)'),
        (("ask", "-m", "gorq:x", "hi"), "no provider is named gorq: did you mean groq:x?"),
        (("ask", "-m", "groq:x", "hi"), "groq is off: bm providers mode groq fallback"),
        (("providers", "use", "ollama"), "does not run at"),
        (("top",), "bm is not running (bm start)"),
    ],
)
def test_mistyped_names_and_what_is_not_set_up(
    bm: Bm, paths: Paths, simulator: Simulator, words: tuple[str, ...], quoted: str
) -> None:
    paths.config.write_text(
        f'[gemini]\nbase_url = "{simulator.url}"\n[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n'
    )
    bm("accounts", "add", "work", "--no-verify", stdin=PLANTED)
    assert quoted in said(bm, *words)
    assert quoted in PAGE


def test_no_key(bm: Bm, paths: Paths) -> None:
    paths.config.write_text("[gemini]\n")
    for quoted, words in {
        "there is no account yet": (),
        "gemini has no key: bm accounts add NAME": ("ask", "hi"),
    }.items():
        assert quoted in said(bm, *words) and quoted in PAGE


@pytest.fixture
def running(bm: Bm, paths: Paths, simulator: Simulator) -> Simulator:
    """A daemon with one account whose provider is simulated."""
    paths.config.write_text(f'[gemini]\nbase_url = "{simulator.url}"\n')
    bm("accounts", "add", "work", "--no-verify", stdin=PLANTED)
    bm("start")
    return simulator


def test_a_wrong_key(bm: Bm, running: Simulator) -> None:
    running.script(keys=("another-key",))
    expected = {
        "API key not valid. Please pass a valid API key. (not saved": ("accounts", "add", "new"),
        "gemini does not accept the key of account work (bm accounts verify work)": ("ask", "hi"),
    }
    for quoted, words in expected.items():
        assert quoted in said(bm, *words, stdin="wrong-key")
        assert quoted in PAGE
    assert "bm accounts key work" in said(bm)


def test_a_taken_port(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_process() as (pid, port):
        monkeypatch.setenv("BM_SERVER_PORT", str(port))
        output = said(bm, "start")
    assert f"port {port} on 127.0.0.1 is taken by python" in output and f"(pid {pid})" in output
    assert "use another port: bm config set server.port" in output
    assert "port 8094 on 127.0.0.1 is taken by python3 (pid 812)" in PAGE


def test_a_tool_that_is_configured_elsewhere(
    bm: Bm, running: Simulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".claude").mkdir()
    (home / ".claude" / "settings.json").write_text('{"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}')
    quoted = "env.CLAUDE_CODE_USE_BEDROCK in ~/.claude/settings.json makes Claude Code use another service"
    assert quoted in said(bm, "doctor") and quoted in PAGE
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    quoted = "ANTHROPIC_API_KEY is set in this shell and may override these settings"
    assert quoted in said(bm, "setup", "claude") and quoted in PAGE


def test_a_used_up_quota(bm: Bm, running: Simulator) -> None:
    bm("config", "set", "pool.max_wait", "0")
    quota = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    running.script(Rule(api="gemini", status=429, message="Quota exceeded", quota_ids=(quota,), limit=20, times=None))
    bm("ask", "hi")
    for quoted, words in {
        "every account that can serve sonnet is cooling down; the first, work of gemini, recovers in ": ("ask", "hi"),
        "no account is usable now; still cooling down": ("status",),
    }.items():
        assert quoted in said(bm, *words) and quoted in PAGE
    assert "add an account (bm accounts add NAME)" in said(bm, "why")


def test_old_settings(bm: Bm, running: Simulator, paths: Paths) -> None:
    paths.config.write_text(paths.config.read_text() + "[server]\nprot = 1\n")
    quoted = "the configuration is invalid, the previous one stays in force"
    limit = time.monotonic() + 30
    while quoted not in (status := said(bm, "status")):
        assert time.monotonic() < limit, status
    assert quoted in PAGE
    assert bm("ask", "hi").code == 0
    assert "unknown key" in said(bm, "restart")
    quoted = "was not changed because it has errors; fix them first"
    assert quoted in said(bm, "config", "set", "server.drain", "3") and quoted in PAGE


@pytest.mark.parametrize(
    ("address", "quoted"),
    [
        ("http://127.0.0.1:9", "gemini cannot be reached"),
        ("http://no-such-host.invalid", "the name of gemini cannot be resolved"),
    ],
)
def test_no_network(bm: Bm, running: Simulator, address: str, quoted: str) -> None:
    bm("config", "set", "gemini.base_url", address)
    assert quoted in said(bm, "ask", "hi") and quoted in PAGE
    assert "has not answered since" in said(bm, "doctor") and "has not answered since" in PAGE
    assert "1 usable" in said(bm, "status"), "the network disables no account"
    bm("config", "set", "gemini.base_url", running.url)
    assert bm("test").code == 0
    assert "has not answered since" not in said(bm, "doctor")

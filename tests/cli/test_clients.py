"""`bm run`, `bm setup` and `bm env`, with scripts in place of the tools."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.clients.catalog import TOOLS
from bm.config.paths import Paths
from bm.daemon import runtime
from tests.cli.conftest import PLANTED, Bm
from tests.clients.conftest import home

__all__ = ["home"]

posix = pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")


def test_env_prints_statements_for_a_shell(bm: Bm, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_bash_runs_the_statements(bm: Bm, paths: Paths) -> None:
    bm("start")
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    shown = '"$ANTHROPIC_BASE_URL $OPENAI_API_KEY ${ANTHROPIC_API_KEY-unset}"'
    script = f'eval "$({sys.executable} -m bm env)" && echo {shown}'
    run = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == f"{daemon.url} {load(paths.accounts).local_key} unset\n"


def test_a_daemon_on_every_network_is_reached_over_loopback(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    monkeypatch.setenv("BM_SERVER_HOST", "::")
    assert bm("env", "--json").json["set"]["OPENAI_BASE_URL"] == "http://[::1]:8094/v1"


def test_tools_are_given_the_address_of_the_proxy_in_front(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_URL", "https://bm.example/")
    assert bm("env", "--json").json["set"]["OPENAI_BASE_URL"] == "https://bm.example/v1"


def test_a_colleague_is_given_another_key(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    given = bm("env", "--key", "bm-of-ada", "--json").json["set"]
    assert {value for name, value in given.items() if "KEY" in name or "TOKEN" in name} == {"bm-of-ada"}


def test_env_explains_itself_on_a_terminal(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    monkeypatch.setattr("bm.cli.render.is_terminal", lambda: True)
    ran = bm("env", "--shell", "fish")
    assert "set -gx ANTHROPIC_BASE_URL 'http://127.0.0.1:8094'" in ran.out
    assert "to apply: bm env --shell fish | source" in ran.err
    assert "Claude Code" in ran.err


def test_an_unknown_shell(bm: Bm) -> None:
    assert bm("env", "--shell", "tcsh").code == 2


REPORTER = """\
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
        (folder / name).write_text(REPORTER.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "bm", "run", *words]


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


@posix
def test_run_starts_the_daemon_and_the_tool_uses_it(tools: Path, paths: Paths, home: Path) -> None:
    first = ran("codex", "--", "exec", "--help", "--", "hi")
    daemon = runtime.read(paths.runtime)
    assert daemon is not None
    assert first.stderr == f"bm: started at {daemon.url}, pid {daemon.pid} (bm stop stops it)\n"
    given = json.loads(first.stdout)
    assert given["argv"][-4:] == ["exec", "--help", "--", "hi"]
    assert given["environ"]["OPENAI_BASE_URL"] == f"{daemon.url}/v1"
    assert given["environ"]["OPENAI_API_KEY"] == load(paths.accounts).local_key
    assert first.returncode == 7
    second = ran("codex", "--version")
    assert json.loads(second.stdout)["argv"][-1] == "--version"
    assert second.stderr == ""
    assert [file.name for file in home.iterdir()] == ["project"]


@posix
def test_run_says_first_that_no_account_can_serve_the_tool(tools: Path, paths: Paths) -> None:
    words = "bm: Claude Code would get no answer: "
    assert words in ran("claude", "hi").stderr and "bm accounts add NAME" in ran("claude", "hi").stderr
    update(paths.accounts, lambda stored: stored.add(Account(name="work", key=PLANTED)))
    ran("claude", "--version")
    assert subprocess.run([sys.executable, "-m", "bm", "accounts", "enable", "work"], check=False).returncode == 0
    assert words not in ran("claude", "hi").stderr


@posix
def test_run_passes_no_key_as_an_argument(tools: Path, paths: Paths) -> None:
    for name in ("claude", "codex"):
        given = json.loads(ran(name, "x").stdout)
        assert not any(load(paths.accounts).local_key in word for word in given["argv"])


@posix
def test_run_passes_signals_and_returns_the_exit_code(tools: Path) -> None:
    process = subprocess.Popen(command("claude", "wait"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    given = json.loads(process.stdout.readline())
    assert process.stdout.readline() == "waits\n"
    assert given["pid"] == process.pid
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 42
    process.stdout.close()


@posix
def test_run_reports_what_overrides_it(tools: Path, home: Path) -> None:
    (tools / "qwen").write_text(REPORTER.format(python=sys.executable))
    (tools / "qwen").chmod(0o755)
    (home / ".qwen").mkdir()
    (home / ".qwen/settings.json").write_text('{"modelProviders": {"openai": []}}')
    assert "modelProviders.openai overrides" in ran("qwen").stderr


def test_run_needs_a_known_and_installed_tool(bm: Bm, tools: Path) -> None:
    unknown = bm("run", "nano")
    assert unknown.code == 2 and "claude, codex, gemini" in unknown.err and "bm env" in unknown.err
    missing = bm("run", "gemini")
    assert missing.code == 1 and "npm install -g @google/gemini-cli" in missing.err


def test_the_help_of_run_names_every_tool(bm: Bm) -> None:
    said = bm("run", "--help").out
    assert [tool.name for tool in TOOLS if tool.runs and tool.name not in said] == []


def test_run_fails_when_the_daemon_does_not_start(bm: Bm, tools: Path, paths: Paths) -> None:
    paths.config.write_text("[[[")
    assert bm("run", "claude").code == 2
    assert not os.path.lexists(paths.runtime)


@pytest.fixture
def settings(home: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of Claude Code, with the user's own key in them; bm has a fixed port."""
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    file = home / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text(f'{{\n  "env": {{"ANTHROPIC_AUTH_TOKEN": "{PLANTED}"}}\n}}\n')
    return file


def test_setup_configures_a_tool_and_undo_restores_it(bm: Bm, paths: Paths, settings: Path) -> None:
    before = settings.read_text()
    ran = bm("setup", "claude")
    key = load(paths.accounts).local_key
    assert ran.code == 0
    assert '"ANTHROPIC_BASE_URL": "http://127.0.0.1:8094"' in ran.out
    assert "Claude Code now uses http://127.0.0.1:8094" in ran.out
    assert "bm is not running (bm start)" in ran.err
    assert key in settings.read_text()
    ran_again, undone = bm("setup", "claude"), bm("setup", "claude", "--undo")
    assert ran_again.out == "Claude Code is set up already\n"
    assert "the previous ones restored" in undone.out
    assert settings.read_text() == before
    assert bm("setup", "--undo").out == "bm has not changed the settings of any tool\n"
    said = "".join(each.out + each.err for each in (ran, ran_again, undone))
    assert key not in said and PLANTED not in said


def test_a_dry_run_changes_nothing(bm: Bm, paths: Paths, settings: Path) -> None:
    before = settings.read_text()
    ran = bm("setup", "claude", "--dry-run")
    assert ran.out.endswith("nothing was changed (--dry-run)\n")
    assert settings.read_text() == before and not paths.clients.exists()
    bm("setup", "claude")
    after = settings.read_text()
    assert bm("setup", "claude", "--undo", "--dry-run").out.endswith("nothing was changed (--dry-run)\n")
    assert settings.read_text() == after


def test_setup_lists_the_status_of_each_tool(bm: Bm, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bm("setup", "claude")
    states = {each["tool"]: each["state"] for each in bm("setup", "--json").json["tools"]}
    assert states["claude"] == "yes" and states["codex"] == "no"
    monkeypatch.setenv("BM_SERVER_PORT", "8095")
    assert bm("setup").out.splitlines()[1].split()[-2:] == ["stale", "~/.claude/settings.json"]
    assert bm("setup", "claude", "--json").json["files"] == [{"path": str(settings), "changed": True, "left": []}]
    assert "http://127.0.0.1:8095" in settings.read_text()


def test_setup_again_replaces_an_outdated_key(bm: Bm, paths: Paths, settings: Path) -> None:
    bm("setup", "claude")
    old = load(paths.accounts).local_key
    update(paths.accounts, lambda stored: type(stored)(local_key="bm-another-key-of-the-tests"))
    assert old not in bm("setup", "claude").out
    assert "bm-another-key-of-the-tests" in settings.read_text() and old not in settings.read_text()


def test_undo_reports_settings_that_were_changed_since(bm: Bm, settings: Path) -> None:
    bm("setup", "claude")
    settings.write_text(settings.read_text().replace("http://127.0.0.1:8094", "https://elsewhere"))
    ran = bm("setup", "--undo")
    assert "~/.claude/settings.json: env.ANTHROPIC_BASE_URL was changed since and stays as it is" in ran.err
    assert "https://elsewhere" in settings.read_text()


def test_undo_goes_on_after_a_file_that_cannot_be_read(bm: Bm, settings: Path, home: Path) -> None:
    before = settings.read_text()
    bm("setup", "codex")
    bm("setup", "claude")
    config = home / ".codex" / "config.toml"
    config.write_text("[[[")
    ran = bm("setup", "--undo")
    assert ran.code == 2
    assert "codex: ~/.codex/config.toml: is not changed: it is not valid TOML" in ran.err
    assert settings.read_text() == before
    config.unlink()
    assert bm("setup", "--undo", "--json").json["tools"]["codex"]["files"][0]["changed"] is False
    assert bm("setup", "codex", "--undo").out == "codex: bm has not changed its settings\n"


def test_setup_reports_what_overrides_it(bm: Bm, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAUDE_CODE_USE_VERTEX", "1")
    Path(".claude").mkdir()
    Path(".claude/settings.local.json").write_text('{"env": {"ANTHROPIC_AUTH_TOKEN": "x"}}')
    said = bm("setup", "claude", "--dry-run").err
    assert "CLAUDE_CODE_USE_VERTEX is set in this shell" in said
    assert "~/project/.claude/settings.local.json: env.ANTHROPIC_AUTH_TOKEN overrides" in said


def test_a_file_that_cannot_be_edited_is_left_alone(bm: Bm, settings: Path) -> None:
    settings.write_text("{env: {}}")
    ran = bm("setup", "claude")
    assert ran.code == 2
    assert "not valid JSON (line 1)" in ran.err and '"ANTHROPIC_AUTH_TOKEN": "BM-KEY"' in ran.err
    assert settings.read_text() == "{env: {}}"


def test_an_unknown_tool(bm: Bm, home: Path) -> None:
    for words in (("setup", "nano"), ("setup", "nano", "--undo")):
        ran = bm(*words)
        assert ran.code == 2 and "claude, codex, gemini" in ran.err


def test_with_port_0_the_address_is_known_only_while_bm_runs(bm: Bm, home: Path) -> None:
    for words in (("env",), ("setup", "claude")):
        ran = bm(*words)
        assert (ran.code, ran.out) == (3, "") and "bm start, then try again" in ran.err
    bm("start")
    assert "port changes at each start" in bm("setup", "claude").err


def test_the_doctor_checks_what_was_set_up(bm: Bm, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tools() -> list[str]:
        return [each["result"] for each in bm("doctor", "--json").json["checks"] if each["check"] == "tools"]

    assert tools() == []
    bm("setup", "claude")
    assert tools() == ["ok"]
    monkeypatch.setenv("BM_SERVER_PORT", "8095")
    assert tools() == ["warning"]
    assert "bm setup claude" in bm("doctor").out


def test_a_journal_that_cannot_be_read(bm: Bm, paths: Paths, settings: Path) -> None:
    paths.clients.write_text("{")
    assert bm("setup", "claude").code == 2
    assert os.fspath(paths.clients) in bm("doctor").out


def test_an_editor_is_set_up_and_not_run(bm: Bm, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    assert bm("run", "zed") == (2, "", "error: Zed is set up, not run: bm setup zed\n")
    ran = bm("setup", "zed")
    assert (ran.code, "agent: open settings" in ran.err) == (0, True)
    assert "groq" not in (home / ".config/zed/settings.json").read_text()
    bm("setup", "zed", "--undo")
    assert not (home / ".config/zed").exists()


def test_an_editor_without_settings_files_is_explained(bm: Bm, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_SERVER_PORT", "8094")
    ran = bm("setup", "jetbrains")
    assert (ran.code, "/v1" in ran.out) == (0, True)

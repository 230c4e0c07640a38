"""`bm start`, `stop`, `restart`, `status`, `logs` on a real daemon."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys

import msgspec
import psutil
import pytest

from bm import __version__
from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.cli.daemon import shared_in_words
from bm.config.paths import Paths
from bm.config.secrets import hint
from bm.daemon import runtime
from bm.daemon.runtime import Daemon
from tests.cli.conftest import Bm
from tests.daemon.support import foreign_process


def running(paths: Paths) -> Daemon:
    found = runtime.read(paths.runtime)
    assert found is not None
    return found


def test_start_prints_address_key_and_next_step(bm: Bm, paths: Paths) -> None:
    ran = bm("start")
    daemon = running(paths)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"bm is running at {daemon.url} (pid {daemon.pid})\n"
        f"key   {hint(load(paths.accounts).local_key)}\n"
        "next  bm init, or bm accounts add NAME (get a Gemini key: https://aistudio.google.com/apikey)\n"
    )
    assert bm("start").out.startswith(f"bm is already running at {daemon.url} (pid {daemon.pid})\n")


def test_with_an_account_the_next_step_is_to_use_it(bm: Bm) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="a-key-of-some-kind")
    assert "next  bm run TOOL" in bm("start").out


def test_stop_and_stop_again(bm: Bm, paths: Paths) -> None:
    bm("start")
    pid = running(paths).pid
    assert bm("stop") == (0, f"bm has stopped (pid {pid})\n", "")
    assert bm("stop") == (0, "bm is not running\n", "")


def test_restart_keeps_the_daemon_when_the_new_configuration_would_not_start(bm: Bm, paths: Paths) -> None:
    bm("start")
    before = running(paths)
    paths.config.write_text("[pool]\nmax_wiat = 3\n")
    ran = bm("restart")
    assert ran.code == 2 and f"{paths.config}:2: pool.max_wiat" in ran.err
    assert running(paths) == before and bm("status").code == 0


def test_restart_keeps_the_daemon_when_accounts_cannot_be_read(bm: Bm, paths: Paths) -> None:
    bm("start")
    before = running(paths)
    kept = paths.accounts.read_text()
    paths.accounts.write_text("[[[")
    assert bm("restart").code == 2
    paths.accounts.write_text(kept)
    assert running(paths) == before and bm("status").code == 0


def test_restart_keeps_the_daemon_when_the_new_address_is_taken(
    bm: Bm, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    bm("start")
    before = running(paths)
    with foreign_process() as (pid, port):
        monkeypatch.setenv("BM_SERVER_PORT", str(port))
        ran = bm("restart")
    assert ran.code == 1 and f"port {port} on 127.0.0.1 is taken by " in ran.err and f"(pid {pid})" in ran.err
    assert running(paths) == before and bm("status").code == 0


def test_restart_is_a_new_process(bm: Bm, paths: Paths) -> None:
    bm("start")
    old = running(paths)
    ran = bm("restart")
    assert ran.out.startswith(
        f"bm has taken over from the previous daemon (pid {old.pid})\nbm is running at {old.url} "
    )
    assert running(paths).token != old.token


def on_a_full_disk(*words: str) -> subprocess.CompletedProcess[str]:
    """The command where no file can grow."""

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    command = [sys.executable, "-m", "bm", *words]
    return subprocess.run(command, capture_output=True, text=True, preexec_fn=full, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no files")
def test_a_full_disk_is_reported_and_a_running_daemon_goes_on(bm: Bm, paths: Paths) -> None:
    ran = on_a_full_disk("start")
    assert ran.returncode and ran.stderr == f"error: {paths.accounts}: cannot be written: File too large\n"
    bm("start")
    before = running(paths)
    ran = on_a_full_disk("restart")
    assert ran.returncode and ran.stderr == f"error: {paths.runtime}: File too large\n"
    assert running(paths) == before and bm("status").code == 0


def test_start_says_why_it_fails(bm: Bm, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_process() as (pid, port):
        monkeypatch.setenv("BM_SERVER_PORT", str(port))
        ran = bm("start")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"error: port {port} on 127.0.0.1 is taken by ")
    assert f"(pid {pid})" in ran.err
    monkeypatch.setenv("BM_SERVER_PORT", "0")
    paths.accounts.write_text("[[[")
    ran = bm("start")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {paths.accounts}:1: it is not valid TOML")


def test_status_without_a_daemon(bm: Bm) -> None:
    assert bm("status") == (3, "bm is not running (bm start)\n", "")
    assert bm("status", "--json").json == {"running": False, "pid": None, "cli_version": __version__, "service": None}


@pytest.mark.skipif(sys.platform == "win32", reason="closes a stream as POSIX shells do")
def test_closed_or_full_output_is_no_crash(bm: Bm, paths: Paths) -> None:
    for redirection, code in (">&-", 3), ("2>&-", 3), (">&- 2>&- <&-", 3), (">/dev/full", 1):
        command = f'"{sys.executable}" -m bm status {redirection}'
        ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert ran.returncode == code and "Traceback" not in ran.stderr, (redirection, ran)


def test_status_of_a_daemon(bm: Bm, paths: Paths) -> None:
    bm("start")
    daemon = running(paths)
    ran = bm("status")
    assert ran.code == 0
    names = [line.split()[0] for line in ran.out.splitlines()]
    assert names == ["bm", "version", "pid", "up", "config", "accounts", "providers", "requests"]
    answer = bm("status", "--json").json
    assert set(answer) >= {"version", "pid", "uptime", "port", "config", "accounts", "providers", "requests"}
    assert (answer["running"], answer["version_skew"], answer["url"]) == (True, False, daemon.url)


@pytest.mark.parametrize(
    ("away", "others", "line"),
    [
        (None, [], "node a of 1 (a); on Valkey 9.1"),
        (None, [("b", True), ("c", False)], "node a of 2 (a, b); on Valkey 9.1; gone: c"),
        ({"since": 0.0}, [], "node a of 1 (a); on Valkey 9.1; the store is away since 19"),
    ],
)
def test_status_tells_of_a_team(away: dict[str, float] | None, others: list[tuple[str, bool]], line: str) -> None:
    nodes = [{"name": name, "here": here} for name, here in [("a", True), *others]]
    team = {"node": "a", "store": "Valkey 9.1", "away": away, "nodes": nodes}
    assert shared_in_words(team).startswith(line)
    assert shared_in_words(None) == ""


def test_status_of_every_node_without_a_team(bm: Bm) -> None:
    bm("start")
    assert bm("status", "--all").out == "this daemon is alone: no store is shared ([shared] url)\n"


def test_status_notes_a_daemon_of_another_version(bm: Bm, monkeypatch: pytest.MonkeyPatch) -> None:
    bm("start")
    monkeypatch.setattr("bm.__version__", "9.9.9")
    assert bm("status").err == f"note: the daemon is version {__version__}, this command is 9.9.9: bm restart\n"
    assert bm("status", "--json").json["version_skew"] is True


def test_status_notes_an_invalid_configuration(bm: Bm, paths: Paths) -> None:
    bm("start")
    paths.config.write_text("[server]\nprot = 1\n")
    daemon = running(paths)
    from bm.daemon.client import ask

    ask(daemon, "POST", "/admin/reload", key=load(paths.accounts).local_key)
    assert f"the previous one stays in force: {paths.config}:2: server.prot" in bm("status").err


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_status_of_a_stuck_daemon(bm: Bm, paths: Paths) -> None:
    bm("start")
    pid = running(paths).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert bm("status") == (
            1,
            f"bm does not respond (pid {pid}): it is stopping or stuck (bm stop, or bm stop --now)\n",
            "",
        )
    finally:
        psutil.Process(pid).kill()


def test_logs(bm: Bm, paths: Paths) -> None:
    assert bm("logs") == (0, "", f"{paths.log} does not exist yet (bm start)\n")
    assert bm("logs", "--json").json == {"path": str(paths.log), "lines": []}
    bm("start")
    bm("stop")
    lines = bm("logs").out.splitlines()
    assert "serves at" in lines[0]
    assert bm("logs", "-n", "1").out.splitlines() == lines[-1:]
    assert bm("logs", "--json").json["lines"] == lines
    assert bm("logs", "--json", "-f").code == 2


def test_following_the_log_ends_with_ctrl_c(bm: Bm, paths: Paths) -> None:
    bm("start")
    command = [sys.executable, "-m", "bm", "logs", "-f"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "serves at" in process.stdout.readline()
        with paths.log.open("a") as log:
            log.write("one more\n")
        assert process.stdout.readline() == "one more\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_in_the_foreground_a_signal_stops_it(bm: Bm, paths: Paths) -> None:
    command = [sys.executable, "-m", "bm", "start", "--foreground"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "serves at" in process.stderr.readline()
        assert bm("status", "--json").json["pid"] == process.pid
        daemon = running(paths)
        second = bm("start", "--foreground")
        already = f"error: bm is already running at {daemon.url} (pid {daemon.pid}): stop it with bm stop\n"
        assert second == (1, "", already)
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0
    assert bm("status").code == 3


def test_the_local_key_is_never_printed_or_written(bm: Bm, paths: Paths) -> None:
    shown = [bm("start"), bm("status"), bm("status", "--json"), bm("accounts"), bm("doctor"), bm("stop"), bm("logs")]
    key = load(paths.accounts).local_key
    assert key not in msgspec.json.encode(shown).decode()
    written = [file.read_bytes() for file in paths.config.parent.iterdir() if file != paths.accounts]
    assert [content for content in written if key.encode() in content] == []


def test_status_gives_each_provider_its_mode_or_its_state(bm: Bm, paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\n[providers.ollama]\n')
    bm("start")
    (line,) = [each for each in bm("status").out.splitlines() if each.startswith("providers")]
    assert line.split("  ")[1].strip() == "groq needs key, ollama ready"


def test_status_names_an_account_that_cannot_be_used(bm: Bm, paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="work", key="env:NO_SUCH_VARIABLE")))
    bm("start")
    assert "note: account work of gemini is disabled: env:NO_SUCH_VARIABLE: " in bm("status").err

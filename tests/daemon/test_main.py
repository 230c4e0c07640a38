"""The daemon process."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from bm import __version__
from bm.accounts.account import Account
from bm.accounts.credentials import load, update
from bm.config.files import locked
from bm.config.paths import Paths, make_folders
from bm.daemon.client import ask
from bm.daemon.main import AlreadyRunning, run
from bm.daemon.start import start
from bm.daemon.stop import stop
from bm.errors import ConfigError

PLANTED = "planted-key-0123456789abcdef"


def test_it_describes_itself_in_daemon_json(paths: Paths) -> None:
    running = start(paths).daemon
    process = psutil.Process(running.pid)
    assert running.created == pytest.approx(process.create_time(), abs=1)
    assert running.version == __version__
    assert (running.host, running.port > 0) == ("127.0.0.1", True)
    if sys.platform != "win32":
        assert stat.S_IMODE(paths.runtime.stat().st_mode) == 0o600
        assert stat.S_IMODE(paths.log.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_a_signal_stops_it_cleanly(paths: Paths) -> None:
    running = start(paths).daemon
    os.kill(running.pid, signal.SIGTERM)
    with locked(paths.lock, timeout=10):
        assert not paths.runtime.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_a_closing_terminal_does_not_stop_it(paths: Paths) -> None:
    running = start(paths).daemon
    os.kill(running.pid, signal.SIGHUP)
    assert ask(running, "GET", "/healthz").status == 200
    assert start(paths).daemon == running


@pytest.fixture
def hangs_up() -> Iterator[None]:
    """Processes started here receive SIGHUP, even if the tests ignore it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_in_the_foreground_it_stops_cleanly_with_its_terminal(paths: Paths, hangs_up: None) -> None:
    command = [sys.executable, "-m", "bm", "start", "--foreground"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "serves at" in process.stderr.readline()
        process.send_signal(signal.SIGHUP)
        process.communicate()
    assert process.returncode == 0
    assert not paths.runtime.exists()


def test_temporary_files_of_an_interrupted_run_are_removed_at_the_start(paths: Paths) -> None:
    make_folders(paths)
    own = ("config.toml", "accounts.toml", "daemon.json", "ledger.db", "state.json", "models.json", "sessions.json")
    left = [paths.ledger.with_name(f".{name}.a1b2c3.tmp") for name in own]
    foreign = paths.ledger.with_name("notes.tmp")
    for file in (*left, foreign):
        file.write_text("a key, perhaps")
    start(paths)
    assert [file.name for file in left if file.exists()] == []
    assert foreign.exists()


def test_it_logs_start_and_stop(paths: Paths) -> None:
    running = start(paths).daemon
    stop(paths, 30)
    log = paths.log.read_text()
    assert f"bm {__version__} serves at {running.url} (pid {running.pid}" in log
    assert "bm has stopped" in log


def test_nothing_it_writes_or_shows_contains_a_key(paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="one", key=PLANTED)))
    running = start(paths).daemon
    local_key = load(paths.accounts).local_key
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": local_key}], "x": PLANTED}
    ask(running, "POST", f"/v1/messages?{PLANTED}", key=PLANTED, body=body)
    shown = [json.dumps(ask(running, "GET", f"/admin/{name}", key=local_key).body) for name in ("status", "accounts")]
    process = psutil.Process(running.pid)
    shown += [*process.cmdline(), str(process.environ())]
    stop(paths, 0, now=True)
    written = {file: file.read_bytes() for file in paths.config.parent.rglob("*") if file != paths.accounts}
    for secret in (PLANTED, local_key, running.token):
        assert [text for text in shown if secret in text] == []
        assert [file.name for file, content in written.items() if secret.encode() in content] == []


def test_a_second_daemon_does_not_serve(paths: Paths) -> None:
    with locked(paths.lock), pytest.raises(AlreadyRunning, match=r"daemon\.lock"):
        run(paths, os.environ, lambda daemon: None, terminal=False)


def test_a_wrong_setting_is_raised_and_logged(paths: Paths, clean_logging: None) -> None:
    paths.config.write_text("[server]\nprot = 1\n")
    with pytest.raises(ConfigError) as caught:
        run(paths, os.environ, lambda daemon: None, terminal=False)
    assert not paths.runtime.exists()
    assert paths.log.read_text().endswith(f"not started: {caught.value}\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_in_the_foreground_it_logs_to_the_terminal_and_stops_on_ctrl_c(paths: Paths) -> None:
    code = (
        "import os; from bm.config.paths import Paths; from bm.daemon.main import run;"
        "run(Paths.default(), os.environ, lambda daemon: print(daemon.url, flush=True), terminal=True)"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert f"serves at {url}" in errors
    assert process.returncode == 0
    assert not paths.runtime.exists()

"""Starting: exactly one daemon, a reason on failure, and no leftovers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from bm.accounts.credentials import load
from bm.config.files import locked
from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.client import ask, find
from bm.daemon.start import StartError, main, start
from bm.daemon.stop import stop
from tests.daemon.support import daemon, foreign_process

START = """
from bm.config.paths import Paths
from bm.daemon.start import start
print(start(Paths.default()).daemon.pid)
"""


def nothing_left(paths: Paths) -> bool:
    """Whether the lock is free and daemon.json is gone."""
    with locked(paths.lock, timeout=0):
        return not paths.runtime.exists()


def test_it_accepts_the_local_key(paths: Paths) -> None:
    started = start(paths)
    assert not started.already
    answer = ask(started.daemon, "GET", "/admin/status", key=load(paths.accounts).local_key)
    assert (answer.status, answer.body["pid"]) == (200, started.daemon.pid)
    assert ask(started.daemon, "GET", "/admin/status", key="wrong").status == 401


def test_a_second_start_finds_the_running_daemon(paths: Paths) -> None:
    first = start(paths).daemon
    again = start(paths)
    assert (again.daemon, again.already) == (first, True)


def test_two_concurrent_commands_start_one_daemon(paths: Paths) -> None:
    both = [subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {process.communicate()[0].strip() for process in both}
    found = find(paths)
    assert found is not None
    assert pids == {str(found.daemon.pid)}


def test_two_concurrent_threads_start_one_daemon(paths: Paths) -> None:
    gate = threading.Barrier(2)

    def begin() -> int:
        gate.wait()
        return start(paths).daemon.pid

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.submit(begin), threads.submit(begin)
    assert one.result() == other.result()


def test_a_killed_daemon_does_not_block_the_next(paths: Paths) -> None:
    first = start(paths).daemon
    psutil.Process(first.pid).kill()
    while runtime.same_process(first):
        pass
    assert paths.runtime.exists()
    second = start(paths)
    assert not second.already
    assert second.daemon.token != first.token


def test_a_file_from_before_a_reboot_does_not_block(paths: Paths, free_port: int) -> None:
    with foreign_process() as (pid, _):
        runtime.write(paths.runtime, daemon(pid=pid, port=free_port))
        assert not start(paths).already


def test_the_owner_of_the_port_is_named(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    with foreign_process() as (pid, port):
        monkeypatch.setenv("BM_SERVER_PORT", str(port))
        with pytest.raises(StartError, match=rf"port {port} on 127.0.0.1 is taken by .+ \(pid {pid}\)") as caught:
            start(paths)
    assert not caught.value.usage
    assert nothing_left(paths)


def test_a_home_that_is_a_file_is_named_with_a_remedy(paths: Paths) -> None:
    paths.config.parent.joinpath("file").touch()
    elsewhere = Paths.under(paths.config.parent / "file")
    with pytest.raises(StartError, match=r"/file: File exists .*BM_HOME names another folder"):
        start(elsewhere)


def test_a_wrong_setting_is_named_with_its_line(paths: Paths) -> None:
    paths.config.write_text('[server]\nport = 8094\nhots = "x"\n')
    with pytest.raises(StartError) as caught:
        start(paths)
    assert str(caught.value).startswith(f"{paths.config}:3: server.hots")
    assert caught.value.usage
    assert nothing_left(paths)


def test_an_unreadable_accounts_file_is_named_and_not_quoted(paths: Paths) -> None:
    paths.accounts.write_text('local_key = "bm-planted\n')
    with pytest.raises(StartError, match=r"accounts\.toml:1: it is not valid TOML") as caught:
        start(paths)
    assert "planted" not in str(caught.value)
    assert caught.value.usage
    assert nothing_left(paths)


def test_a_daemon_without_a_report_is_explained_by_its_log(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.daemon.spawn._MODULE", "bm.daemon.no_such_module")
    with pytest.raises(StartError, match=r"ended while it was starting; the last lines of .*\n.*no_such_module"):
        start(paths)


def test_a_daemon_that_does_not_become_ready_is_killed(paths: Paths) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\nmode = "pooled"\napi_key = "cmd:sleep 30"\n')
    with pytest.raises(StartError, match="did not answer within"):
        start(paths, limit=2)
    with locked(paths.lock, timeout=5):
        assert not paths.runtime.exists()


def test_a_lock_of_an_unknown_process_is_reported(paths: Paths) -> None:
    with locked(paths.lock), pytest.raises(StartError, match="another bm process has not ended yet"):
        start(paths, limit=1)


def test_a_relative_home_is_resolved_in_the_current_folder(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths.config.parent.parent)
    monkeypatch.setenv("BM_HOME", paths.config.parent.name)
    start(Paths.default(os.environ))
    assert runtime.read(paths.runtime) is not None


def test_a_windows_task_starts_it_without_output(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BM_HOME")
    assert main(str(paths.config.parent)) == 0
    assert runtime.read(paths.runtime) is not None
    paths.config.write_text("[[[")
    stop(paths, 0, now=True)
    assert main(str(paths.config.parent)) == 1
    assert capsys.readouterr() == ("", "")

"""Stopping: the daemon ends, and no other process is signalled."""

from __future__ import annotations

import os
import signal
import sys

import psutil
import pytest

from bm.config.files import locked
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.client import find
from bm.daemon.start import start
from bm.daemon.stop import stop
from bm.errors import DaemonError
from tests.daemon.support import answering, daemon, foreign_process


def test_a_running_daemon_ends_when_asked(paths: Paths) -> None:
    running = start(paths).daemon
    stopped = stop(paths, 5)
    assert stopped is not None
    assert (stopped.daemon, stopped.how) == (running, "asked")
    assert runtime.same_process(running) is None
    assert not paths.runtime.exists()


def test_nothing_to_stop(paths: Paths) -> None:
    assert stop(paths, 5) is None


def test_leftovers_of_a_crash_are_removed(paths: Paths) -> None:
    running = start(paths).daemon
    psutil.Process(running.pid).kill()
    while runtime.same_process(running):
        pass
    assert stop(paths, 5) is None
    assert not paths.runtime.exists()


def test_a_daemon_with_a_changed_key_is_stopped_by_a_signal(paths: Paths) -> None:
    start(paths)
    paths.accounts.write_text("not toml")
    stopped = stop(paths, 5)
    assert stopped is not None
    assert find(paths) is None


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX signals")
def test_a_stuck_daemon_is_killed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.daemon.client.PATIENCE", 0.2)
    running = start(paths).daemon
    os.kill(running.pid, signal.SIGSTOP)
    waits: list[float] = []
    stopped = stop(paths, 0, now=True, waiting=waits.append)
    assert stopped is not None
    assert stopped.how == "killed"
    assert waits
    assert runtime.same_process(running) is None
    assert not paths.runtime.exists()


def test_a_process_with_a_recycled_pid_is_not_signalled(paths: Paths, free_port: int) -> None:
    make_folders(paths)
    with foreign_process() as (pid, _):
        runtime.write(paths.runtime, daemon(pid=pid, port=free_port))
        assert stop(paths, 0, now=True) is None
        assert psutil.pid_exists(pid)


def test_another_server_on_the_recorded_port_is_neither_asked_nor_signalled(paths: Paths) -> None:
    make_folders(paths)
    other = b'{"status": "ok", "instance": "0123456789abcdef"}'
    with foreign_process() as (pid, _), answering(200, other) as port:
        runtime.write(paths.runtime, daemon(pid=pid, port=port))
        assert stop(paths, 0, now=True) is None


def test_a_daemon_that_is_still_starting_is_reported(paths: Paths) -> None:
    make_folders(paths)
    with locked(paths.lock), pytest.raises(DaemonError, match="still starting"):
        stop(paths, 0)

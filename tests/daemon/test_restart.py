"""Restarting: by handing over where that is possible, else by stopping and starting."""

from __future__ import annotations

import os
import socket

import pytest

from bm.config.files import is_held
from bm.config.paths import Paths
from bm.daemon import restart as module
from bm.daemon import runtime
from bm.daemon.client import find
from bm.daemon.restart import restart
from bm.daemon.start import StartError, start
from tests.daemon.support import answering, daemon
from tests.support.daemon import daemon as in_foreground


def test_the_next_daemon_has_the_address_and_the_lock(paths: Paths) -> None:
    old = start(paths).daemon
    done = restart(paths, os.environ, 30)
    new = done.started.daemon
    assert (done.handed_over, done.stopped, done.note) == (old, None, "")
    assert (new.url, new.pid != old.pid, new.token != old.token) == (old.url, True, True)
    while runtime.same_process(old):
        pass
    assert is_held(paths.lock) and runtime.read(paths.runtime) == new
    assert find(paths) is not None


def test_without_a_daemon_one_is_started(paths: Paths) -> None:
    done = restart(paths, os.environ, 30)
    assert (done.handed_over, done.stopped) == (None, None)
    assert runtime.read(paths.runtime) == done.started.daemon


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_changed_address(paths: Paths, monkeypatch: pytest.MonkeyPatch, free_port: int, host: str) -> None:
    """A new port is bound beside the old one; a new host on the same port only after the old one is closed."""
    old = start(paths).daemon
    monkeypatch.setenv("BM_SERVER_HOST", host)
    monkeypatch.setenv("BM_SERVER_PORT", str(free_port if host == old.host else old.port))
    done = restart(paths, os.environ, 30)
    new = done.started.daemon
    assert done.handed_over == old
    assert (new.host, new.port) == (host, free_port if host == old.host else old.port)


def test_a_taken_address_is_explained_and_the_daemon_goes_on(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    old = start(paths).daemon
    with socket.socket(socket.AF_INET6) as other:
        try:
            other.bind(("::1", old.port))
        except OSError:
            pytest.skip("this machine has no ::1, or the port is taken there")
        other.listen()
        monkeypatch.setenv("BM_SERVER_HOST", "::1")
        monkeypatch.setenv("BM_SERVER_PORT", str(old.port))
        with pytest.raises(StartError, match=rf"port {old.port} on ::1 is taken by \S+ \(pid {os.getpid()}\)"):
            restart(paths, os.environ, 30)
    while not ((found := find(paths)) and found.answers):
        pass
    assert found.daemon == old


def test_invalid_settings_change_nothing(paths: Paths) -> None:
    old = start(paths).daemon
    paths.config.write_text("[server]\nprot = 1\n")
    with pytest.raises(StartError, match="prot") as caught:
        restart(paths, os.environ, 30)
    assert caught.value.usage
    found = find(paths)
    assert found and found.answers and found.daemon == old


def test_a_version_that_cannot_hand_over_is_stopped(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    old = start(paths).daemon
    monkeypatch.setattr(module, "_hand_over", lambda *given, **options: "it is too old")
    done = restart(paths, os.environ, 30)
    assert done.stopped is not None and done.stopped.daemon == old
    assert done.note == "it is too old" and runtime.read(paths.runtime) == done.started.daemon


def test_a_daemon_that_does_not_answer_is_replaced(paths: Paths) -> None:
    with answering(503, b"{}") as port:
        runtime.write(paths.runtime, daemon(pid=1, port=port))
        done = restart(paths, os.environ, 30)
    assert done.handed_over is None and runtime.read(paths.runtime) == done.started.daemon


def test_a_daemon_in_the_foreground_is_stopped_for_its_supervisor(paths: Paths) -> None:
    with in_foreground(paths.config.parent, "") as old:
        done = restart(paths, os.environ, 30)
        assert done.note == "it runs in the foreground, as under a supervisor"
        assert old.process.wait(timeout=10) == 0 and done.started.daemon.pid != old.process.pid

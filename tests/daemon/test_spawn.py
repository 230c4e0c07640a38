"""The pipe between a starting daemon and the command that waits for it."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from bm.config.files import locked
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.spawn import Report, Silence, spawn
from tests.daemon.support import foreign_process


def test_the_lines_of_a_start_and_of_a_failure() -> None:
    reading, writing = os.pipe()
    report = Report(writing)
    report.failed("port", "taken")
    report.ready()
    with os.fdopen(reading, "rb") as lines:
        assert lines.readlines() == [
            b'{"cause":"port","message":"taken"}\n',
            b'{"ready":true}\n',
        ]


def test_a_command_that_left_does_not_harm_the_daemon() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Report(writing).ready()


def test_it_lives_in_a_session_of_its_own(paths: Paths) -> None:
    line = spawn(paths, os.environ, 20)
    assert line is not None
    assert line.ready
    running = runtime.read(paths.runtime)
    assert running is not None
    process = psutil.Process(running.pid)
    assert process.ppid() != os.getpid()
    assert process.cwd() == str(paths.config.parent)
    if sys.platform != "win32":
        assert os.getsid(running.pid) != os.getsid(0)


def test_a_cause_is_heard(paths: Paths) -> None:
    with foreign_process() as (_, port):
        line = spawn(paths, {**os.environ, "BM_SERVER_PORT": str(port)}, 20)
    assert line is not None
    assert (line.ready, line.cause) == (False, "port")


def test_a_daemon_that_ends_without_a_word_is_noticed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bm.daemon.spawn._MODULE", "bm.daemon.no_such_module")
    make_folders(paths)
    assert spawn(paths, os.environ, 20) is None
    assert "No module named bm.daemon.no_such_module" in paths.log.read_text()


@pytest.mark.parametrize("limit", [0.0, 0.3])
def test_a_daemon_that_is_not_ready_in_time_is_ended(paths: Paths, limit: float) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\napi_key = "cmd:sleep 30"\n')
    with pytest.raises(Silence):
        spawn(paths, os.environ, limit)
    with locked(paths.lock, timeout=5):
        assert not paths.runtime.exists()

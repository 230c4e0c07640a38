"""Starting a detached daemon, and the report it sends."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from bm.config.files import locked
from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.spawn import Report, Silence, spawn


def test_the_reports_of_a_start_and_of_a_failure() -> None:
    reading, writing = os.pipe()
    report = Report(writing)
    report.failed("port", "taken")
    report.ready()
    with os.fdopen(reading, "rb") as lines:
        assert lines.readlines() == [
            b'{"cause":"port","message":"taken"}\n',
            b'{"ready":true}\n',
        ]


def test_a_closed_pipe_does_not_harm_the_daemon() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    Report(writing).ready()
    with pytest.raises(OSError):
        os.fstat(writing)


def test_it_runs_in_its_own_session(paths: Paths) -> None:
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


@pytest.mark.parametrize("limit", [0.0, 0.3])
def test_a_daemon_that_is_not_ready_in_time_is_killed(paths: Paths, limit: float) -> None:
    paths.config.write_text('[providers.groq]\nenabled = true\napi_key = "cmd:sleep 30"\n')
    with pytest.raises(Silence):
        spawn(paths, os.environ, limit)
    with locked(paths.lock, timeout=5):
        assert not paths.runtime.exists()

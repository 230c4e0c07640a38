"""The next daemon answers for the earlier one: who stops it stops both."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from bm.config.paths import Paths
from bm.daemon.restart import restart
from bm.daemon.stop import stop
from bm.simulator import Rule, Simulator
from tests.daemon.conftest import paths
from tests.server.test_handover import detached
from tests.server.test_serve import running_answer, started
from tests.support.daemon import Daemon, daemon

__all__ = ["paths"]

LONG = Rule(text="word " * 200, chunks=200, delay=0.1)


@pytest.fixture
def served(paths: Paths) -> Iterator[tuple[Simulator, Daemon]]:
    with Simulator() as simulator, daemon(paths.config.parent, *started(simulator)) as running:
        detached(paths)
        yield simulator, running


def test_stopping_now_ends_the_answers_of_both(paths: Paths, served: tuple[Simulator, Daemon]) -> None:
    simulator, old = served
    simulator.script(LONG)
    with running_answer(simulator, old) as (_, answer):
        restart(paths, os.environ, 30)
        stopped = stop(paths, 30, now=True)
        assert stopped is not None and stopped.how == "hurried"
        assert old.process.wait(timeout=10) == 0
        assert not answer.result().complete


def test_stopping_waits_for_the_answers_of_the_earlier_daemon(paths: Paths, served: tuple[Simulator, Daemon]) -> None:
    simulator, old = served
    simulator.script(Rule(text="word " * 20, chunks=20, delay=0.1))
    with running_answer(simulator, old) as (_, answer):
        restart(paths, os.environ, 30)
        stopped = stop(paths, 30)
        assert stopped is not None and stopped.how == "asked"
        assert answer.result().complete
    assert old.process.wait(timeout=10) == 0


def test_a_second_restart_waits_for_nothing_and_keeps_all(paths: Paths, served: tuple[Simulator, Daemon]) -> None:
    simulator, old = served
    simulator.script(Rule(text="word " * 40, chunks=40, delay=0.1))
    with running_answer(simulator, old) as (_, answer):
        second = restart(paths, os.environ, 30).started.daemon
        third = restart(paths, os.environ, 30)
        assert third.handed_over == second
        assert psutil.pid_exists(second.pid), "it still hears from the first one"
        assert answer.result().complete
    assert old.process.wait(timeout=10) == 0


def test_restarting_now_ends_running_answers(paths: Paths, served: tuple[Simulator, Daemon]) -> None:
    simulator, old = served
    simulator.script(LONG)
    with running_answer(simulator, old) as (_, answer):
        assert restart(paths, os.environ, 30, now=True).handed_over
        assert old.process.wait(timeout=10) == 0
        assert not answer.result().complete


def test_the_earlier_daemon_outlives_a_crash_of_the_next(paths: Paths, served: tuple[Simulator, Daemon]) -> None:
    simulator, old = served
    simulator.script(Rule(text="word " * 20, chunks=20, delay=0.1))
    with running_answer(simulator, old) as (_, answer):
        os.kill(restart(paths, os.environ, 30).started.daemon.pid, signal.SIGKILL)
        assert answer.result().complete
    assert old.process.wait(timeout=10) == 0

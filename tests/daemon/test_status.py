"""A daemon is what answers with its own token, or a process that is provably its own."""

from __future__ import annotations

import psutil

from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.status import Found, find, is_answering
from tests.daemon.support import answering, daemon, foreign_process


def test_no_file_is_no_daemon(paths: Paths) -> None:
    assert find(paths) is None


def test_the_token_proves_the_daemon(paths: Paths) -> None:
    make_folders(paths)
    body = f'{{"status": "ok", "instance": "{daemon().fingerprint}"}}'
    with answering(200, body.encode()) as port:
        runtime.write(paths.runtime, daemon(port=port))
        assert find(paths) == Found(daemon(port=port), answers=True)


def test_another_bm_on_the_port_is_not_this_one() -> None:
    with answering(200, b'{"status": "ok", "instance": "0123456789abcdef"}') as port:
        assert not is_answering(daemon(port=port))


def test_a_file_that_a_reboot_left_is_no_daemon_even_if_its_pid_is_taken(paths: Paths, free_port: int) -> None:
    with foreign_process() as (pid, _):
        runtime.write(paths.runtime, daemon(pid=pid, port=free_port))
        assert find(paths) is None


def test_its_own_process_that_does_not_answer_is_still_a_daemon(paths: Paths, free_port: int) -> None:
    with foreign_process() as (pid, _):
        stuck = daemon(pid=pid, created=psutil.Process(pid).create_time(), port=free_port)
        runtime.write(paths.runtime, stuck)
        assert find(paths) == Found(stuck, answers=False)

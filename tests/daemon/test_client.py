"""Requests to the daemon, and telling it from any other process."""

from __future__ import annotations

import threading

import psutil
import pytest

from bm.config.files import locked
from bm.config.paths import Paths, make_folders
from bm.daemon import runtime
from bm.daemon.client import Answer, Found, NoAnswer, ask, find, is_answering
from tests.daemon.support import answering, daemon, foreign_process


def test_an_answer_has_a_status_and_a_body() -> None:
    with answering(201, b'{"a": [1]}') as port:
        assert ask(daemon(port=port), "POST", "/x", key="k", body={"b": 1}) == Answer(201, {"a": [1]})


def test_an_empty_body_is_none() -> None:
    with answering(200, b"") as port:
        assert ask(daemon(port=port), "GET", "/x").body is None


def test_another_server_does_not_answer_as_bm_does() -> None:
    with answering(200, b"<html>") as port, pytest.raises(NoAnswer, match="does not answer as bm does"):
        ask(daemon(port=port), "GET", "/x")


def test_a_closed_port_is_no_answer(free_port: int) -> None:
    with pytest.raises(NoAnswer, match=f"http://127.0.0.1:{free_port} does not answer"):
        ask(daemon(port=free_port), "GET", "/x")


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    with answering(200, b"{}") as port:
        assert ask(daemon(port=port), "GET", "/x").status == 200


def test_no_file_is_no_daemon(paths: Paths) -> None:
    assert find(paths) is None


def test_the_token_identifies_the_daemon(paths: Paths) -> None:
    make_folders(paths)
    with answering(200, b"{}", proves=daemon()) as port:
        runtime.write(paths.runtime, daemon(port=port))
        assert find(paths) == Found(daemon(port=port), answers=True)


def test_another_bm_on_the_port_is_not_this_one() -> None:
    with answering(200, b"{}", proves=daemon(token="another")) as port:
        assert not is_answering(daemon(port=port))


def test_an_answer_cannot_be_repeated() -> None:
    body = b'{"status": "ok", "proof": "%s"}' % daemon().proof("an earlier challenge").encode()
    with answering(200, body) as port:
        assert not is_answering(daemon(port=port))


def test_a_file_from_before_a_reboot_is_no_daemon(paths: Paths, free_port: int) -> None:
    with foreign_process() as (pid, _):
        runtime.write(paths.runtime, daemon(pid=pid, port=free_port))
        assert find(paths) is None


def test_a_daemon_that_does_not_answer_is_found_by_its_process(paths: Paths, free_port: int) -> None:
    with foreign_process() as (pid, _):
        stuck = daemon(pid=pid, created=psutil.Process(pid).create_time(), port=free_port)
        runtime.write(paths.runtime, stuck)
        assert find(paths) == Found(stuck, answers=False)


def test_a_lost_file_is_waited_for_while_the_lock_is_held(paths: Paths) -> None:
    make_folders(paths)
    with answering(200, b"{}", proves=daemon()) as port, locked(paths.lock):
        timer = threading.Timer(0.2, runtime.write, (paths.runtime, daemon(port=port)))
        timer.start()
        assert find(paths) == Found(daemon(port=port), answers=True)
        timer.join()

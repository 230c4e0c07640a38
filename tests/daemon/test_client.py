"""The daemon is asked directly, whatever the environment says about proxies."""

from __future__ import annotations

import pytest

from bm.daemon.client import Answer, NoAnswer, ask
from tests.daemon.support import answering, daemon


def test_an_answer_has_a_status_and_a_body() -> None:
    with answering(201, b'{"a": [1]}') as port:
        assert ask(daemon(port=port), "POST", "/x", key="k", body={"b": 1}) == Answer(201, {"a": [1]})


def test_an_empty_body_is_none() -> None:
    with answering(200, b"") as port:
        assert ask(daemon(port=port), "GET", "/x").body is None


def test_another_server_does_not_answer_as_bm_does() -> None:
    with answering(200, b"<html>") as port, pytest.raises(NoAnswer, match="does not answer as bm does"):
        ask(daemon(port=port), "GET", "/x")


def test_nobody_at_the_port_is_no_answer(free_port: int) -> None:
    with pytest.raises(NoAnswer, match=f"http://127.0.0.1:{free_port} does not answer"):
        ask(daemon(port=free_port), "GET", "/x")


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    with answering(200, b"{}") as port:
        assert ask(daemon(port=port), "GET", "/x").status == 200

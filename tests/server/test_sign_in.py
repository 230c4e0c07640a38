"""How a browser comes to a session, over a socket."""

from __future__ import annotations

from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from tests.gateway.world import World
from tests.server.signed_in import cookie_of, new_code, signed_in, stranger
from tests.support.daemon import daemon


def test_the_code_of_the_command_line_signs_one_browser_in(world: World) -> None:
    with signed_in(world.daemon, code=new_code(world.daemon)) as http:
        assert http.get("/admin/live").status_code == 200


def test_a_second_browser_with_the_same_code_ends_the_first_ones_session(world: World) -> None:
    code = new_code(world.daemon)
    with signed_in(world.daemon, code=code) as http, stranger(world.daemon) as other:
        answer = other.post("/admin/session", json={"code": code})
        assert answer.status_code == 401 and "bm dashboard" in answer.json()["error"]
        assert http.get("/admin/live").status_code == 401


def test_the_key_signs_in_too(world: World) -> None:
    with signed_in(world.daemon, key=world.daemon.key) as http:
        assert http.get("/admin/live").status_code == 200


@pytest.mark.parametrize("shown", [{}, {"key": ""}, {"key": "wrong"}, {"code": "made up"}, {"key": "ü", "code": ""}])
def test_what_is_wrong_opens_nothing(world: World, shown: dict[str, str]) -> None:
    with stranger(world.daemon) as http:
        answer = http.post("/admin/session", json=shown)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert http.get("/admin/live").status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b'{"key": 5}', b'{"password": "x"}', b"\xff"])
def test_a_question_that_is_wrong_is_told_so(world: World, body: bytes) -> None:
    with stranger(world.daemon) as http:
        assert http.post("/admin/session", content=body).status_code == 400


def test_a_stranger_is_not_listened_to_for_long(world: World) -> None:
    with stranger(world.daemon) as http:
        assert http.post("/admin/session", json={"key": "x" * 5000}).status_code == 413


def test_the_log_tells_of_browsers_and_holds_nothing_that_lets_one_in(world: World) -> None:
    code = new_code(world.daemon)
    with signed_in(world.daemon, code=code) as http, stranger(world.daemon) as other:
        halves = [*http.cookies.values(), http.headers["x-bm-session"]]
        other.post("/admin/session", json={"code": code})
    log = world.daemon.log()
    assert "signed in to the dashboard by a code" in log and "was not let in to the dashboard" in log
    assert not any(secret in log for secret in (code, world.daemon.key, *halves))


def test_the_cookie_is_for_the_administration_alone_and_no_script_reads_it(world: World) -> None:
    with stranger(world.daemon) as http:
        answer = http.post("/admin/session", json={"key": world.daemon.key})
    ((name, cookie),) = SimpleCookie(answer.headers["set-cookie"]).items()
    assert name == f"bm_session_{httpx.URL(world.daemon.url).port}"
    assert cookie["httponly"] and cookie["samesite"] == "strict"
    assert (cookie["path"], cookie["domain"]) == ("/admin", "")
    assert cookie.value not in answer.text and world.daemon.key not in str(answer.headers) + answer.text


def test_neither_half_is_enough(world: World) -> None:
    with signed_in(world.daemon) as http:
        half = http.headers.pop("x-bm-session")
        assert http.get("/admin/live").status_code == 401
        http.cookies.clear()
        assert http.get("/admin/live", headers={"x-bm-session": half}).status_code == 401


def test_a_session_is_given_up(world: World) -> None:
    with signed_in(world.daemon) as http:
        cookie = cookie_of(http)
        answer = http.delete("/admin/session")
        assert answer.status_code == 200 and not http.cookies
        assert http.get("/admin/live", headers=cookie).status_code == 401


def test_signing_in_again_ends_the_session_before(world: World) -> None:
    with signed_in(world.daemon) as http:
        before = cookie_of(http)
        assert http.post("/admin/session", json={"code": new_code(world.daemon)}).status_code == 200
        assert cookie_of(http) != before
        http.cookies.clear()
        assert http.get("/admin/live", headers=before).status_code == 401


def test_only_the_key_gives_a_code(world: World) -> None:
    with stranger(world.daemon) as http:
        assert http.post("/admin/session/code").status_code == 401
    with signed_in(world.daemon) as http:
        assert http.post("/admin/session/code").status_code == 401


def test_a_session_outlives_a_restart_and_without_a_key_to_ask_for_none_is_needed(bm_home: Path) -> None:
    with daemon(bm_home, "") as first, signed_in(first) as http:
        (browsers,), pages = http.cookies.values(), http.headers["x-bm-session"]
    with daemon(bm_home, "") as second, stranger(second) as http:
        # The port is another one here, and the cookie's name with it.
        halves = {"cookie": f"bm_session_{httpx.URL(second.url).port}={browsers}", "x-bm-session": pages}
        assert http.get("/admin/live", headers=halves).status_code == 200
    with daemon(bm_home, '[server]\nauth = "none"\n') as third, stranger(third) as http:
        assert http.get("/admin/live").status_code == 200
        assert http.post("/admin/session/code").json()["code"] is None

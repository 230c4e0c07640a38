"""Sign-in to the dashboard: codes, sessions, and what a session, a key or a foreign page may do."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable, Mapping
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from bm.config.paths import Paths
from bm.errors import RequestError
from bm.server.sign_in import CODE_LASTS, MOST, SESSION_LASTS, Session, Sessions, is_own_page, sessions_path
from bm.simulator import Rule
from tests.gateway.world import World
from tests.server.signed_in import cookie_of, new_code, signed_in, stranger
from tests.support.daemon import daemon


class Clock:
    """A clock controlled by the test."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Callable[..., Sessions]:
    """The sessions of one run of a daemon with the given key."""
    return lambda key="local-key": Sessions(tmp_path / "sessions.json", lambda: key, clock)


Make = Callable[..., Sessions]


def test_a_code_opens_a_session(make: Make, clock: Clock) -> None:
    sessions = make()
    session = sessions.redeem(sessions.new_code())
    assert sessions.admits(session)
    clock.now += SESSION_LASTS - 1
    assert sessions.admits(session)
    clock.now += 1
    assert not sessions.admits(session)


def test_both_halves_are_needed(make: Make) -> None:
    sessions = make()
    one, other = sessions.open(), sessions.open()
    assert one.browser != one.page
    for wrong in (
        Session(one.browser, ""),
        Session("", one.page),
        Session("", ""),
        Session(one.page, one.browser),
        Session(one.browser, other.page),
        Session(f"{one.browser} {one.page}", ""),
    ):
        assert not sessions.admits(wrong)


def test_a_code_expires(make: Make, clock: Clock) -> None:
    sessions = make()
    code = sessions.new_code()
    clock.now += CODE_LASTS
    with pytest.raises(RequestError, match="too old"):
        sessions.redeem(code)


def test_the_second_use_of_a_code_ends_its_session(make: Make) -> None:
    sessions = make()
    code = sessions.new_code()
    first, untouched = sessions.redeem(code), sessions.open()
    with pytest.raises(RequestError, match="used before"):
        sessions.redeem(code)
    assert not sessions.admits(first)
    assert sessions.admits(untouched)


@pytest.mark.parametrize("code", ["", "unknown", "ü\udcff"[:1]])
def test_an_unknown_code_opens_no_session(make: Make, code: str) -> None:
    sessions = make()
    sessions.new_code()
    with pytest.raises(RequestError):
        sessions.redeem(code)


def test_an_ended_session_is_refused(make: Make) -> None:
    sessions = make()
    session = sessions.open()
    sessions.end(session)
    sessions.end(Session("never", "was"))
    assert not sessions.admits(session)


def test_sessions_survive_a_restart_and_their_file_contains_no_secret(make: Make, tmp_path: Path) -> None:
    sessions = make()
    session, code = sessions.open(), sessions.new_code()
    sessions.write()
    file = tmp_path / "sessions.json"
    written = file.read_text()
    assert not any(secret in written for secret in (*session, code, "local-key"))
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert make().admits(session)
    with pytest.raises(RequestError):
        make().redeem(code)


def test_a_new_key_ends_all_sessions(make: Make) -> None:
    sessions = make()
    session = sessions.open()
    sessions.write()
    assert not make("another-key").admits(session)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"a": "b"}', b"\xff"])
def test_a_damaged_file_is_reported(
    make: Make, tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "sessions.json").write_bytes(content)
    sessions = make()
    assert "sessions.json cannot be read" in caplog.text
    assert sessions.admits(sessions.open())


def test_the_oldest_are_removed_first(make: Make) -> None:
    sessions = make()
    opened = [sessions.open() for _ in range(MOST + 1)]
    assert [sessions.admits(each) for each in opened] == [False, *[True] * MOST]
    codes = [sessions.new_code() for _ in range(MOST + 1)]
    with pytest.raises(RequestError):
        sessions.redeem(codes[0])
    assert sessions.admits(sessions.redeem(codes[1]))


def test_the_file_is_next_to_the_ledger(tmp_path: Path) -> None:
    assert sessions_path(Paths.under(tmp_path)) == tmp_path / "sessions.json"


SHOWN = [
    *("live", "status", "accounts", "providers", "providers/groq", "available", "usage", "usage/series", "requests"),
    *("models", "routing", "keys", "config", "log"),
]
KEYED = [
    ("POST", "/admin/models/forget"),
    ("POST", "/admin/reload"),
    ("POST", "/admin/probe"),
    ("POST", "/admin/session/code"),
    ("POST", "/admin/stop"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/v1/messages"),
]
"""Paths a session may not use: they stop the daemon, or grant more than the session."""


@pytest.mark.parametrize("path", SHOWN)
def test_a_session_may_read_what_the_page_shows(world: World, path: str) -> None:
    with signed_in(world.daemon) as http:
        assert http.get(f"/admin/{path}").status_code == 200


def test_nothing_shown_contains_a_key(world: World) -> None:
    world.set_up(modes={"groq": "fallback"})
    world.sim.script(Rule(status=429, message="the key key-of-the-account-x is used up"), Rule(error="invalid_key"))
    world.ask("anthropic")
    with signed_in(world.daemon) as http:
        found = "".join(http.get(f"/admin/{path}").text for path in (*SHOWN, "why/last", "usage?by=account"))
        secrets = [world.daemon.key, *http.cookies.values(), http.headers["x-bm-session"]]
    secrets += [f"key-of-the-account-{name}" for name in (*world.pool, *world.paid["groq"])]
    assert [secret for secret in secrets if secret in found] == []


def test_a_session_may_do_what_the_page_does_and_nothing_else(world: World) -> None:
    world.set_up(modes={"groq": "off"})
    with signed_in(world.daemon) as http:
        assert http.post("/admin/providers/groq/mode", json={"mode": "pooled"}).status_code == 200
        for method, path in KEYED:
            assert http.request(method, path, json={}).status_code == 401, path


def changes(http: httpx.Client, headers: Mapping[str, str]) -> list[int]:
    """The statuses of requests that a page of another server could make a browser send."""
    plain = {"content-type": "text/plain"} | dict(headers)
    found = [http.post("/admin/providers/groq/mode", content=b'{"mode": "exclusive"}', headers=plain)]
    posts = ("stop", "reload", "session", "session/code", "accounts", "providers/groq/key", "google", "ask")
    found += [http.post(f"/admin/{path}", content=b"{}", headers=plain) for path in posts]
    found += [http.put(f"/admin/{path}", content=b"{}", headers=plain) for path in ("config", "routing")]
    found.append(http.delete("/admin/session", headers=plain))
    return [answer.status_code for answer in found]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "x:y"])
def test_a_foreign_page_changes_nothing_even_with_session_and_key(world: World, origin: str) -> None:
    world.set_up(modes={"groq": "off"})
    with signed_in(world.daemon) as http:
        http.headers["x-api-key"] = world.daemon.key
        assert set(changes(http, {"origin": origin})) == {403}
        assert http.get("/admin/live").status_code == 200
    assert world.admin("providers")["providers"][-1]["mode"] == "off"


def test_another_page_of_this_machine_changes_nothing_without_auth(bm_home: Path) -> None:
    config = '[server]\nauth = "none"\n[providers.groq]\nenabled = true\n'
    with daemon(bm_home, config) as running, stranger(running) as http:
        assert set(changes(http, {"origin": "http://127.0.0.1:3000"})) == {403}
        assert running.paths.config.read_text() == config
        own = {"origin": running.url}
        assert http.post("/admin/providers/groq/mode", json={"mode": "off"}, headers=own).status_code == 200


@pytest.mark.parametrize("path", ["/", "/admin/live", "/admin/session"])
def test_a_foreign_host_is_refused(world: World, path: str) -> None:
    with signed_in(world.daemon) as http:
        method = "POST" if path.endswith("session") else "GET"
        answer = http.request(method, path, headers={"host": "rebound.example"})
        assert answer.status_code == 403 and "allowed_hosts" in answer.text


@pytest.mark.parametrize("port", ["", ":", ":x", ":99999999", ":-1"])
def test_an_invalid_port_in_host_causes_no_error(world: World, port: str) -> None:
    with stranger(world.daemon) as http:
        assert http.get("/admin/live", headers={"host": f"127.0.0.1{port}"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"host": "127.0.0.1:8094"}, True),
        ({"host": "127.0.0.1:8094", "origin": "http://127.0.0.1:8094"}, True),
        ({"host": "Desk.example", "origin": "https://desk.example"}, True),
        ({"host": "127.0.0.1:8094", "origin": "http://127.0.0.1:3000"}, False),
        ({"host": "127.0.0.1:8094", "origin": "http://localhost:8094"}, False),
        ({"host": "127.0.0.1:8094", "origin": "null"}, False),
        ({"origin": "http://127.0.0.1:8094"}, False),
    ],
)
def test_is_own_page(headers: dict[str, str], own: bool) -> None:
    assert is_own_page(headers) is own


def test_a_code_signs_in_one_browser(world: World) -> None:
    with signed_in(world.daemon, code=new_code(world.daemon)) as http:
        assert http.get("/admin/live").status_code == 200


def test_a_second_browser_with_the_same_code_ends_the_first_session(world: World) -> None:
    code = new_code(world.daemon)
    with signed_in(world.daemon, code=code) as http, stranger(world.daemon) as other:
        answer = other.post("/admin/session", json={"code": code})
        assert answer.status_code == 401 and "bm dashboard" in answer.json()["error"]
        assert http.get("/admin/live").status_code == 401


def test_the_key_signs_in(world: World) -> None:
    with signed_in(world.daemon, key=world.daemon.key) as http:
        assert http.get("/admin/live").status_code == 200


@pytest.mark.parametrize("shown", [{}, {"key": ""}, {"key": "wrong"}, {"code": "unknown"}, {"key": "ü", "code": ""}])
def test_wrong_credentials_open_no_session(world: World, shown: dict[str, str]) -> None:
    with stranger(world.daemon) as http:
        answer = http.post("/admin/session", json=shown)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert http.get("/admin/live").status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b'{"key": 5}', b'{"password": "x"}', b"\xff"])
def test_an_invalid_query_is_refused(world: World, body: bytes) -> None:
    with stranger(world.daemon) as http:
        assert http.post("/admin/session", content=body).status_code == 400


def test_a_large_body_is_refused(world: World) -> None:
    with stranger(world.daemon) as http:
        assert http.post("/admin/session", json={"key": "x" * 5000}).status_code == 413


def test_sign_ins_are_logged_without_secrets(world: World) -> None:
    code = new_code(world.daemon)
    with signed_in(world.daemon, code=code) as http, stranger(world.daemon) as other:
        halves = [*http.cookies.values(), http.headers["x-bm-session"]]
        other.post("/admin/session", json={"code": code})
    log = world.daemon.log()
    assert "signed in to the dashboard with a code" in log and "was refused at the dashboard" in log
    assert not any(secret in log for secret in (code, world.daemon.key, *halves))


def test_the_cookie_is_limited_to_the_admin_app_and_hidden_from_scripts(world: World) -> None:
    with stranger(world.daemon) as http:
        answer = http.post("/admin/session", json={"key": world.daemon.key})
    ((name, cookie),) = SimpleCookie(answer.headers["set-cookie"]).items()
    assert name == f"bm_session_{httpx.URL(world.daemon.url).port}"
    assert cookie["httponly"] and cookie["samesite"] == "strict"
    assert (cookie["path"], cookie["domain"]) == ("/admin", "")
    assert cookie.value not in answer.text and world.daemon.key not in str(answer.headers) + answer.text


def test_one_half_is_not_enough(world: World) -> None:
    with signed_in(world.daemon) as http:
        half = http.headers.pop("x-bm-session")
        assert http.get("/admin/live").status_code == 401
        http.cookies.clear()
        assert http.get("/admin/live", headers={"x-bm-session": half}).status_code == 401


def test_signing_out_ends_the_session(world: World) -> None:
    with signed_in(world.daemon) as http:
        cookie = cookie_of(http)
        answer = http.delete("/admin/session")
        assert answer.status_code == 200 and not http.cookies
        assert http.get("/admin/live", headers=cookie).status_code == 401


def test_signing_in_again_ends_the_previous_session(world: World) -> None:
    with signed_in(world.daemon) as http:
        before = cookie_of(http)
        assert http.post("/admin/session", json={"code": new_code(world.daemon)}).status_code == 200
        assert cookie_of(http) != before
        http.cookies.clear()
        assert http.get("/admin/live", headers=before).status_code == 401


def test_only_the_key_permits_a_new_code(world: World) -> None:
    with stranger(world.daemon) as http:
        assert http.post("/admin/session/code").status_code == 401
    with signed_in(world.daemon) as http:
        assert http.post("/admin/session/code").status_code == 401


def test_a_session_survives_a_restart_and_auth_none_needs_none(bm_home: Path) -> None:
    with daemon(bm_home, "") as first, signed_in(first) as http:
        (browsers,), pages = http.cookies.values(), http.headers["x-bm-session"]
    with daemon(bm_home, "") as second, stranger(second) as http:
        # The port is another one here, and the cookie's name with it.
        halves = {"cookie": f"bm_session_{httpx.URL(second.url).port}={browsers}", "x-bm-session": pages}
        assert http.get("/admin/live", headers=halves).status_code == 200
    with daemon(bm_home, '[server]\nauth = "none"\n') as third, stranger(third) as http:
        assert http.get("/admin/live").status_code == 200
        assert http.post("/admin/session/code").json()["code"] is None

"""What the dashboard may do, what only the key may, and what no page of another server can make a browser do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from bm.server.admission import is_own_page
from bm.simulator import Rule
from tests.gateway.world import World
from tests.server.signed_in import signed_in, stranger
from tests.support.daemon import daemon

SHOWN = ["live", "status", "accounts", "providers", "usage", "requests"]
KEYED = [
    ("GET", "/admin/models"),
    ("POST", "/admin/reload"),
    ("POST", "/admin/route"),
    ("POST", "/admin/probe"),
    ("POST", "/admin/session/code"),
    ("POST", "/admin/stop"),
    ("GET", "/metrics"),
    ("GET", "/v1/models"),
    ("POST", "/v1/messages"),
]
"""What a session is not good for: it costs money, stops the daemon, or gives what lasts longer than the session."""


@pytest.mark.parametrize("path", SHOWN)
def test_a_session_sees_what_the_page_shows(world: World, path: str) -> None:
    with signed_in(world.daemon) as http:
        assert http.get(f"/admin/{path}").status_code == 200


def test_nothing_that_is_shown_holds_a_key(world: World) -> None:
    world.set_up(modes={"groq": "fallback"})
    world.sim.script(Rule(status=429, message="the key key-of-the-account-x is used up"), Rule(error="invalid_key"))
    world.ask("anthropic")
    with signed_in(world.daemon) as http:
        told = "".join(http.get(f"/admin/{path}").text for path in (*SHOWN, "why/last", "usage?by=account"))
        secrets = [world.daemon.key, *http.cookies.values(), http.headers["x-bm-session"]]
    secrets += [f"key-of-the-account-{name}" for name in (*world.pool, *world.paid["groq"])]
    assert [secret for secret in secrets if secret in told] == []


def test_a_session_may_change_a_mode_and_nothing_else(world: World) -> None:
    world.set_up(modes={"groq": "off"})
    with signed_in(world.daemon) as http:
        assert http.post("/admin/providers/groq/mode", json={"mode": "pooled"}).status_code == 200
        for method, path in KEYED:
            assert http.request(method, path, json={}).status_code == 401, path


def changes(http: httpx.Client, headers: Mapping[str, str]) -> list[int]:
    """The statuses of everything that a page of another server might have a browser send."""
    plain = {"content-type": "text/plain"} | dict(headers)
    told = [http.post("/admin/providers/groq/mode", content=b'{"mode": "exclusive"}', headers=plain)]
    told += [http.post(f"/admin/{path}", headers=plain) for path in ("stop", "reload", "session", "session/code")]
    told.append(http.delete("/admin/session", headers=plain))
    return [answer.status_code for answer in told]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1", "x:y"])
def test_another_page_changes_nothing_even_with_session_and_key(world: World, origin: str) -> None:
    world.set_up(modes={"groq": "off"})
    with signed_in(world.daemon) as http:
        http.headers["x-api-key"] = world.daemon.key
        assert set(changes(http, {"origin": origin})) == {403}
        assert http.get("/admin/live").status_code == 200
    assert world.admin("providers")["providers"][-1]["mode"] == "off"


def test_another_page_of_this_machine_changes_nothing_where_no_key_is_asked_for(bm_home: Path) -> None:
    config = '[server]\nauth = "none"\n[providers.groq]\nenabled = true\n'
    with daemon(bm_home, config) as running, stranger(running) as http:
        assert set(changes(http, {"origin": "http://127.0.0.1:3000"})) == {403}
        assert running.paths.config.read_text() == config
        own = {"origin": running.url}
        assert http.post("/admin/providers/groq/mode", json={"mode": "off"}, headers=own).status_code == 200


@pytest.mark.parametrize("path", ["/", "/admin/live", "/admin/session"])
def test_a_foreign_name_is_shown_nothing(world: World, path: str) -> None:
    with signed_in(world.daemon) as http:
        method = "POST" if path.endswith("session") else "GET"
        answer = http.request(method, path, headers={"host": "rebound.example"})
        assert answer.status_code == 403 and "allowed_hosts" in answer.text


@pytest.mark.parametrize("port", ["", ":", ":x", ":99999999", ":-1"])
def test_a_port_that_is_none_is_no_fault_of_bm(world: World, port: str) -> None:
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
def test_a_page_is_the_daemons_own_by_name_and_port(headers: dict[str, str], own: bool) -> None:
    assert is_own_page(headers) is own

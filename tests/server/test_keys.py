"""The keys of clients over HTTP, and what they do not open."""

from __future__ import annotations

import pytest

from tests.gateway.world import World
from tests.server.signed_in import signed_in, stranger


def test_keys_are_listed_without_what_would_open_anything(world: World) -> None:
    key = world.key("ci", models=("opus",), rpm=5, budgets=("20/day",))["x-api-key"]
    (row,) = world.admin("keys")["keys"]
    assert (row["name"], row["models"], row["rpm"], row["budgets"]) == ("ci", ["opus"], 5, ["20/day"])
    assert (row["tpm"], row["providers"], row["expires_at"], row["expired"]) == (0, [], None, False)
    assert "sha256" not in row and key not in str(row)
    with signed_in(world.daemon) as browser:
        assert browser.get("/admin/keys").json()["keys"] == [row]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/status"),
        ("GET", "/admin/live"),
        ("GET", "/admin/keys"),
        ("GET", "/metrics"),
        ("POST", "/admin/reload"),
        ("POST", "/admin/session/code"),
        ("POST", "/admin/stop"),
    ],
)
def test_a_clients_key_does_not_administer(world: World, method: str, path: str) -> None:
    key = world.key("ci")
    with stranger(world.daemon) as http:
        answer = http.request(method, path, headers=key)
        assert answer.status_code == 403
        assert "the key ci opens the model APIs only" in answer.json()["error"]


def test_a_clients_key_does_not_sign_in_to_the_dashboard(world: World) -> None:
    key = world.key("ci")["x-api-key"]
    with stranger(world.daemon) as http:
        assert http.post("/admin/session", json={"key": key}).status_code == 401

"""The daemon's own paths: which of them need the key, and what they say."""

from __future__ import annotations

import hashlib

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bm.daemon import runtime
from tests.gateway.world import World

GUARDED = [
    ("GET", "/admin/status"),
    ("GET", "/admin/accounts"),
    ("GET", "/admin/providers"),
    ("GET", "/admin/models"),
    ("GET", "/admin/why/last"),
    ("GET", "/admin/usage"),
    ("GET", "/admin/requests"),
    ("GET", "/admin/live"),
    ("POST", "/admin/providers/groq/mode"),
    ("POST", "/admin/session/code"),
    ("POST", "/admin/reload"),
    ("POST", "/admin/route"),
    ("POST", "/admin/probe"),
    ("POST", "/admin/stop"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_what_asks_for_the_key(world: World, method: str, path: str) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as http:
        assert http.request(method, path).status_code == 401
        assert http.request(method, path, headers={"x-api-key": "wrong"}).status_code == 401
        foreign = {"host": "evil.example", "x-api-key": world.daemon.key}
        assert http.request(method, path, headers=foreign).status_code == 403
        page = {"origin": "https://evil.example", "x-api-key": world.daemon.key}
        assert http.request(method, path, headers=page).status_code == 403


def test_health_needs_no_key_and_proves_which_daemon_it_is(world: World) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as http:
        told = http.get("/healthz").json()
    written = runtime.read(world.daemon.paths.runtime)
    assert written is not None
    assert told["instance"] == hashlib.sha256(written.token.encode()).hexdigest()[:16]
    assert (told["status"], told["pid"]) == ("ok", world.daemon.process.pid)
    assert written.token not in str(told)


def test_ready_says_why_it_is_not(world: World) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as http:
        assert http.get("/readyz").json() == {"ready": True, "reason": None}
        world.set_up(accounts=0)
        answer = http.get("/readyz")
    assert answer.status_code == 503 and "bm accounts add" in answer.json()["reason"]
    assert world.sim.log() == []


def test_metrics_count_what_was_served(world: World) -> None:
    def counted() -> float:
        families = text_string_to_metric_families(world.http.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "gen_ai_server_request_duration_seconds_count"
            and (sample.labels["bm_protocol"], sample.labels["gen_ai_provider_name"]) == ("gemini", "gemini")
            and sample.labels["http_response_status_code"] == "200"
        )

    before = counted()
    for stream in (True, False, True):
        assert world.ask("gemini", stream=stream).complete
    assert counted() == before + 3


def test_wrong_paths_and_methods(world: World) -> None:
    assert world.http.get("/admin/nothing").status_code == 404
    assert world.http.get("/admin/stop").status_code == 404
    assert world.http.get("/").status_code == 200

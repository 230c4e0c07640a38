"""The admin app: its answers, and which paths require the key."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bm.daemon import runtime
from bm.simulator import Rule
from tests.gateway.world import World


def test_status(world: World) -> None:
    world.set_up(accounts=3, modes={"groq": "pooled"})
    world.sim.script(Rule(error="invalid_key"))
    assert world.ask("gemini").complete
    found = world.admin("status")
    assert found["accounts"] == {"usable": 3, "cooling down": 0, "disabled": 1, "off": 0}
    assert found["providers"] == [{"name": "groq", "mode": "pooled", "enabled": True}]
    assert found["config"]["path"] == str(world.daemon.paths.config) and found["config"]["error"] is None
    assert world.daemon.url.endswith(f":{found['port']}") and found["pid"] == world.daemon.process.pid
    assert found["uptime"] > 0 and found["requests"]["active"] == 0


def test_requests_are_counted(world: World) -> None:
    before = world.admin("status")["requests"]
    world.sim.script(Rule(status=400))
    world.ask("gemini")
    world.ask("gemini")
    after = world.admin("status")["requests"]
    assert (after["total"], after["failed"]) == (before["total"] + 2, before["failed"] + 1)


def test_accounts(world: World) -> None:
    assert world.ask("gemini").complete
    (used,) = world.asked()
    row = world.account(used)
    assert (row["provider"], row["enabled"], row["state"], row["requests_today"]) == ("gemini", True, "usable", 1)
    assert row["last_used"] is not None and world.daemon.key not in str(row)
    assert world.account(next(name for name in world.pool if name != used))["last_used"] is None


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "gemini"])
def test_a_route_is_planned_without_an_upstream_call(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "fallback", "together": "off"})
    found = world.admin("route", {"model": "opus", "protocol": protocol})
    assert found["failure"] is None and found["protocol"] == protocol
    assert [(each["provider"], each["stage"]) for each in found["targets"]] == [
        ("gemini", "pool"),
        ("gemini", "pool"),
        ("groq", "fallback"),
    ]
    assert all(each["reason"] and each["mapping"] for each in found["targets"])
    out = [each for each in found["considered"] if not each["in"]]
    assert [each["provider"] for each in out] == ["together"] and "off" in out[0]["reason"]
    assert world.sim.log() == []


def test_a_route_without_targets_says_why(world: World) -> None:
    world.set_up(accounts=0)
    found = world.admin("route", {"model": "opus"})
    assert found["targets"] == [] and "bm accounts add" in found["failure"]["message"]


def test_a_route_for_the_requirements_of_a_request(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    question = {"model": "openai/gpt-oss-120b", "protocol": "openai-chat", "requirements": ["images"]}
    found = world.admin("route", question)
    assert found["targets"] == [] and "image" in found["failure"]["message"]


@pytest.mark.parametrize(
    "body",
    [{}, {"model": 5}, {"model": "x", "mood": 1}, {"model": "x", "protocol": "ftp"}, {"model": "x", "requirements": 1}],
)
def test_an_invalid_query_is_refused(world: World, body: dict[str, Any]) -> None:
    answer = world.http.post("/admin/route", json=body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_why_explains_a_request(world: World) -> None:
    world.sim.script(Rule(status=429, retry_info="60s"))
    answer = world.ask("anthropic")
    found = world.admin(f"why/{answer.bm('request-id')}")
    assert found["id"] == answer.bm("request-id")
    assert [each["account"] for each in found["attempts"]] == world.asked()
    assert found["advice"] == []
    assert world.http.get("/admin/why/req_unknown").status_code == 404


def test_why_contains_advice(world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(error="invalid_key"))
    found = world.admin(f"why/{world.ask('gemini').bm('request-id')}")
    assert len(found["advice"]) == 1 and f"bm accounts verify {world.pool[0]}" in found["advice"][0]


GUARDED = [
    ("GET", "/admin/status"),
    ("GET", "/admin/accounts"),
    ("GET", "/admin/providers"),
    ("GET", "/admin/providers/groq"),
    ("GET", "/admin/models"),
    ("GET", "/admin/why/last"),
    ("GET", "/admin/usage"),
    ("GET", "/admin/requests"),
    ("GET", "/admin/live"),
    ("GET", "/admin/log"),
    ("GET", "/admin/config"),
    ("PUT", "/admin/config"),
    ("POST", "/admin/ask"),
    ("POST", "/admin/accounts"),
    ("PATCH", "/admin/accounts/gemini/x"),
    ("DELETE", "/admin/accounts/gemini/x"),
    ("POST", "/admin/accounts/gemini/x/key"),
    ("POST", "/admin/accounts/gemini/x/verify"),
    ("POST", "/admin/google"),
    ("PATCH", "/admin/providers/groq"),
    ("POST", "/admin/providers/groq/key"),
    ("POST", "/admin/providers/groq/mode"),
    ("POST", "/admin/session/code"),
    ("POST", "/admin/reload"),
    ("POST", "/admin/route"),
    ("POST", "/admin/probe"),
    ("POST", "/admin/stop"),
    ("GET", "/metrics"),
]


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_paths_that_require_the_key(world: World, method: str, path: str) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as http:
        assert http.request(method, path).status_code == 401
        assert http.request(method, path, headers={"x-api-key": "wrong"}).status_code == 401
        foreign = {"host": "evil.example", "x-api-key": world.daemon.key}
        assert http.request(method, path, headers=foreign).status_code == 403
        page = {"origin": "https://evil.example", "x-api-key": world.daemon.key}
        assert http.request(method, path, headers=page).status_code == 403


def test_health_needs_no_key_and_tells_nothing_else(world: World) -> None:
    with httpx.Client(base_url=world.daemon.url, trust_env=False, verify=False) as http:
        assert http.get("/healthz").json() == {"status": "ok"}
        found = http.get("/healthz", params={"challenge": "x"}).json()
        for path in ("/healthz", "/readyz"):
            assert http.get(path, headers={"host": "evil.example"}).status_code == 403
    written = runtime.read(world.daemon.paths.runtime)
    assert written is not None
    assert found == {"status": "ok", "proof": written.proof("x")}


def test_ready_gives_the_reason_when_it_is_not(world: World) -> None:
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


def test_the_log_from_a_level_on(world: World) -> None:
    answer = world.ask("gemini")
    world.daemon.paths.config.write_text("[pool]\nnonsense = 1\n")
    world.http.post("/admin/reload")
    world.configure({})
    found = world.admin("log")["lines"]
    assert any(answer.bm("request-id") in row["message"] and row["level"] == "INFO" for row in found)
    errors = world.admin("log?level=ERROR&lines=3")["lines"]
    assert 0 < len(errors) <= 3 and {row["level"] for row in errors} == {"ERROR"} and "nonsense" in str(errors)
    assert world.http.get("/admin/log", params={"level": "LOUD"}).status_code == 400


def test_wrong_paths_and_methods(world: World) -> None:
    assert world.http.get("/admin/nothing").status_code == 404
    assert world.http.get("/admin/stop").status_code == 404
    assert world.http.get("/").status_code == 200

"""The admin app: its answers, and which paths require the key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bm.daemon import runtime
from bm.simulator import Rule
from tests.gateway.world import World
from tests.support.daemon import daemon


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


@pytest.mark.parametrize("keys", [0, 1])
def test_providers(world: World, keys: int) -> None:
    world.set_up(modes={"anthropic": "fallback"}, keys=keys)
    rows = {row["name"]: row for row in world.admin("providers")["providers"]}
    assert rows.keys() == {"gemini", "anthropic"}
    row = rows["anthropic"]
    assert (row["mode"], row["protocol"], row["accounts"]) == ("fallback", "anthropic", keys)
    assert row["key_present"] is bool(keys) and row["health"] == "unknown"


def test_the_health_of_a_provider(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"}, keys=2)

    def health() -> str:
        rows: list[dict[str, Any]] = world.admin("providers")["providers"]
        return str(next(row["health"] for row in rows if row["name"] == "groq"))

    assert health() == "unknown"
    assert world.ask("openai-chat").complete
    assert health() == "ok"
    world.sim.script(Rule(status=401), Rule(status=401))
    world.ask("openai-chat")
    assert health() == "down"


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


CONFIG = """\
# mine
[gemini]
enabled = true  # the free ones

[providers.groq]
enabled = true
mode = "off"    # until the free ones are spent
"""


def change(world: World, name: str, body: Any) -> httpx.Response:
    return world.http.post(f"/admin/providers/{name}/mode", json=body)


@pytest.mark.parametrize("mode", ["exclusive", "pooled", "fallback", "off"])
def test_a_changed_mode_applies_to_the_next_request(world: World, mode: str) -> None:
    world.set_up(modes={"groq": "fallback" if mode == "off" else "off"})
    found = change(world, "groq", {"mode": mode}).json()
    assert found == {"name": "groq", "mode": mode, "enabled": True, "error": None, "overridden_by": None}
    plan = world.admin("route", {"model": "opus", "protocol": "openai-chat"})
    assert ("groq" in [each["provider"] for each in plan["targets"]]) is (mode != "off")


def test_the_rest_of_the_file_is_unchanged(world: World) -> None:
    world.daemon.paths.config.write_text(CONFIG)
    world.admin("reload", {})
    assert change(world, "groq", {"mode": "fallback"}).status_code == 200
    assert world.daemon.paths.config.read_text() == CONFIG.replace('mode = "off" ', 'mode = "fallback" ')


def test_a_provider_of_the_catalog_needs_no_section(world: World) -> None:
    found = change(world, "together", {"mode": "pooled"}).json()
    assert (found["mode"], found["enabled"]) == ("pooled", True), "a mode other than off enables the provider"
    assert '[providers.together]\nmode = "pooled"' in world.daemon.paths.config.read_text()


@pytest.mark.parametrize(
    ("name", "body", "status", "words"),
    [
        ("grok", {"mode": "off"}, 404, "groq"),
        ("unknown-name", {"mode": "off"}, 404, "no provider"),
        ("gemini", {"mode": "off"}, 400, "the pool itself"),
        ("groq", {"mode": "sometimes"}, 400, "mode"),
        ("groq", {}, 400, "mode"),
        ("groq", {"mode": "off", "enabled": True}, 400, "enabled"),
        ("groq", [], 400, "object"),
    ],
)
def test_an_invalid_change_of_mode_changes_nothing(world: World, name: str, body: Any, status: int, words: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    before = world.daemon.paths.config.read_text()
    answer = change(world, name, body)
    assert answer.status_code == status and words in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == before


def test_a_file_with_errors_is_not_changed(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    broken = f"{world.daemon.paths.config.read_text()}\n[pool]\nnonsense = 1\n"
    world.daemon.paths.config.write_text(broken)
    answer = change(world, "groq", {"mode": "off"})
    assert answer.status_code == 400 and str(world.daemon.paths.config) in answer.json()["error"]
    assert world.daemon.paths.config.read_text() == broken


@pytest.mark.skipif(sys.platform == "win32", reason="permissions differ there")
def test_a_file_that_cannot_be_written_is_reported(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    config = world.daemon.paths.config
    lock = config.with_name(".config.toml.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()
    try:
        answer = change(world, "groq", {"mode": "off"})
    finally:
        lock.rmdir()
    assert answer.status_code == 400 and "cannot be written" in answer.json()["error"]


def test_a_variable_that_overrides_the_file_is_named(bm_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BM_PROVIDERS_GROQ_MODE", "pooled")
    with daemon(bm_home, CONFIG) as running:
        with httpx.Client(base_url=running.url, headers=running.headers, trust_env=False) as http:
            found = http.post("/admin/providers/groq/mode", json={"mode": "exclusive"}).json()
        assert (found["mode"], found["overridden_by"]) == ("pooled", "BM_PROVIDERS_GROQ_MODE")
        assert 'mode = "exclusive"' in running.paths.config.read_text()


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


def test_wrong_paths_and_methods(world: World) -> None:
    assert world.http.get("/admin/nothing").status_code == 404
    assert world.http.get("/admin/stop").status_code == 404
    assert world.http.get("/").status_code == 200

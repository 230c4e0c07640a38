"""What the administration answers; the command line shows it as it is."""

from __future__ import annotations

from typing import Any

import pytest

from bm.simulator import Rule
from tests.gateway.world import World


def test_status(world: World) -> None:
    world.set_up(accounts=3, modes={"groq": "pooled"})
    world.sim.script(Rule(error="invalid_key"))
    assert world.ask("gemini").complete
    told = world.admin("status")
    assert told["accounts"] == {"usable": 3, "cooling": 0, "out": 1, "disabled": 0}
    assert told["providers"] == [{"name": "groq", "mode": "pooled", "enabled": True}]
    assert told["config"]["path"] == str(world.daemon.paths.config) and told["config"]["error"] is None
    assert world.daemon.url.endswith(f":{told['port']}") and told["pid"] == world.daemon.process.pid
    assert told["uptime"] > 0 and told["requests"]["active"] == 0


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
def test_a_route_is_told_without_asking_anybody(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "fallback", "together": "off"})
    told = world.admin("route", {"model": "opus", "protocol": protocol})
    assert told["failure"] is None and told["protocol"] == protocol
    assert [(each["provider"], each["stage"]) for each in told["targets"]] == [
        ("gemini", "pool"),
        ("gemini", "pool"),
        ("groq", "fallback"),
    ]
    assert all(each["reason"] and each["mapping"] for each in told["targets"])
    out = [each for each in told["considered"] if not each["in"]]
    assert [each["provider"] for each in out] == ["together"] and "off" in out[0]["reason"]
    assert world.sim.log() == []


def test_a_route_that_leads_nowhere_says_why(world: World) -> None:
    world.set_up(accounts=0)
    told = world.admin("route", {"model": "opus"})
    assert told["targets"] == [] and "bm accounts add" in told["failure"]["message"]


def test_a_route_for_what_a_request_needs(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    told = world.admin("route", {"model": "openai/gpt-oss-120b", "protocol": "openai-chat", "needs": ["images"]})
    assert told["targets"] == [] and "image" in told["failure"]["message"]


@pytest.mark.parametrize(
    "body", [{}, {"model": 5}, {"model": "x", "mood": 1}, {"model": "x", "protocol": "ftp"}, {"model": "x", "needs": 1}]
)
def test_a_question_that_is_wrong_is_told_so(world: World, body: dict[str, Any]) -> None:
    answer = world.http.post("/admin/route", json=body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_why_tells_of_a_request(world: World) -> None:
    world.sim.script(Rule(status=429, retry_info="60s"))
    answer = world.ask("anthropic")
    told = world.admin(f"why/{answer.bm('request-id')}")
    assert told["id"] == answer.bm("request-id")
    assert [each["account"] for each in told["attempts"]] == world.asked()
    assert told["advice"] == []
    assert world.http.get("/admin/why/req_nobody").status_code == 404


def test_why_says_what_to_do(world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(error="invalid_key"))
    told = world.admin(f"why/{world.ask('gemini').bm('request-id')}")
    assert len(told["advice"]) == 1 and f"bm accounts verify {world.pool[0]}" in told["advice"][0]

"""`bm test`: one small request to each account."""

from __future__ import annotations

from typing import Any

import pytest

from bm.simulator import Rule
from tests.gateway.world import World


def probed(world: World, *names: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = world.admin("probe", {"names": list(names)})["results"]
    return results


def test_each_account_is_asked_once_with_a_model_of_its_list(world: World) -> None:
    world.set_up(modes={"anthropic": "fallback", "groq": "pooled", "together": "exclusive"})
    results = probed(world)
    accounts = [*world.pool, *(name for names in world.paid.values() for name in names)]
    assert [row["account"] for row in results] == accounts
    assert sorted(world.asked()) == sorted(accounts)
    for row in results:
        assert (row["ok"], row["key_accepted"], row["error"], row["remedy"]) == (True, True, "", "")
        assert 0 < row["first_token"] <= row["total"] and row["input_tokens"] > 0 and row["output_tokens"] > 0
    listed = {model["id"] for model in world.admin("models")["models"]}
    assert {row["model"] for row in results} <= listed
    assert all(call.stream for call in world.calls())


@pytest.mark.parametrize("by", ["provider", "account", "both"])
def test_names_choose_what_is_probed(world: World, by: str) -> None:
    world.set_up(modes={"groq": "pooled"})
    (account,) = world.paid["groq"]
    (row,) = probed(world, {"provider": "groq", "account": account, "both": f"groq/{account}"}[by])
    assert row["account"] == account and row["ok"]


@pytest.mark.parametrize(
    ("rule", "accepted", "remedy"),
    [
        (Rule(error="invalid_key", operation="any"), False, "bm accounts"),
        (Rule(status=403, operation="any"), False, "bm accounts"),
        (Rule(status=429, retry_info="60s"), True, "try again"),
        (Rule(status=500, message="out of order"), True, ""),
    ],
    ids=["key", "permission", "limit", "server"],
)
def test_an_upstreams_error_is_reported_with_the_remedy(world: World, rule: Rule, accepted: bool, remedy: str) -> None:
    world.set_up(accounts=1)
    world.sim.script(rule)
    (row,) = probed(world)
    assert (row["ok"], row["key_accepted"]) == (False, accepted)
    assert row["error"] and remedy in row["remedy"]


def test_a_failed_probe_affects_the_account_at_once(world: World) -> None:
    world.set_up(accounts=3)
    refused, limited, _ = world.pool
    world.sim.script(
        Rule(account=refused, error="invalid_key", operation="any", times=None),
        Rule(account=limited, status=429, retry_info="60s"),
    )
    probed(world)
    assert list(world.states().values()) == ["disabled", "cooling down", "usable"]
    row = world.account(refused)
    assert row["remedy"].startswith(f"bm accounts verify {refused}")
    assert (row["requests_today"], row["failures_today"]) == (1, 1)
    assert world.ask("gemini").bm("attempts") == "1"


def test_a_successful_probe_enables_no_account(world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(error="invalid_key"))
    assert world.ask("gemini").status == 400
    assert probed(world)[0]["ok"]
    assert set(world.states().values()) == {"disabled"}


def test_an_answer_that_stops_is_reported(world: World) -> None:
    world.set_up(accounts=1, more="[timeouts]\nidle = 0.3")
    world.sim.script(Rule(stall_after=1))
    (row,) = probed(world)
    assert not row["ok"] and "stopped for 0.3 s" in row["error"]


def test_an_answer_that_is_cut_is_not_a_success(world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(cut_after=1, text="one two three four", chunks=4))
    (row,) = probed(world)
    assert not row["ok"] and row["error"]


@pytest.mark.parametrize(
    ("name", "word"), [("gemini", "bm accounts add"), ("groq", "bm providers key groq"), ("unknown", "bm providers")]
)
def test_a_name_without_an_account(world: World, name: str, word: str) -> None:
    world.set_up(accounts=0, modes={"groq": "pooled"}, keys=0)
    (row,) = probed(world, name)
    assert not row["ok"] and word in row["remedy"]


def test_a_probe_is_not_in_the_ledger(world: World) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(status=429, retry_info="60s"))
    probed(world)
    assert world.ask("gemini").complete

"""What a client's key allows, over a real daemon: models, providers, rates, and their end."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from bm.keys.file import update as update_keys
from bm.simulator import Rule
from bm.simulator.rules import Usage
from tests.gateway import sdk
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, PROTOCOLS, World
from tests.support.waiting import soon

HEADERS = {"anthropic": "x-api-key", "openai-chat": "authorization", "openai-responses": "authorization"}


@EVERY_CLIENT
def test_a_key_serves_and_is_known_by_its_name(world: World, protocol: str, stream: bool) -> None:
    key = world.key("ci")["x-api-key"]
    name = HEADERS.get(protocol, "x-goog-api-key")
    sent = {"x-api-key": "", name: f"Bearer {key}" if name == "authorization" else key}
    answer = world.ask(protocol, stream=stream, headers=sent)
    assert answer.complete
    assert world.admin("requests?limit=1")["requests"][0]["key"] == "ci"
    assert world.admin(f"why/{answer.bm('request-id')}")["key"] == "ci"
    by_key = {row["name"]: row for row in world.admin("usage?by=key")["rows"]}
    assert by_key["ci"]["requests"] >= 1
    assert key not in world.daemon.log()


@EVERY_PROTOCOL
def test_a_model_that_is_not_its_own_is_refused_with_the_remedy(world: World, protocol: str) -> None:
    key = world.key("ci", models=("haiku", "claude-haiku-*"))
    answer = world.ask(protocol, headers=key)
    assert answer.status == 404
    assert f"may not use {MODELS[protocol]}, but haiku, claude-haiku-*" in answer.message
    assert "bm keys change ci --models" in answer.message
    assert world.calls() == []
    assert world.ask(protocol, "claude-haiku-4-5", headers=key).complete


def test_the_lists_of_models_hold_only_its_own(world: World) -> None:
    world.configure({}, '[aliases]\nfast = "haiku"\nbest = "opus"\n')
    key = world.key("ci", models=("fast",))
    for path in ("/v1/models", "/v1beta/models"):
        assert "fast" in world.http.get(path, headers=key).text
        assert "best" not in world.http.get(path, headers=key).text
        assert "best" in world.http.get(path).text


@EVERY_PROTOCOL
def test_providers_that_are_not_its_own_are_left_out_of_the_plan(world: World, protocol: str) -> None:
    world.set_up(modes={"groq": "exclusive"})
    assert world.ask(protocol).bm("provider") == "groq"
    answer = world.ask(protocol, headers=world.key("ci", providers=("gemini",)))
    assert answer.complete and answer.bm("provider") == "gemini"
    why = world.admin("why/last")
    assert [line["reason"] for line in why["considered"] if line["provider"] == "groq"] == [
        "the key ci may use gemini only"
    ]


@EVERY_PROTOCOL
def test_where_no_provider_is_left_the_refusal_says_why(world: World, protocol: str) -> None:
    key = world.key("ci", providers=("groq",))
    for model in (MODELS[protocol], f"gemini:{MODELS[protocol]}"):
        answer = world.ask(protocol, model, headers=key)
        assert answer.status == 400
        assert "the key ci may use groq only" in answer.message
    assert world.calls() == []


@EVERY_PROTOCOL
def test_an_expired_and_a_revoked_key_are_refused(world: World, protocol: str) -> None:
    key = world.key("ci", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    answer = world.ask(protocol, headers=key)
    assert answer.status == 401 and "the key ci has expired" in answer.message
    update_keys(world.daemon.paths.keys, lambda old: old.revoke("ci"))
    assert world.admin("reload", {})["ok"]
    assert "bm env" in world.ask(protocol, headers=key).message


def test_a_key_that_is_revoked_while_its_answer_runs_gets_all_of_it(world: World) -> None:
    key = world.key("ci")
    world.sim.script(Rule(text="word " * 20, chunks=20, delay=0.02))
    with world.http.stream(
        "POST",
        "/v1/messages",
        json={"model": "opus", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]},
        headers=key,
    ) as response:
        pieces = response.iter_raw()
        received = next(pieces)
        update_keys(world.daemon.paths.keys, lambda old: old.revoke("ci"))
        assert world.admin("reload", {})["ok"]
        received += b"".join(pieces)
    assert b"message_stop" in received
    assert world.ask("anthropic", headers=key).status == 401


@EVERY_PROTOCOL
def test_requests_per_minute(world: World, protocol: str) -> None:
    key = world.key("ci", rpm=2)
    assert [world.ask(protocol, headers=key).status for _ in range(3)] == [200, 200, 429]
    answer = world.ask(protocol, headers=key)
    assert 25 <= int(answer.headers["retry-after"]) <= 30
    assert answer.headers["x-should-retry"] == "true"
    assert "the key ci is limited to 2 requests per minute: try again in" in answer.message
    assert world.ask(protocol).complete


def test_tokens_per_minute_count_what_was_used(world: World) -> None:
    key = world.key("ci", tpm=1_000)
    world.sim.script(Rule(usage=Usage(input=600, output=900), times=None))
    assert world.ask("anthropic", headers=key).complete
    answer = world.ask("anthropic", headers=key)
    assert answer.status == 429
    # 500 too many, and the next request's prompt.
    assert 29 <= int(answer.headers["retry-after"]) <= 33


def test_counting_the_tokens_of_a_request_is_a_request_too(world: World) -> None:
    key = world.key("ci", rpm=1)
    body = {"model": "opus", "messages": [{"role": "user", "content": "hi"}]}
    sent = [world.http.post("/v1/messages/count_tokens", json=body, headers=key).status_code for _ in range(2)]
    assert sent == [200, 429]


@pytest.mark.parametrize("text", ["bm-\x01", "bm- x", "x" * 5000])
def test_what_is_no_key_is_refused(world: World, text: str) -> None:
    world.key("ci")
    answer = world.ask("anthropic", headers={"x-api-key": text})
    assert answer.status in (400, 401)


def test_a_key_in_the_address_is_accepted_and_kept_out_of_the_log(world: World) -> None:
    key = world.key("ci")["x-api-key"]
    answer = world.send(
        "gemini",
        f"/v1beta/models/{MODELS['gemini']}:generateContent?key={key}",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        headers={"x-api-key": ""},
    )
    assert answer.complete
    assert world.admin("requests?limit=1")["requests"][0]["key"] == "ci"
    assert key not in world.daemon.log()
    assert all(key not in f"{call.path}{call.headers}" for call in world.calls())


PAID = {"anthropic": "exclusive"}
"""Of a known price: $2 for a million tokens of the prompt, $10 of the answer."""
_made: list[str] = []


def budgeted(world: World, *budgets: str, **limits: Any) -> dict[str, str]:
    """A key with budgets that no earlier test has spent."""
    _made.append(f"budgeted-{len(_made)}")
    return world.key(_made[-1], budgets=budgets, **limits)


def asking(text: str) -> dict[str, Any]:
    """A request for a stream of 4,096 tokens at most."""
    messages = [{"role": "user", "content": text}]
    return {"model": "claude-sonnet-5", "max_tokens": 4096, "stream": True, "messages": messages}


def costing(dollars: float) -> Rule:
    """Answers that cost so much."""
    return Rule(usage=Usage(input=0, output=round(dollars * 100_000)), times=None)


@EVERY_CLIENT
def test_a_spent_budget_is_refused_with_its_end(world: World, protocol: str, stream: bool) -> None:
    world.set_up(modes=PAID)
    key = budgeted(world, "1/day")
    world.sim.script(costing(1.5))
    assert world.ask(protocol, "claude-sonnet-5", stream=stream, headers=key).complete
    answer = world.ask(protocol, "claude-sonnet-5", stream=stream, headers=key)
    assert (answer.status, answer.headers["x-should-retry"], answer.headers.get("retry-after")) == (400, "false", None)
    assert re.search(r"\$1/day, is spent \(\$1\.5\d\): it begins anew at 00:00 on \d+ \w+ \(in ", answer.message)
    assert "bm keys change" in answer.message
    assert len(world.calls()) == 1
    assert re.search(rf"WARNING bm: the budget of the key {_made[-1]}, \$1/day, is spent", world.daemon.log())
    assert world.ask(protocol, "claude-sonnet-5", stream=stream).complete


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_official_sdk_does_not_repeat_what_a_budget_refuses(world: World, protocol: str) -> None:
    world.set_up(modes=PAID)
    key = budgeted(world, "0.10/day")
    world.sim.script(costing(1))
    assert world.ask("anthropic", "claude-sonnet-5", headers=key).complete
    before = world.admin("status")["requests"]["total"]
    with pytest.raises(sdk.FAILURES, match="is spent"):
        await sdk.ask(protocol, world.daemon.url, key["x-api-key"], "claude-sonnet-5")
    assert world.admin("status")["requests"]["total"] == before + 1


@EVERY_PROTOCOL
def test_a_budget_of_tokens(world: World, protocol: str) -> None:
    key = budgeted(world, "1000 tokens/hour")
    world.sim.script(Rule(usage=Usage(input=600, output=500), times=None))
    assert world.ask(protocol, headers=key).complete
    answer = world.ask(protocol, headers=key)
    assert answer.status == 400 and "1k tokens/hour, is spent (1.1k tokens)" in answer.message
    assert "budgets.free" not in answer.message


def test_a_refusal_says_how_free_accounts_count_nothing(world: World) -> None:
    key = budgeted(world, "0.10/day")
    world.sim.script(costing(5))
    assert world.ask("anthropic", headers=key).complete
    answer = world.ask("anthropic", headers=key)
    assert answer.message.endswith(", or, if the Gemini accounts cost nothing, bm config set budgets.free gemini")


def test_a_provider_whose_budget_is_spent_is_left_out_of_plans(world: World) -> None:
    world.set_up(modes=PAID)
    world.sim.script(costing(0.5))
    assert world.ask("anthropic", "claude-sonnet-5").bm("provider") == "anthropic"
    # What the ledger knows of before counts.
    world.configure(PAID, '[budgets.providers]\nanthropic = ["0.40/day", "90/month"]\n')
    answer = world.ask("anthropic", "claude-sonnet-5")
    assert answer.complete and answer.bm("provider") == "gemini"
    reason = "the budget of the provider anthropic, $0.40/day, is spent"
    for lines in (world.admin("why/last"), world.admin("route", {"model": "claude-sonnet-5"})):
        assert any(line["reason"].startswith(reason) for line in lines["considered"])
    answer = world.ask("anthropic", "anthropic:claude-sonnet-5")
    assert answer.status == 400 and reason in answer.message


def test_a_cheaper_chain_serves_in_place_of_a_refusal(world: World) -> None:
    config = '[aliases]\ncheap = ["gemini:haiku"]\n[budgets]\non_exhausted = "route:cheap"\n'
    world.set_up(modes=PAID, more=config)
    key = budgeted(world, "1/day")
    world.sim.script(costing(1.5))
    assert world.ask("anthropic", "claude-sonnet-5", headers=key).bm("provider") == "anthropic"
    answer = world.ask("anthropic", "claude-sonnet-5", headers=key)
    assert answer.complete and (answer.bm("provider"), answer.bm("model")) == ("gemini", "gemini-3.5-flash-lite")
    why = world.admin("why/last")
    assert why["model"] == "claude-sonnet-5"
    assert "is spent" in why["steps"][0] and why["steps"][0].endswith("so cheap serves instead")


def test_counting_tokens_goes_on(world: World) -> None:
    world.set_up(modes=PAID)
    key = budgeted(world, "1 tokens/day")
    assert world.ask("anthropic", headers=key).complete
    assert world.ask("anthropic", headers=key).status == 400
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hi"}]}
    assert world.http.post("/v1/messages/count_tokens", json=body, headers=key).status_code == 200


def test_a_budget_counts_what_was_running_when_it_was_set(world: World) -> None:
    world.set_up(modes=PAID)
    key = world.key("early")
    world.sim.script(Rule(text="word " * 20, chunks=20, delay=0.05, usage=Usage(output=100_000)))
    with world.http.stream("POST", "/v1/messages", json=asking("."), headers=key) as response:
        pieces = response.iter_raw()
        next(pieces)
        world.configure(PAID, '[budgets.keys]\nearly = "0.50/day"\n')
        assert b"message_stop" in b"".join(pieces)
    assert world.ask("anthropic", "claude-sonnet-5", headers=key).status == 400


def test_what_costs_nothing_goes_on(world: World) -> None:
    world.set_up(modes={"anthropic": "fallback"}, more='[budgets]\nfree = ["gemini"]\n')
    key = budgeted(world, "1/day")
    world.sim.script(costing(1.5))
    for model in ("anthropic:claude-sonnet-5", "claude-sonnet-5", "claude-sonnet-5"):
        assert world.ask("anthropic", model, headers=key).complete
    assert world.ask("anthropic", "anthropic:claude-sonnet-5", headers=key).status == 400


@EVERY_PROTOCOL
def test_what_running_requests_have_reserved_ends_soon(world: World, protocol: str) -> None:
    world.set_up(modes=PAID)
    key = budgeted(world, "0.01/day")
    world.sim.script(Rule(text="word " * 40, chunks=40, delay=0.2))
    with world.http.stream("POST", "/v1/messages", json=asking("."), headers=key) as response:
        # Held: the stream is closed with it.
        pieces = response.iter_raw()
        assert next(pieces)
        answer = world.ask(protocol, "claude-sonnet-5", headers=key)
        assert (answer.status, answer.headers["retry-after"], answer.headers["x-should-retry"]) == (429, "5", "true")
        assert "reserved by requests that are running" in answer.message
    assert soon(lambda: world.ask(protocol, "claude-sonnet-5", headers=key).complete)


@pytest.mark.parametrize("begun", [False, True])
def test_an_aborted_stream_settles_at_what_it_had(world: World, begun: bool) -> None:
    """Before its first content that is the prompt, which its service may bill."""
    world.set_up(modes=PAID)
    key = budgeted(world, "1/day")
    world.sim.script(Rule(text="word " * 400, chunks=40, delay=0.05, first_token_delay=0.0 if begun else 5.0))
    body = asking("what is this? " * 100)
    if begun:
        with world.http.stream("POST", "/v1/messages", json=body, headers=key) as response:
            pieces, received = response.iter_text(), ""
            while received.count("content_block_delta") < 3:
                received += next(pieces)
    else:
        with pytest.raises(httpx.ReadTimeout):
            world.http.post("/v1/messages", json=body, headers=key, timeout=0.3)
    assert soon(lambda: settled(world) > 0)
    assert settled(world) < 0.01


def settled(world: World) -> float:
    """What the latest key has spent, by the ledger and by its budget, once both say the same."""
    name = _made[-1]
    (budget,) = (each for each in world.admin("status")["budgets"] if each["name"] == name)
    (row,) = [row for row in world.admin("usage?by=key")["rows"] if row["name"] == name] or [{"cost": 0.0}]
    same = budget["spent"] == pytest.approx(row["cost"]) and budget["reserved"] == 0
    return float(row["cost"]) if same else 0.0


def test_a_dollar_under_two_hundred_streams_at_once(world: World) -> None:
    """Aborts included, it is exceeded by no more than a request has reserved."""
    world.set_up(modes=PAID)
    key = budgeted(world, "1/day")
    world.sim.script(Rule(text="word " * 30, chunks=3, delay=0.01, usage=Usage(input=100, output=4_000), times=None))
    statuses = Counter[int]()
    for _ in range(8):
        found = asyncio.run(streams(world.daemon.url, key, 200))
        statuses.update(found)
        if set(found) == {400}:
            break
    reserved = 4_096 * 10e-6 + 0.001
    assert soon(lambda: settled(world) > 0)
    assert 1 <= settled(world) <= 1 + reserved, statuses
    assert set(statuses) == {200, 400, 429}


async def streams(url: str, key: dict[str, str], count: int) -> list[int]:
    """The statuses of so many streams at the same time. Every fourth is aborted after its first bytes."""
    body = asking(".")
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=url, headers=key, limits=limits, timeout=30, trust_env=False) as http:

        async def one(number: int) -> int:
            async with http.stream("POST", "/v1/messages", json=body) as response:
                async for _ in response.aiter_raw():
                    if number % 4 == 0:
                        break
                return response.status_code

        return await asyncio.gather(*map(one, range(count)))

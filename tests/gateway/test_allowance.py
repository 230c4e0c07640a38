"""What a client's key allows, over a real daemon: models, providers, rates, and their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bm.keys.file import update as update_keys
from bm.simulator import Rule
from bm.simulator.rules import Usage
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, World

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

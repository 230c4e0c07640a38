"""What an upstream call carries, and what of its response reaches the client."""

from __future__ import annotations

import json

import msgspec
import pytest

from bm.accounts.account import Access
from bm.chat.events import Usage as Tokens
from bm.errors import Failure
from bm.gateway.attempt import naming_project
from bm.ledger.prices import cost_of
from bm.simulator import Rule
from bm.simulator.rules import Usage
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, World


@EVERY_PROTOCOL
@pytest.mark.parametrize("stream", [True, False])
def test_the_accounts_key_is_masked_in_the_upstreams_message(world: World, protocol: str, stream: bool) -> None:
    world.set_up(accounts=1)
    key = f"key-of-the-account-{world.pool[0]}"
    world.sim.script(Rule(status=400, message=f"the key {key} is not welcome"))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 400 and "is not welcome" in answer.message
    assert key not in answer.body.decode()


@EVERY_PROTOCOL
def test_overload_after_the_first_content_counts_as_overload(world: World, protocol: str) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(text="one two three", chunks=3, error="overloaded", error_after=1, times=None))
    for _ in range(2):
        world.ask(protocol)
    row = world.account(world.pool[0])
    assert row["state"] == "cooling down" and row["failures_today"] and row["last_error"]


@EVERY_CLIENT
def test_a_model_that_answers_with_nothing_is_asked_once_more(world: World, protocol: str, stream: bool) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(text=""), Rule(text="at last"))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and b"at" in answer.body and b"last" in answer.body
    world.sim.script(Rule(text=""), Rule(text=""), Rule(text="too late"))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and b"late" not in answer.body
    assert world.account(world.pool[0])["failures_today"] == 0


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_no_use_costs_what_it_has_used(world: World, stream: bool) -> None:
    world.set_up(accounts=2)
    world.sim.script(Rule(finish="malformed_tool_call", usage=Usage(input=900, output=70)), Rule())
    answer = world.ask("gemini", stream=stream)
    assert answer.complete
    record = world.admin(f"why/{answer.bm('request-id')}")
    wasted, used = (msgspec.convert(each["usage"], Tokens) for each in (record["attempts"][0], record))
    assert (wasted.prompt, wasted.output) == (900, 70)
    costs = [cost_of("gemini", record["answered_by"]["model"], each) or 0 for each in (wasted, used)]
    assert record["cost"] == pytest.approx(sum(costs))


@EVERY_CLIENT
@pytest.mark.parametrize("usage", ["", ',"usageMetadata":{}', ',"usageMetadata":{"promptTokenCount":0}'])
def test_what_a_service_does_not_count_is_estimated(world: World, protocol: str, stream: bool, usage: str) -> None:
    world.set_up(accounts=1)
    said = (
        '{"candidates":[{"content":{"role":"model","parts":[{"text":"one two three four"}]},"finishReason":"STOP"}]%s}'
    )
    body = said % usage
    kind = "text/event-stream" if stream else "application/json"
    world.sim.script(Rule(raw_body=f"data: {body}\n\n" if stream else body, content_type=kind))
    record = world.admin(f"why/{world.ask(protocol, stream=stream).bm('request-id')}")
    assert record["usage"]["input"] > 0 and record["usage"]["output"] > 0 and record["cost"] > 0


def test_claude_may_have_nothing_to_say(world: World) -> None:
    world.set_up(0, {"anthropic": "exclusive"})
    world.sim.script(Rule(text=""), Rule(text="asked again"))
    assert b"again" not in world.ask("anthropic", "anthropic:claude-opus-5-5").body


@EVERY_CLIENT
def test_a_request_that_a_used_connection_loses_is_nobodys_failure(world: World, protocol: str, stream: bool) -> None:
    world.set_up(accounts=1)
    world.sim.script(Rule(), Rule(reset=True))
    assert world.ask(protocol, stream=stream).complete
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and answer.bm("attempts") == "1"
    assert len(world.calls()) == 3
    row = world.account(world.pool[0])
    assert (row["failures_today"], row["health"]) == (0, 1.0)


@EVERY_PROTOCOL
def test_configured_headers_are_masked_in_errors_and_streams(world: World, protocol: str) -> None:
    secret = "cf7access0client0secret0123456789"
    more = f'[providers.openai.headers]\ncf-access-client-secret = "{secret}"\n'
    world.set_up(0, {"openai": "exclusive"}, more, keys=1)
    world.sim.script(Rule(status=400, message=f"refused: {secret}"))
    answer = world.ask(protocol)
    assert answer.status == 400 and secret not in answer.body.decode()
    world.sim.script(Rule(text="one two", chunks=2, error="server", error_after=1, message=f"lost {secret}"))
    assert secret not in world.ask(protocol).body.decode()


@pytest.mark.parametrize(
    ("protocol", "provider", "back"),
    [
        ("anthropic", "anthropic", "anthropic-ratelimit-requests-remaining"),
        ("openai-chat", "groq", "x-ratelimit-remaining-tokens"),
    ],
)
def test_limits_and_ids_of_the_clients_own_protocol_come_back(
    world: World, protocol: str, provider: str, back: str
) -> None:
    world.set_up(modes={provider: "exclusive"})
    headers = {back: "7", "set-cookie": "a=b", "x-secret": "no", "server": "upstream"}
    world.sim.script(Rule(text="hello", headers=headers, times=None))
    for stream in (True, False):
        answer = world.ask(protocol, stream=stream)
        assert answer.complete and answer.headers[back] == "7"
        assert not {"set-cookie", "x-secret", "server"} & set(answer.headers)


def test_a_clients_headers_reach_an_upstream_of_its_protocol_without_its_credentials(world: World) -> None:
    world.set_up(modes={"anthropic": "exclusive"})
    sent = {
        "anthropic-beta": "made-up-2099-01-01",
        "anthropic-version": "2023-06-01",
        "user-agent": "claude-cli/2.1",
        "x-app": "cli",
        "cookie": "a=b",
        "x-bm-anything": "1",
        "x-forwarded-for": "192.0.2.1",
        "authorization": f"Bearer {world.daemon.key}",
    }
    assert world.ask("anthropic", headers=sent).complete
    (call,) = world.calls()
    assert {name: call.headers[name] for name in ("anthropic-beta", "user-agent", "x-app")} == {
        "anthropic-beta": "made-up-2099-01-01",
        "user-agent": "claude-cli/2.1",
        "x-app": "cli",
    }
    assert not {"cookie", "x-bm-anything", "x-forwarded-for", "authorization"} & call.headers.keys()
    assert call.account == world.paid["anthropic"][0]


@pytest.mark.parametrize(
    ("access", "message"),
    [
        (Access(key="k", billed="paying"), "denied (project paying)"),
        (Access(key="t", bearer=True, project="own"), "denied (project own)"),
        (Access(key="k", project="own"), "denied"),
        (Access(key="t", bearer=True, project="denied"), "denied"),
    ],
    ids=["billed project", "token's project", "key", "named already"],
)
def test_a_refused_permission_names_the_project(access: Access, message: str) -> None:
    assert naming_project(Failure(kind="permission", message="denied"), access).message == message
    assert naming_project(Failure(kind="server", message="denied"), access).message == "denied"


_CHUNK = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
_DELTA = _CHUNK | {"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": "stop"}]}
_STREAM = f"data: {json.dumps(_DELTA)}\n\ndata: [DONE]\n\n"
_MESSAGE = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
_DOCUMENT = json.dumps(_CHUNK | {"object": "chat.completion", "choices": [_MESSAGE]})


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic"], ids=["passing", "translating"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("body", [_STREAM, _DOCUMENT], ids=["stream", "document"])
@pytest.mark.parametrize("label", ["application/json", "text/event-stream", "text/plain"])
def test_an_answer_is_read_as_what_it_is(world: World, protocol: str, stream: bool, body: str, label: str) -> None:
    """Whatever was asked for, and whatever the content type says."""
    world.set_up(modes={"groq": "exclusive"})
    world.sim.script(Rule(raw_body=body, content_type=label))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete and b'"hello"' in answer.body
    assert answer.headers["content-type"].startswith("text/event-stream" if stream else "application/json")


def test_more_texts_than_a_request_may_hold_take_several(world: World) -> None:
    world.set_up(1)
    body = {"model": "gemini:gemini-embedding-001", "input": [str(number) for number in range(250)]}
    answer = world.http.post("/v1/embeddings", json=body)
    assert world.admin(f"why/{answer.headers['x-bm-request-id']}")["cost"] > 0
    assert answer.status_code == 200
    assert [row["index"] for row in answer.json()["data"]] == list(range(250))
    assert len(world.sim.log()) == 3


@EVERY_PROTOCOL
def test_a_whole_answer_is_due_with_its_body(world: World, protocol: str) -> None:
    world.set_up(accounts=1, more="[timeouts]\nwhole = 0.4\n")
    world.sim.script(Rule(head_delay=0.2, stall_after=0, times=None))
    answer = world.ask(protocol, stream=False)
    assert answer.status == 504 and "within 0.4 s" in answer.message

"""Whole exchanges: token counts and estimates, and when a rescue is prepared."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bm.gateway import exchange
from bm.gateway.exchange import Exchange
from bm.gateway.services import Services
from bm.simulator import Rule, Simulator
from tests.accounts.build import credential
from tests.gateway.build import Reader, call, settings
from tests.gateway.world import World


@pytest.mark.parametrize(
    ("text", "changes", "rescued"),
    [
        ("", {}, True),
        ("[pool]\nrescue = false\n", {}, False),
        ("", {"stream": False}, False),
        ("", {"operation": "count_tokens"}, False),
    ],
    ids=["a stream", "switched off", "no stream", "a count"],
)
async def test_a_rescue_is_prepared_for_streams_unless_it_is_switched_off(
    bm_home: Path, monkeypatch: pytest.MonkeyPatch, text: str, changes: dict[str, Any], rescued: bool
) -> None:
    made: list[object] = []
    monkeypatch.setattr(exchange, "Rescue", made.append)
    services = Services(settings(bm_home, text))
    Exchange(services, msgspec.structs.replace(call(), **changes), Reader())
    await services.close()
    assert bool(made) is rescued


COUNTS = [
    ("anthropic", "/v1/messages/count_tokens", {"messages": [{"role": "user", "content": "hello"}]}, "input_tokens"),
    ("openai-responses", "/v1/responses/input_tokens", {"input": "hello"}, "input_tokens"),
    (
        "gemini",
        "/v1beta/models/gemini-2.5-flash:countTokens",
        {"contents": [{"parts": [{"text": "hello"}]}]},
        "totalTokens",
    ),
]


@pytest.mark.parametrize(("protocol", "path", "body", "name"), COUNTS, ids=[row[0] for row in COUNTS])
def test_tokens_are_counted_by_the_pool(
    world: World, protocol: str, path: str, body: dict[str, Any], name: str
) -> None:
    counted_here = world.send(protocol, path, {"model": "claude-sonnet-5", **body} if protocol != "gemini" else body)
    assert counted_here.status == 200 and counted_here.json[name] > 0
    assert counted_here.bm("provider") == "gemini" and "x-bm-estimate" not in counted_here.headers
    assert [call.operation for call in world.calls()] == ["count"]


def test_tokens_are_estimated_where_the_upstream_cannot_count(world: World) -> None:
    world.set_up(modes={"groq": "exclusive"})
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hello " * 100}]}
    found = world.send("anthropic", "/v1/messages/count_tokens", body)
    assert found.status == 200 and 50 < found.json["input_tokens"] < 300
    assert found.headers["x-bm-estimate"] == "true" and world.calls() == []


@pytest.mark.parametrize(
    ("status", "message", "estimated"),
    [(404, "Not Found", True), (405, "Method Not Allowed", True), (404, "model: gemini-2.5-flash", False)],
)
def test_tokens_are_estimated_where_the_upstream_has_no_such_page(
    world: World, status: int, message: str, estimated: bool
) -> None:
    world.sim.script(*[Rule(operation="count", status=status, message=message)] * 9)
    body = {"model": "gemini-2.5-flash", "contents": [{"parts": [{"text": "hello"}]}]}
    found = world.send("gemini", "/v1beta/models/gemini-2.5-flash:countTokens", body)
    assert (found.status == 200) is estimated
    assert ("x-bm-estimate" in found.headers) is estimated


def test_a_count_that_fails_goes_to_the_next_account(world: World) -> None:
    world.sim.script(Rule(operation="count", status=429, retry_info="60s"))
    body = {"model": "claude-sonnet-5", "messages": [{"role": "user", "content": "hello"}]}
    found = world.send("anthropic", "/v1/messages/count_tokens", body)
    assert found.status == 200 and found.bm("attempts") == "2"


ACME = """[providers.acme]
enabled = true
mode = "exclusive"
base_url = "{url}/acme/openai/v1"
protocol = "openai-chat"
protocols = ["anthropic"]
"""
BODY = b'{"model": "opus", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "hello"}]}'


@pytest.fixture
async def acme(bm_home: Path) -> AsyncIterator[tuple[Services, Simulator]]:
    """A provider with an account, of whose models nothing is known."""
    with Simulator() as simulator:
        found = settings(bm_home, ACME.format(url=simulator.url))
        account = credential("one", provider="acme")
        services = Services(msgspec.structs.replace(found, credentials=(account,)))
        yield services, simulator
        await services.close()


async def test_the_limit_that_a_refusal_names_is_learned(acme: tuple[Services, Simulator]) -> None:
    services, simulator = acme
    message = "This model's maximum context length is 4096 tokens. However, your messages resulted in 9000 tokens."
    simulator.script(Rule(error="context_too_long", message=message))
    reader = Reader()
    await Exchange(services, call(body=BODY), reader).run()
    assert reader.status == 400
    assert services.context_limits.of("acme") == {"opus": 4096}


async def test_a_cut_response_that_no_target_continues_does_not_look_complete_to_geminis_clients(
    acme: tuple[Services, Simulator],
) -> None:
    services, simulator = acme
    rescued = msgspec.structs.replace(services.config.pool, rescue=True)
    services.apply(
        msgspec.structs.replace(services.settings, config=msgspec.structs.replace(services.config, pool=rescued))
    )
    simulator.script(Rule(text="one two three four", chunks=8, cut_after=5), *[Rule(status=500)] * 9)
    body = b'{"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}'
    reader = Reader()
    await Exchange(
        services, msgspec.structs.replace(call(body=body), protocol="gemini", model="acme:opus"), reader
    ).run()
    assert b'"on"' in reader.body and b'"error"' in reader.body
    assert reader.sent[-1] == "cut"


async def test_an_exchange_that_the_client_leaves_is_recorded_and_learned_from(
    acme: tuple[Services, Simulator],
) -> None:
    services, simulator = acme
    simulator.script(Rule(text="one two three four", chunks=8, stall_after=5))
    reader = Reader()
    work = asyncio.ensure_future(Exchange(services, call("session", continues=True, body=BODY), reader).run())
    await asyncio.wait_for(reader.received.wait(), 10)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    record = services.calls.find("last")
    assert record is not None and record.client_left and record.status == 200 and services.calls.active == 0
    assert services.affinities.get("session", time.monotonic()) == ("acme", "one")
    assert services.pool.states(time.monotonic())["acme"][0].inflight == 0


@pytest.mark.parametrize("rule", [Rule(text="hello"), Rule(status=500)], ids=["an answer", "a failure"])
async def test_an_exchange_is_gone_when_it_ends(acme: tuple[Services, Simulator], rule: Rule) -> None:
    """Its body does not wait for the garbage collector."""
    services, simulator = acme
    simulator.script(*[rule] * 9)
    asked = Exchange(services, call(body=BODY), Reader())
    left = weakref.ref(asked)
    gc.disable()
    try:
        await asked.run()
        del asked
        await asyncio.sleep(0)
        assert left() is None
    finally:
        gc.enable()

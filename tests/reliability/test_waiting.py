"""What bm learns from answers so as not to be refused, and the silence that it does not wait for."""

from __future__ import annotations

from typing import Any

import pytest

from bm.chat.repair import RETRY_HINT
from bm.simulator import Rule
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, PROTOCOLS_LINE, Answer, World, path_of
from tests.simulator.streams import body_of


@pytest.mark.parametrize(
    ("protocol", "headers"),
    [
        ("openai-chat", {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "45s"}),
        ("openai-chat", {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "45s"}),
        (
            "anthropic",
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2999-01-01T00:00:00Z",
            },
        ),
    ],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_an_account_that_has_used_up_its_limit_is_not_asked_until_there_is_more(
    world: World, protocol: str, headers: dict[str, str], stream: bool
) -> None:
    table = f'{PROTOCOLS_LINE}\nprotocol = "{protocol}"'
    world.set_up(0, {"acme": "exclusive"}, keys=2, tables={"acme": table})
    world.sim.script(Rule(headers=headers))
    assert world.ask(protocol, stream=stream).complete
    (first,) = world.asked()
    (rest,) = world.account(first)["cooldowns"]
    assert 40 < rest["seconds"] <= 60 and world.account(first)["failures_today"] == 0
    assert all(world.ask(protocol, stream=stream).complete for _ in range(3))
    assert first not in world.asked()[1:]


def test_a_refusal_without_a_delay_has_that_of_the_limit_which_is_used_up(world: World) -> None:
    table = f'{PROTOCOLS_LINE}\nprotocol = "openai-chat"'
    world.set_up(0, {"acme": "exclusive"}, keys=2, tables={"acme": table})
    reported = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "45s"}
    world.sim.script(Rule(status=429, headers=reported))
    assert world.ask("openai-chat").complete
    (rest,) = world.account(world.asked()[0])["cooldowns"]
    assert 40 < rest["seconds"] <= 45


def ask(world: World, protocol: str, text: str) -> Answer:
    path = path_of(protocol, "gpt-5", stream=True)
    return world.send(protocol, path, body_of(protocol, text, "gpt-5", stream=True), stream=True)


def said(call: Any) -> str:
    return str(call.body)


@EVERY_CLIENT
def test_a_model_that_calls_a_tool_badly_is_asked_again_with_a_word(world: World, protocol: str, stream: bool) -> None:
    world.set_up(2)
    world.sim.script(Rule(text="", finish="malformed_tool_call"))
    answer = world.ask(protocol, stream=stream)
    first, second = world.calls()
    assert answer.complete and answer.bm("attempts") == "2"
    assert first.account == second.account
    assert RETRY_HINT not in said(first) and RETRY_HINT in said(second)


@EVERY_CLIENT
def test_a_model_that_does_it_again_is_left_in_peace(world: World, protocol: str, stream: bool) -> None:
    world.set_up(2)
    world.sim.script(Rule(text="", finish="malformed_tool_call", times=None))
    answer = world.ask(protocol, stream=stream)
    assert answer.status == 502 and answer.message
    assert len(world.asked()) == 2
    assert set(world.states().values()) == {"usable"}


@EVERY_PROTOCOL
def test_a_prompt_that_is_known_to_be_too_long_is_not_sent_there_again(world: World, protocol: str) -> None:
    small, large = f"small-{protocol}", f"large-{protocol}"
    head = f'{PROTOCOLS_LINE}\nprotocol = "openai-chat"\nmodels = '
    tables = {name: f'{head}{{ default = "{name}", "gpt-5" = "{name}" }}' for name in (small, large)}
    world.set_up(0, {small: "pooled", large: "fallback"}, tables=tables)
    message = "This model's maximum context length is 1200 tokens. However, you requested 4000 tokens."
    world.sim.script(Rule(path=f"/{small}", error="context_too_long", message=message, times=None))
    long = "word " * 4000
    first = ask(world, protocol, long)
    second = ask(world, protocol, long)
    assert first.complete and second.complete
    assert (first.bm("attempts"), second.bm("attempts")) == ("2", "1")
    world.sim.reset()
    assert world.ask(protocol, "gpt-5").bm("provider") == small


@EVERY_PROTOCOL
def test_silence_inside_an_answer_that_is_no_stream_ends(world: World, protocol: str) -> None:
    world.set_up(2, {}, "[timeouts]\nwhole = 0.5\nidle = 0.5\n")
    world.sim.script(Rule(stall_after=1))
    answer = world.ask(protocol, stream=False)
    assert answer.complete and len(set(world.asked())) == 2


@EVERY_PROTOCOL
def test_a_network_that_is_away_is_held_against_no_account(world: World, protocol: str) -> None:
    world.set_up(2)
    config = '[pool]\nmax_wait = 0\n[gemini]\nbase_url = "http://127.0.0.1:1"\n'
    world.daemon.paths.config.write_text(config, encoding="utf-8")
    assert world.admin("reload", {})["ok"]
    answer = world.ask(protocol)
    assert answer.status == 502 and "cannot be reached" in answer.message
    rows = world.admin("accounts")["accounts"]
    assert [row["health"] for row in rows] == [1.0, 1.0] and {row["state"] for row in rows} == {"usable"}

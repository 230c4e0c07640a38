"""A cut answer is finished by another target, or ends in the client's error: over real sockets."""

from __future__ import annotations

import json
import re
from typing import Any

from bm.simulator import Rule, ToolCall
from bm.simulator import Usage as SimulatedUsage
from tests.gateway.world import EVERY_PROTOCOL, MODELS, PROTOCOLS_LINE, Answer, World
from tests.reliability.faults import reading

TEXT = "One, two, three, four, five, six, seven, eight, nine, ten."
ON = "rescue = true"
HELP = (
    f'{PROTOCOLS_LINE}\nprotocol = "anthropic"\nmodels = {{ default = "large", sonnet = "large", "gpt-5" = "large" }}'
)


def set_up(world: World, accounts: int = 1, help_: str = HELP) -> None:
    world.set_up(accounts, {"acme": "fallback"} if help_ else {}, pool=ON, tables={"acme": help_})


def text_of(answer: Answer) -> str:
    return "".join(getattr(part, "text", "") for choice in reading(answer).choices for part in choice.parts)


def cut(world: World, *answers: Rule, after: int = 5, **fields: Any) -> None:
    """The pool's account breaks off; then come these answers."""
    world.sim.script(Rule(account=world.pool[0], text=TEXT, chunks=10, cut_after=after, **fields), *answers)


@EVERY_PROTOCOL
def test_the_next_target_is_given_what_the_client_has(world: World, protocol: str) -> None:
    set_up(world)
    cut(world, Rule(text=TEXT, usage=SimulatedUsage(input=50, output=7)))
    answer = world.ask(protocol)
    assert answer.complete and text_of(answer) == TEXT
    first, second = world.calls()
    given = second.body["messages"][-1]
    assert first.account == world.pool[0] and given["role"] == "assistant"
    assert TEXT.startswith(given["content"][0]["text"]) and len(given["content"][0]["text"]) > 10
    assert "continues the cut response" in json.dumps(world.admin("why/last"))
    assert "finished after a cut" in world.daemon.log()


@EVERY_PROTOCOL
def test_a_target_that_takes_no_beginning_is_asked_anew_and_must_repeat_it(world: World, protocol: str) -> None:
    set_up(world)
    cut(world, Rule(status=400, message="prefill is not supported"), Rule(text=TEXT))
    answer = world.ask(protocol)
    assert answer.complete and text_of(answer) == TEXT
    assert [call.body["messages"][-1]["role"] for call in world.calls()[1:]] == ["assistant", "user"]


@EVERY_PROTOCOL
def test_another_answer_is_never_glued_on(world: World, protocol: str) -> None:
    set_up(world)
    cut(world, Rule(status=400, message="prefill is not supported"), Rule(text="Something else entirely.", times=None))
    answer = world.ask(protocol)
    assert reading(answer).failure is not None and TEXT.startswith(text_of(answer))
    assert bool(answer.broken) == (protocol == "gemini"), "Google's SDKs see no error event but a broken connection"


@EVERY_PROTOCOL
def test_an_open_call_ends_in_the_clients_error(world: World, protocol: str) -> None:
    set_up(world)
    call = ToolCall("f", {"a": "b"})
    world.sim.script(Rule(account=world.pool[0], preface="I look.", tool_calls=(call,), no_done=True))
    answer = world.ask(protocol)
    assert reading(answer).failure is not None and len(world.calls()) == 1


def test_the_only_target_is_asked_once_more(world: World) -> None:
    set_up(world, help_="")
    cut(world, Rule(text=TEXT))
    answer = world.ask("anthropic")
    assert answer.complete and text_of(answer) == TEXT
    assert world.asked() == [world.pool[0]] * 2


def test_when_no_target_can_continue_the_client_receives_the_first_cut(world: World) -> None:
    set_up(world)
    cut(world, Rule(status=503, message="too busy", times=None))
    read = reading(world.ask("anthropic"))
    assert read.failure is not None and "gemini" in read.failure.message and "busy" not in read.failure.message


def test_a_second_cut_is_mended_like_the_first(world: World) -> None:
    set_up(world, accounts=2)
    world.sim.script(Rule(text=TEXT, chunks=10, cut_after=3), Rule(text=TEXT, chunks=10, cut_after=3), Rule(text=TEXT))
    answer = world.ask("openai-responses")
    assert answer.complete and text_of(answer) == TEXT and len(world.calls()) == 3


@EVERY_PROTOCOL
def test_what_passes_through_does_so_byte_for_byte(world: World, protocol: str) -> None:
    """The simulator's own spelling reaches the client, as it does without rescue."""
    own = {} if protocol == "gemini" else {"acme": "exclusive"}
    table = f'{PROTOCOLS_LINE}\nprotocol = "{protocol}"'
    bodies = []
    for pool in (ON, ""):
        world.set_up(0 if own else 1, own, pool=pool, tables={"acme": table})
        world.sim.script(Rule(text=TEXT, chunks=10, thinking="hm"))
        bodies.append(re.sub(rb"[0-9]+", b"0", world.ask(protocol).body))
    assert bodies[0] == bodies[1] and b"sim0" in bodies[0]


@EVERY_PROTOCOL
def test_each_part_of_a_rescued_answer_has_its_own_price(world: World, protocol: str) -> None:
    names = ", ".join(f'"{name}" = "claude-haiku-4-5"' for name in sorted(set(MODELS.values())))
    table = f"{PROTOCOLS_LINE}\nmodels = {{ {names} }}"
    world.set_up(1, {"anthropic": "fallback"}, pool=ON, tables={"anthropic": table})
    cut(world, Rule(text=TEXT, usage=SimulatedUsage(input=1_000_000, output=7)))
    assert world.ask(protocol).complete
    reported = world.admin("why/last")
    haiku = 1.0 * 1_000_000 / 1e6 + 5.0 * 7 / 1e6
    assert reported["usage"]["input"] == 1_000_000 and reported["usage"]["output"] > 7
    assert haiku < reported["cost"] < haiku + 0.01, "with a little for the first part, at Gemini's price"

"""A cut answer is finished by another target, or ends in the client's error: over real sockets."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from bm.simulator import Rule, ToolCall
from bm.simulator import Usage as SimulatedUsage
from tests.gateway.world import EVERY_PROTOCOL, MODELS, PROTOCOLS_LINE, Answer, World
from tests.reliability.faults import ENDS, reading

TEXT = "One, two, three, four, five, six, seven, eight, nine, ten."
LAST = TEXT[TEXT.index("two") :]
"""What a model says that repeats the last words of what the client has, and goes on."""
PREFILLS = "claude-haiku-4-5"
"""Goes on with a beginning of its own answer, unlike the models after it."""


def help_of(model: str) -> str:
    names = ", ".join(f'"{name}" = "{model}"' for name in ("default", *sorted(set(MODELS.values()))))
    return f'{PROTOCOLS_LINE}\nprotocol = "anthropic"\nmodels = {{ {names} }}'


def set_up(world: World, accounts: int = 1, help_: str = "large") -> None:
    world.set_up(accounts, {"acme": "fallback"} if help_ else {}, tables={"acme": help_of(help_)})


def text_of(answer: Answer) -> str:
    return "".join(getattr(part, "text", "") for choice in reading(answer).choices for part in choice.parts)


def cut(world: World, *answers: Rule, after: int = 5, **fields: Any) -> None:
    """The pool's account breaks off; then come these answers."""
    world.sim.script(Rule(account=world.pool[0], text=TEXT, chunks=10, cut_after=after, **fields), *answers)


def last_turns(world: World) -> list[str]:
    """The role of the last turn of each call to the helping provider."""
    return [call.body["messages"][-1]["role"] for call in world.calls()[1:]]


@EVERY_PROTOCOL
def test_the_next_target_is_asked_to_repeat_the_last_words_and_go_on(world: World, protocol: str) -> None:
    set_up(world)
    cut(world, Rule(text=LAST, usage=SimulatedUsage(input=50, output=7)))
    answer = world.ask(protocol)
    assert answer.complete and text_of(answer) == TEXT
    first, second = world.calls()
    *_, given, asking = second.body["messages"]
    assert first.account == world.pool[0] and (given["role"], asking["role"]) == ("assistant", "user")
    begun = given["content"][0]["text"]
    assert TEXT.startswith(begun) and len(begun) > 10 and asking["content"][0]["text"].endswith(begun)
    assert "continues the cut response after its last words" in json.dumps(world.admin("why/last"))
    assert world.daemon.logs("finished after a cut")


def test_a_model_that_goes_on_with_a_beginning_is_given_it(world: World) -> None:
    set_up(world, help_=PREFILLS)
    world.sim.script(
        Rule(account=world.pool[0], text=TEXT, chunks=2, delay=0.01, cut_after=1), Rule(text=TEXT[len(TEXT) // 2 :])
    )
    answer = world.ask("openai-chat")
    assert answer.complete and text_of(answer) == TEXT and last_turns(world) == ["assistant"]


def test_a_service_that_refuses_a_way_of_continuing_is_asked_in_the_next(world: World) -> None:
    set_up(world, help_=PREFILLS)
    cut(world, Rule(status=400, message="prefill is not supported"), Rule(text=LAST))
    answer = world.ask("anthropic")
    assert answer.complete and text_of(answer) == TEXT and last_turns(world) == ["assistant", "user"]


@EVERY_PROTOCOL
def test_another_answer_is_never_glued_on(world: World, protocol: str) -> None:
    set_up(world)
    cut(world, Rule(text="Something else entirely.", times=None))
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


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat"])
def test_a_complete_answer_whose_connection_breaks_is_complete(world: World, protocol: str) -> None:
    """It is bought once, its last event is added, and the account has no fault."""
    table = f'{PROTOCOLS_LINE}\nprotocol = "{protocol}"'
    world.set_up(0, {"acme": "exclusive"}, keys=2, tables={"acme": table})
    world.sim.script(Rule(text=TEXT, chunks=10, cut_after=99))
    answer = world.ask(protocol)
    assert answer.complete and text_of(answer) == TEXT and not answer.broken
    assert ENDS[protocol] in answer.body and b'"error"' not in answer.body
    (asked,) = world.asked()
    assert world.account(asked)["failures_today"] == 0


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
    for pool in ("", "rescue = false"):
        world.set_up(0 if own else 1, own, pool=pool, tables={"acme": table})
        world.sim.script(Rule(text=TEXT, chunks=10, thinking="hm"))
        bodies.append(re.sub(rb"[0-9]+", b"0", world.ask(protocol).body))
    assert bodies[0] == bodies[1] and b"sim0" in bodies[0]


@EVERY_PROTOCOL
def test_each_part_of_a_rescued_answer_has_its_own_price(world: World, protocol: str) -> None:
    names = ", ".join(f'"{name}" = "claude-haiku-4-5"' for name in sorted(set(MODELS.values())))
    table = f"{PROTOCOLS_LINE}\nmodels = {{ {names} }}"
    world.set_up(1, {"anthropic": "fallback"}, tables={"anthropic": table})
    cut(world, Rule(text=TEXT, usage=SimulatedUsage(input=1_000_000, output=7)))
    assert world.ask(protocol).complete
    reported = world.admin("why/last")
    haiku = 1.0 * 1_000_000 / 1e6 + 5.0 * 7 / 1e6
    assert reported["usage"]["input"] == 1_000_000 and reported["usage"]["output"] > 7
    assert haiku < reported["cost"] < haiku + 0.01, "with a little for the first part, at Gemini's price"

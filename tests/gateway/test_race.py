"""A second attempt beside a silent one: who wins, what becomes of the other, and what the record says of both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import Outcome
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.race import MAX_AT_ONCE, Race, Running
from bm.gateway.reply import KeepAlive, WaitingClient
from bm.simulator import Rule
from tests.gateway.build import Reader
from tests.gateway.world import EVERY_CLIENT, EVERY_PROTOCOL, MODELS, PROTOCOLS_LINE, World, path_of
from tests.simulator.streams import body_of
from tests.support.waiting import soon

HEDGE, LATE = 0.03, 60.0
Course = Callable[[Running], Coroutine[Any, Any, Outcome]]


def running(name: str, hedge: float = 0.0) -> Running:
    return Running(Attempt(target=Target("acme", name, "m", "openai-chat")), hedge)


class Runs:
    """Attempts as a script: what each does, and how each has ended."""

    def __init__(self, **courses: Course) -> None:
        self._courses = courses
        self.ended: list[str] = []
        self.reader = Reader()
        keep_alive = KeepAlive(WaitingClient(self.reader), first=0.01, every=0.01)
        self.race = Race(self._run, keep_alive, self._write)

    async def _write(self) -> None:
        await self.reader.send(b".")

    async def _run(self, running: Running) -> Outcome:
        name = running.attempt.target.account
        try:
            outcome = await self._courses[name](running)
        except asyncio.CancelledError:
            self.ended.append(f"{name} cancelled")
            raise
        self.ended.append(f"{name} {outcome.failure.kind if outcome.failure else 'answered'}")
        return outcome

    async def play(self, first: Running, *others: Running) -> list[str]:
        """Run the race to its end, asking the others in turn when all are silent. Returns what it reports."""
        waiting, reported = list(others), []
        async with self.race as race:
            race.begin(first)
            while race.under_way:
                ended = await race.next()
                if ended is None and waiting:
                    race.begin(waiting.pop(0))
                    reported.append("silent")
                elif ended is None:
                    race.closed = True
                else:
                    who, outcome = ended
                    result = outcome.failure.kind if outcome and outcome.failure else "answered"
                    reported.append(f"{who.attempt.target.account} {result if outcome else 'cancelled'}")
        return reported


async def silent(running: Running) -> Outcome:
    await asyncio.sleep(LATE)
    raise AssertionError


async def answers(running: Running) -> Outcome:
    running.claim()
    await asyncio.sleep(0)
    return Outcome()


async def fails(running: Running) -> Outcome:
    return Outcome(failure=Failure(kind="overloaded", message="busy"), request="next")


def after(seconds: float, course: Course) -> Course:
    async def waiting(running: Running) -> Outcome:
        await asyncio.sleep(seconds)
        return await course(running)

    return waiting


async def test_nothing_is_asked_beside_an_attempt_that_answers() -> None:
    runs = Runs(a=answers)
    assert await runs.play(running("a", HEDGE), running("b")) == ["a answered"]


async def test_the_second_wins_over_a_silent_one() -> None:
    runs = Runs(a=silent, b=answers)
    assert sorted(await runs.play(running("a", HEDGE), running("b"))) == ["a cancelled", "b answered", "silent"]


async def test_the_first_wins_if_it_has_content_first() -> None:
    runs = Runs(a=after(2 * HEDGE, answers), b=silent)
    assert sorted(await runs.play(running("a", HEDGE), running("b"))) == ["a answered", "b cancelled", "silent"]


async def test_a_failure_of_one_leaves_the_other_alone() -> None:
    runs = Runs(a=after(3 * HEDGE, answers), b=fails)
    assert await runs.play(running("a", HEDGE), running("b", HEDGE)) == ["silent", "b overloaded", "a answered"]


async def test_signs_of_life_postpone_the_second() -> None:
    async def lives(running: Running) -> Outcome:
        for _ in range(8):
            await asyncio.sleep(HEDGE / 2)
            running.hear()
        return await answers(running)

    assert await Runs(a=lives, b=answers).play(running("a", HEDGE), running("b")) == ["a answered"]


@pytest.mark.parametrize("hedge", [0.0, LATE], ids=["switched off", "not silent for long"])
async def test_a_second_is_asked_only_if_all_are_silent(hedge: float) -> None:
    runs = Runs(a=after(3 * HEDGE, answers), b=silent, c=silent)
    reported = await runs.play(running("a", HEDGE), running("b", hedge), running("c"))
    assert sorted(reported) == ["a answered", "b cancelled", "silent"]


async def test_no_more_than_so_many_are_asked_at_once() -> None:
    names = [f"n{number}" for number in range(MAX_AT_ONCE + 1)]
    runs = Runs(**dict.fromkeys(names, silent) | {"n0": after(0.3, answers)})
    reported = await runs.play(*(running(name, HEDGE) for name in names))
    assert reported.count("silent") == MAX_AT_ONCE - 1 and f"{names[-1]} cancelled" not in reported


async def test_the_client_is_kept_waiting_until_there_is_something_for_it() -> None:
    runs = Runs(a=silent, b=after(2 * HEDGE, answers))
    await runs.play(running("a", HEDGE), running("b"))
    assert runs.reader.body.count(b".") >= 2


async def test_a_race_that_is_cancelled_leaves_no_attempt_behind() -> None:
    runs = Runs(a=silent, b=silent)
    work = asyncio.ensure_future(runs.play(running("a", HEDGE), running("b")))
    await asyncio.sleep(3 * HEDGE)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert sorted(runs.ended) == ["a cancelled", "b cancelled"]


async def test_an_exception_ends_the_race_but_not_once_another_has_won() -> None:
    async def broken(running: Running) -> Outcome:
        raise ValueError("as it is")

    async def broken_on_its_way_out(running: Running) -> Outcome:
        try:
            return await silent(running)
        finally:
            await broken(running)

    runs = Runs(a=silent, b=broken)
    with pytest.raises(ValueError, match="as it is"):
        await runs.play(running("a", HEDGE), running("b"))
    assert "a cancelled" in runs.ended
    runs = Runs(a=broken_on_its_way_out, b=answers)
    assert sorted(await runs.play(running("a", HEDGE), running("b"))) == ["a cancelled", "b answered", "silent"]


SOON = "[timeouts]\nhedge = 0.3\nwhole = 1.2\n"
"""Another target is asked after 0.3 s, whether the answer is streamed or not."""


def asked_in_turn(world: World) -> list[tuple[str, str]]:
    """The attempts of the latest request with what became of them."""
    return [(each["account"], each["outcome"]) for each in world.admin("why/last")["attempts"]]


@EVERY_CLIENT
def test_a_silent_target_is_rescued_by_the_next(world: World, protocol: str, stream: bool) -> None:
    world.set_up(2, more=SOON)
    world.sim.script(Rule(silent=True), Rule(text="from the second"))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete
    first, second = world.asked()
    assert asked_in_turn(world) == [(first, "cancelled"), (second, "answered")]
    assert answer.bm("account") == second
    world.sim.wait(lambda log: [record.aborted for record in log if record.operation == "generate"] == [True, False])
    row = world.account(first)
    assert (row["state"], row["failures_today"], row["health"]) == ("usable", 0, 1.0)


@EVERY_CLIENT
def test_a_slow_target_wins_over_the_one_asked_beside_it(world: World, protocol: str, stream: bool) -> None:
    world.set_up(2, more=SOON)
    world.sim.script(Rule(head_delay=0.6, text="from the first"), Rule(silent=True))
    answer = world.ask(protocol, stream=stream)
    assert answer.complete
    first, second = world.asked()
    assert asked_in_turn(world) == [(first, "answered"), (second, "cancelled")]
    world.sim.wait(lambda log: [record.aborted for record in log if record.operation == "generate"] == [False, True])
    assert soon(lambda: all(world.account(name)["failures_today"] == 0 for name in world.pool))


def test_a_target_that_was_silent_is_given_less_time_until_it_answers(world: World) -> None:
    world.set_up(1, {"acme": "fallback"}, "[timeouts]\nhedge = 1\n", tables={"acme": 'protocol = "openai-chat"'})
    first, second = world.pool[0], world.paid["acme"][0]
    late, in_time = Rule(account=first, head_delay=0.5), Rule(account=first)
    world.sim.script(Rule(account=first, silent=True), late, in_time, late)
    answered = []
    for _ in range(4):
        assert world.ask("gemini", stream=True).complete
        answered.append(asked_in_turn(world)[-1])
    assert answered == [(second, "answered"), (second, "answered"), (first, "answered"), (first, "answered")]


@EVERY_PROTOCOL
def test_start_events_and_then_silence_are_silence(world: World, protocol: str) -> None:
    world.set_up(0, {"acme": "exclusive"}, SOON, keys=2, tables={"acme": f'{PROTOCOLS_LINE}\nprotocol = "anthropic"'})
    world.sim.script(Rule(first_token_delay=30.0), Rule(text="from the second"))
    answer = world.ask(protocol)
    assert answer.complete and len(set(world.asked())) == 2


@pytest.mark.parametrize(
    ("accounts", "modes", "more"),
    [(1, {}, SOON), (2, {}, "[timeouts]\nhedge = 0\n"), (0, {"openai": "exclusive"}, SOON)],
    ids=["no second target", "switched off", "exclusive with one key"],
)
def test_a_target_is_asked_alone(world: World, accounts: int, modes: dict[str, str], more: str) -> None:
    world.set_up(accounts, {**modes, "groq": "off"}, more)
    world.sim.script(Rule(head_delay=0.7))
    assert world.ask("openai-chat").complete
    assert len(world.asked()) == 1


def test_a_fallback_is_asked_last_and_before_a_third_account_of_a_service_that_is_down(world: World) -> None:
    world.set_up(3, {"acme": "fallback"}, SOON, tables={"acme": f'{PROTOCOLS_LINE}\nprotocol = "anthropic"'})
    world.sim.script(*[Rule(account=f"g{number}", silent=True, times=None) for number in range(3)])
    assert world.ask("anthropic").complete
    assert [name in world.pool for name in world.asked()] == [True, True, False]


def test_what_a_cancelled_request_has_used_is_part_of_the_cost(world: World) -> None:
    world.set_up(2, more=SOON)
    world.sim.script(Rule(silent=True))
    world.ask("anthropic", "claude-sonnet-5")
    hedged = world.admin("why/last")
    world.ask("anthropic", "claude-sonnet-5")
    alone = world.admin("why/last")
    assert hedged["attempts"][0]["usage"]["input"] > 0 and alone["attempts"][0]["usage"] is None
    assert hedged["cost"] > alone["cost"] > 0


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_during_a_race_ends_both_requests(world: World, stream: bool) -> None:
    world.set_up(2, more=SOON)
    world.sim.script(*[Rule(silent=True)] * 2)
    model = MODELS["anthropic"]
    with pytest.raises(httpx.ReadTimeout):
        world.http.post(
            path_of("anthropic", model, stream=stream),
            json=body_of("anthropic", model=model, stream=stream),
            timeout=httpx.Timeout(5, read=0.6),
        )
    world.sim.wait(lambda log: [record.aborted for record in log if record.operation == "generate"] == [True, True])
    assert soon(lambda: world.admin("why/last")["client_left"])
    assert all(world.account(name)["failures_today"] == 0 for name in world.pool)

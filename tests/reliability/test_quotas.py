"""No request is refused while any account has quota left: many clients at once, unequal quotas, real sockets."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bm.simulator import Quota, Rule
from tests.gateway.world import PROTOCOLS_LINE, World

SIZES = (3, 4, 5, 6, 8, 9, 11, 14)
CLIENTS = 12
REFUSAL = 0.3
"""Seconds a refusal takes: meanwhile the account answers others, and answers to earlier requests come in."""


@pytest.fixture
def pool(world: World) -> World:
    """Eight accounts of Gemini, which names the limit that is used up."""
    world.set_up(len(SIZES))
    return world


def crowd(world: World, names: list[str], protocol: str, requests: int, **fields: Any) -> Counter[str]:
    """So many requests of clients that come at once; which account answered each, or the error it received."""
    world.sim.script(Rule(times=None, chunks=4, first_token_delay=0.1, delay=0.05, text="one two three four"))

    def one(number: int) -> str:
        answer = world.ask(protocol, text=f"request {number:03d}", **fields)
        return answer.bm("account") if answer.complete else f"{answer.status} {answer.body.decode()}"

    with ThreadPoolExecutor(CLIENTS) as clients:
        reported = Counter(clients.map(one, range(requests)))
    assert not [word for word in reported if word not in names], reported
    return reported


def test_limits_of_requests_that_gemini_names(pool: World) -> None:
    quotas = {name: Quota(size, delay=REFUSAL) for name, size in zip(pool.pool, SIZES, strict=True)}
    pool.sim.script(quotas=quotas)
    assert crowd(pool, pool.pool, "gemini", sum(SIZES)) == Counter({name: quotas[name].requests for name in pool.pool})


def test_limits_of_tokens_that_gemini_names(pool: World) -> None:
    each = pool.ask("gemini", text="request 000", stream=False).json["usageMetadata"]["promptTokenCount"]
    quotas = {name: Quota(1000, tokens=each * size, delay=REFUSAL) for name, size in zip(pool.pool, SIZES, strict=True)}
    pool.sim.script(quotas=quotas)
    assert crowd(pool, pool.pool, "gemini", sum(SIZES)) == Counter(dict(zip(pool.pool, SIZES, strict=True)))


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic"])
def test_limits_that_no_answer_names(world: World, protocol: str) -> None:
    table = f'{PROTOCOLS_LINE}\nprotocol = "{protocol}"'
    world.set_up(0, {"acme": "exclusive"}, keys=len(SIZES), tables={"acme": table})
    names = world.paid["acme"]
    world.sim.script(quotas={name: Quota(size, delay=REFUSAL) for name, size in zip(names, SIZES, strict=True)})
    assert crowd(world, names, protocol, sum(SIZES)) == Counter(dict(zip(names, SIZES, strict=True)))


def test_small_requests_are_served_where_a_large_one_was_too_much(world: World) -> None:
    """It is refused with tokens left, and says nothing about requests that fit in these."""
    world.set_up(2)
    world.sim.script(quotas={name: Quota(1000, tokens=10_000) for name in world.pool})
    large = "word " * 2900
    assert all(world.ask("gemini", text=f"{number} {large}").complete for number in range(4))
    assert world.ask("gemini", text=f"one more {large}").status == 429
    assert all(world.ask("gemini", text=f"small {number}").complete for number in range(6))
    assert set(world.states().values()) == {"usable"}

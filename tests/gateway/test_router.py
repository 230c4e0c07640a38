"""What the router puts into a plan: affinity, requirements, the state of the accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bm.dispatch.plan import Plan
from bm.dispatch.target import Target
from bm.gateway.call import Call
from bm.gateway.services import Services
from tests.accounts.build import credential
from tests.gateway.build import call, settings

GROQ = '[providers.groq]\nenabled = true\nmode = "pooled"\nprotocols = ["anthropic"]\n'


@pytest.fixture
async def services(bm_home: Path) -> AsyncIterator[Services]:
    """Four Gemini accounts."""
    services = Services(settings(bm_home))
    services.pool.reload([credential(name) for name in "abcd"])
    yield services
    await services.close()


def planned(services: Services, asked: Call, random_number: float = 0.0) -> Plan:
    return services.router.plan(services.settings, asked, random_number=random_number)


def first(services: Services, asked: Call) -> set[str]:
    """The accounts that come first, over all random numbers."""
    return {planned(services, asked, step / 8).choices[0].target.account for step in range(8)}


def serve(services: Services, asked: Call, account: str) -> None:
    target = Target("gemini", account, "gemini-3-flash", "gemini")
    services.router.served(services.settings, asked, target)


async def test_a_conversation_stays_with_the_account_that_served_it(services: Services) -> None:
    serve(services, call("session", continues=True), "c")
    assert first(services, call("session", continues=True)) == {"c"}
    assert first(services, call("another", continues=True)) == {"a", "b", "c", "d"}


async def test_a_first_turn_goes_to_a_random_account_and_its_second_follows(services: Services) -> None:
    serve(services, call("start:1"), "c")
    assert first(services, call("start:1")) == {"a", "b", "c", "d"}
    assert first(services, call("start:1", continues=True)) == {"c"}


async def test_affinity_can_be_switched_off(services: Services, bm_home: Path) -> None:
    serve(services, call("session", continues=True), "c")
    off = settings(bm_home, "[pool]\naffinity = false\n")
    firsts = {
        services.router.plan(off, call("session", continues=True), random_number=step / 8).choices[0].target.account
        for step in range(8)
    }
    assert firsts == {"a", "b", "c", "d"}


PICTURE = (
    b'{"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}, {"role": "user", "content": "hi"}]}'
)


@pytest.mark.parametrize(
    ("text", "past"),
    [("", frozenset()), (GROQ, frozenset({"images"})), (f"{GROQ}[pool]\nstrict = true\n", frozenset())],
    ids=["every model takes images", "some take text alone", "strict"],
)
async def test_a_body_is_searched_for_media_only_where_the_answer_matters(
    services: Services, bm_home: Path, text: str, past: frozenset[str]
) -> None:
    services.apply(settings(bm_home, text))
    assert planned(services, call(body=PICTURE)).replaceable == past


async def test_learned_context_limits_reach_the_plan(services: Services) -> None:
    services.context_limits.set_listed("gemini", {"gemini-3.1-pro-preview": 77})
    services.pool.reload([credential("a")])
    assert [choice.context for choice in planned(services, call()).choices] == [77]


SHARED = '[aliases]\nopus = { weighted = { "gemini:pro" = 1, "gemini:flash" = 1 } }\n'


async def test_a_conversation_keeps_what_was_chosen_for_it_by_weight(services: Services, bm_home: Path) -> None:
    weighted = settings(bm_home, SHARED)

    def models(asked: Call) -> set[str]:
        plans = [services.router.plan(weighted, asked, random_number=(step + 0.5) / 7) for step in range(7)]
        return {plan.choices[0].target.model for plan in plans}

    both = {"gemini-3.1-pro-preview", "gemini-3.8-flash"}
    turns = [models(call(f"session:{number}", continues=True)) for number in range(8)]
    assert {len(chosen) for chosen in turns} == {1} and set.union(*turns) == both
    assert models(call("start:1")) == both, "equal first turns are no conversation"

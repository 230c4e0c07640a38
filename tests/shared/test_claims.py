"""One conversation, one account, on whatever node its turns arrive."""

from __future__ import annotations

import random
import time

import pytest

from bm.accounts.affinity import Affinities
from bm.dispatch.target import AccountId
from bm.shared.claims import Claims
from tests.shared.nodes import Node, nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until

X, Y, Z = (("gemini", name) for name in "xyz")


def conversations(node: Node) -> Affinities:
    """What a node knows of conversations, and tells of them."""
    made = Affinities(size=100, ttl=60)
    made.claim = Claims(node.store, node.outbox, node.news, made).claim
    return made


def served(conversations: Affinities, account_id: AccountId, name: str = "talk") -> None:
    conversations.set(name, account_id, time.monotonic())


def known(conversations: Affinities, name: str = "talk") -> AccountId | None:
    return conversations.get(name, time.monotonic())


async def test_all_nodes_learn_who_serves_a_conversation(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(conversations, found)
        served(a, X)
        await until(lambda: known(b) == X)
        served(b, Y)  # X was cooling down
        await until(lambda: known(a) == Y)
        assert known(a, "another") is None


async def test_a_node_that_starts_knows_what_was_said_before(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (first,):
        served(conversations(first), X)
        await first.settled()
        async with nodes(valkey.url, "b") as (second,):
            b = conversations(second)
            await until(lambda: known(b) == X)


@pytest.mark.parametrize("seed", range(5))
async def test_whoever_claims_at_once_all_nodes_agree(valkey: Valkey, seed: int) -> None:
    draw = random.Random(seed)
    async with nodes(valkey.url, "a", "b", "c") as found:
        teams = [conversations(node) for node in found]
        for _ in range(6):
            for each in draw.sample(teams, draw.randint(1, 3)):
                served(each, draw.choice((X, Y, Z)))
            if draw.random() < 0.5:
                await found[0].settled()
        for node in found:
            await node.settled()
        await until(lambda: len({known(each) for each in teams}) == 1)
        held = await found[0].store.command("KEYS", found[0].store.key("claim", "*"))
        value = await found[0].store.get(held[0].decode())
        assert value is not None and known(teams[0]) is not None and (known(teams[0]) or ("", ""))[1].encode() in value


async def test_turns_that_change_nothing_are_not_news(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a") as (node,):
        a = conversations(node)
        for _ in range(20):
            served(a, X)
            await node.settled()
        assert await node.store.command("XLEN", node.news.key) == 1


async def test_a_conversation_goes_on_while_the_store_is_away_and_is_claimed_on_return(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a", "b") as found:
        a, b = map(conversations, found)
        fresh.stop()
        served(a, X)
        assert known(a) == X and known(b) is None
        fresh.start()
        await until(lambda: known(b) == X)

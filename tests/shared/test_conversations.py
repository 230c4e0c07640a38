"""What one node has stored of a conversation, another finds; what it has not is asked for once, and not for long."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from bm.chat.parts import ToolCall
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature
from bm.gateway.stores import Elsewhere, Kind, ResponseStore, SignatureStore
from bm.shared import conversations
from bm.shared.conversations import Conversations
from bm.shared.store import digest
from tests.shared.nodes import Node, nodes
from tests.support.valkey import Valkey
from tests.support.waiting import until


def elsewhere(node: Node, dropped: list[tuple[str, str]] | None = None) -> Elsewhere:
    gone = dropped if dropped is not None else []
    return Conversations(node.store, node.outbox, node.news, lambda kind, name: gone.append((kind, name)))


@pytest.mark.parametrize("kind", ["signature", "response", "interaction"])
async def test_what_is_settled_is_found_by_all(valkey: Valkey, kind: Kind) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = map(elsewhere, found)
        a.put(kind, "one", b"first")
        await a.settled()
        assert await b.find(kind, ["none", "one"]) == {"one": b"first"}
        assert await found[0].store.command("PTTL", found[0].store.key(kind, digest("one"))) > 0


async def test_what_is_dropped_is_gone_on_all_nodes(valkey: Valkey) -> None:
    dropped: list[tuple[str, str]] = []
    async with nodes(valkey.url, "a", "b") as (first, second):
        a, b = elsewhere(first), elsewhere(second, dropped)
        a.put("response", "one", b"first")
        a.drop("response", "one")
        await first.settled()
        assert await b.find("response", ["one"]) == {}
        await until(lambda: dropped == [("response", "one")])


async def test_a_value_that_is_too_large_stays_with_its_node(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "LARGEST", 3)
    async with nodes(valkey.url, "a") as (node,):
        a = elsewhere(node)
        a.put("response", "one", b"four")
        await node.settled()
        assert await a.find("response", ["one"]) == {}


async def test_a_store_that_is_silent_or_away_is_not_waited_for(fresh: Valkey) -> None:
    async with nodes(fresh.url, "a") as (node,):
        a = elsewhere(node)
        with fresh.silent():
            async with asyncio.timeout(1.5):
                assert await a.find("response", ["one"]) is None
        fresh.stop()
        assert await a.find("response", ["one"]) is None


async def test_a_long_conversation_is_found_in_a_few_questions(valkey: Valkey) -> None:
    async with nodes(valkey.url, "a", "b") as found:
        a, b = ResponseStore(), ResponseStore()
        a.elsewhere, b.elsewhere = map(elsewhere, found)
        previous = ""
        for number in range(150):
            body = {"input": f"question {number}", "previous_response_id": previous}
            previous = f"resp_{number}"
            a.keep(msgspec.json.encode(body), {"id": previous, "output": []})
        await found[0].settled()
        await b.recall(previous)
        items = b.items(previous)
        assert items is not None and items == a.items(previous) and len(items) == 150


async def test_a_lost_signature_is_asked_for_once(valkey: Valkey) -> None:
    calls = tuple(ToolCall(id=name, name="look", arguments={}) for name in ("signed", "unsigned"))
    request = ChatRequest(protocol="anthropic", model="m", turns=(Turn("assistant", calls),))
    async with nodes(valkey.url, "a", "b") as found:
        a, b = SignatureStore(), SignatureStore()
        a.elsewhere, b.elsewhere = map(elsewhere, found)
        a.keep({"signed": Signature("gemini", "the signature")})
        await found[0].settled()
        (turn,) = (await b.recall(request)).turns
        signatures = [part.signature for part in turn.parts if isinstance(part, ToolCall)]
        assert signatures == [Signature("gemini", "the signature"), None]
        await found[0].store.command("FLUSHALL")
        assert (await b.recall(b.sign(request))).turns == (turn,)
        b.elsewhere = Unasked()
        await b.recall(b.sign(request))


class Unasked(Conversations):
    """Fails when it is asked."""

    def __init__(self) -> None: ...

"""Many clients that ask the nodes in turn, as through a load balancer, and note what they ask and get."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from typing import Any

import msgspec

from bm.chat.parts import Text
from bm.names import ProtocolName
from tests.gateway.world import path_of
from tests.reliability.load import answer_of
from tests.simulator.streams import body_of
from tests.support.caller import Broken, Caller
from tests.team.cluster import BUDGETED, MODEL, MOST, Cluster, Node
from tests.team.history import Answered, Asked, Event, Lost

PROTOCOLS: tuple[ProtocolName, ...] = ("anthropic", "openai-chat", "gemini")
PATIENCE = 30.0
"""Seconds after which a request counts as lost."""
BUDGETED_OF = 4
"""Of so many clients one has a key with a budget."""
ABORTED = 0.03
"""Share of the requests whose client leaves within its answer."""


class Clients:
    """So many clients, each with one conversation, that together send `rate` requests a second until `stop`."""

    def __init__(self, cluster: Cluster, count: int, rate: float, seed: int) -> None:
        self._cluster, self._count, self._rate = cluster, count, rate
        self._random = random.Random(seed)
        self._numbers, self._turn = itertools.count(1), itertools.count()
        self._stopping = asyncio.Event()
        self.events: list[Event] = []

    def stop(self) -> None:
        """Send no more."""
        self._stopping.set()

    async def run(self) -> None:
        """Send until stopped, and wait for all answers."""
        await asyncio.gather(*(self._client(number) for number in range(self._count)))

    async def _client(self, number: int) -> None:
        key = BUDGETED if number % BUDGETED_OF == 0 else "main"
        callers: dict[str, Caller] = {}
        protocol = PROTOCOLS[number % len(PROTOCOLS)]
        pause = self._count / self._rate
        await self._sleep(self._random.uniform(0, pause))
        while not self._stopping.is_set():
            began = time.monotonic()
            await self._one(f"conversation-{number}", key, protocol, callers)
            await self._sleep(max(0.0, self._random.uniform(0.5, 1.5) * pause - (time.monotonic() - began)))
        for caller in callers.values():
            caller.close()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    def _node(self) -> Node | None:
        """The next node that is there."""
        there = [node for node in self._cluster.nodes if node.is_there]
        return there[next(self._turn) % len(there)] if there else None

    async def _one(self, conversation: str, key: str, protocol: ProtocolName, callers: dict[str, Caller]) -> None:
        """One request, which a balancer gives to another node when the first takes no connection."""
        number = next(self._numbers)
        for _ in range(len(self._cluster.nodes)):
            node = self._node()
            if node is None:
                break
            if node.name not in callers:
                headers = {"x-api-key": self._cluster.keys[key], "content-type": "application/json"}
                headers["x-session-id"] = conversation
                callers[node.name] = Caller(node.service.url, headers)
            asked = Asked(time.monotonic(), number, node.name, conversation, key)
            self.events.append(asked)
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._exchange(callers[node.name], node, number, protocol)
                return
            except ConnectionRefusedError:
                self.events.remove(asked)
                continue
            except (Broken, OSError, TimeoutError) as error:
                self._lose(number, node.name, repr(error))
                return

    def _lose(self, number: int, node: str, why: str) -> None:
        self.events.append(Lost(time.monotonic(), number, node, why))

    async def _exchange(self, caller: Caller, node: Node, number: int, protocol: ProtocolName) -> None:
        stream, said = self._random.random() < 0.7, f"request {number}"
        fields: dict[str, Any] = {"max_tokens": MOST}
        if protocol == "gemini":
            fields = {"generationConfig": {"maxOutputTokens": MOST}}
        body = msgspec.json.encode(body_of(protocol, said, MODEL, stream=stream, **fields))
        leaves = stream and self._random.random() < ABORTED
        status, received = await caller.post(path_of(protocol, MODEL, stream=stream), body, leaves=leaves)
        if leaves and status == 200:
            self._lose(number, "", "the client left")
            return
        headers = caller.headers
        answer = Answered(
            at=time.monotonic(),
            request=number,
            node=node.name,
            status=status,
            id=headers.get("x-bm-request-id", ""),
            account=headers.get("x-bm-account", ""),
            retry_after=float(headers["retry-after"]) if "retry-after" in headers else None,
        )
        if status == 200:
            text = _text(protocol, stream, received)
            right = text == f"[simulated {MODEL}] {said}"
            answer = msgspec.structs.replace(answer, right=right, message="" if right else text)
        else:
            answer = msgspec.structs.replace(answer, message=json.loads(received)["error"]["message"])
        self.events.append(answer)


def _text(protocol: ProtocolName, stream: bool, received: bytes) -> str:
    """What the response says; the bytes where it is no whole response."""
    try:
        read = answer_of(protocol, stream, received)
    except (ValueError, KeyError):
        return repr(received[-300:])
    if read.failure is not None:
        return repr(received[-300:])
    return "".join(part.text for choice in read.choices for part in choice.parts if isinstance(part, Text))

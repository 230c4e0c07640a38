"""Clients of every protocol at a steady rate, each of which knows to the letter what it must be answered."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from bm import sse
from bm.chat.events import Event
from bm.chat.parts import Text
from bm.names import ProtocolName
from bm.protocols.codec import IdFactory
from bm.protocols.registry import CODECS
from bm.simulator.faults import NAMED
from tests.gateway.world import path_of
from tests.simulator.streams import body_of
from tests.support.caller import Broken, Caller
from tests.support.folding import ChatResponse, fold

MODEL = "gemini-3-flash-preview"
"""What all targets call their model, so that each of them gives the same answer."""
FLOODS = {f"{MODEL}-sim-{name}": NAMED[name].text or "" for name in ("flood", "huge")}
"""Models that answer with thousands of events at once, or with very large ones."""
FLOODING = 0.005
"""Share of the requests that ask one of them."""
WORKERS = 256
"""While upstreams are disturbed an answer takes half a second on average, so that fewer could not keep up the rate."""
BEHIND = 5.0
"""Seconds of requests that are caught up on when they could not be sent, such as while the daemon was down."""
PATIENCE = 60.0
"""Seconds after which a request counts as hung. Six attempts take six seconds each at most, if upstreams flood."""
PROTOCOLS: tuple[ProtocolName, ...] = ("anthropic", "openai-chat", "openai-responses", "gemini")
HONEST = frozenset({429, 500, 502, 503, 504, 529})
"""Statuses that report that no target could answer."""
ABORTED = 0.03
"""Share of the clients that leave in the middle of their answer."""

_IDS = IdFactory(lambda prefix: f"{prefix}{'0' * 16}")


@dataclass
class Tally:
    """What became of the requests."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Load:
    """So many requests a second until `stop`; no more than `WORKERS` at once.

    `down` says whether the daemon has been away since a moment; then a broken connection is expected.
    """

    url: str
    key: str
    rate: float
    down: Callable[[float], bool]
    tally: Tally = field(default_factory=Tally)
    stopping: bool = False
    _next: float = 0.0
    _number: int = 0
    _idle: list[Caller] = field(default_factory=list)

    async def run(self) -> None:
        """Send until stopped, then wait for requests under way."""
        self._next = time.monotonic()
        await asyncio.gather(*(self._work() for _ in range(WORKERS)))
        for caller in self._idle:
            caller.close()

    def caller(self) -> Caller:
        """A client."""
        return Caller(self.url, {"x-api-key": self.key, "content-type": "application/json"})

    async def _work(self) -> None:
        while not self.stopping:
            now = time.monotonic()
            self._next = max(self._next, now - BEHIND) + 1 / self.rate
            self._number += 1
            number = self._number
            await asyncio.sleep(self._next - now)
            if not self.stopping:
                caller = self._idle.pop() if self._idle else self.caller()
                await self._one(caller, number)
                self._idle.append(caller)

    async def _one(self, caller: Caller, number: int) -> None:
        """One request: what it was answered, or how it was not."""
        protocol, stream = random.choice(PROTOCOLS), random.random() < 0.8
        model = random.choice(list(FLOODS)) if random.random() < FLOODING else MODEL
        said = f"request {number} " + "x" * random.randrange(150)
        aborts, began = random.random() < ABORTED, time.monotonic()
        what = f"{number} {protocol} {'stream' if stream else 'whole'} {model}"
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self.exchange(caller, protocol, said, model, stream=stream, leaves=aborts)
        except TimeoutError:
            self.count("hung", f"{what}: not complete after {PATIENCE:g} s: {bytes(caller.received[-300:])!r}")
            return
        except (Broken, OSError) as error:
            if self.down(began):
                self.count("lost when the daemon was killed")
            else:
                self.count("broken", f"{what}: {error!r}")
            return
        self.tally.seconds.append(time.monotonic() - began)
        if aborts:
            self.count("left by the client")
            return
        expected = FLOODS.get(model) or f"[simulated {model}] {said.strip()}"
        self.judge(what, protocol, stream, expected, status, body)

    async def exchange(
        self, caller: Caller, protocol: ProtocolName, said: str, model: str, *, stream: bool, leaves: bool = False
    ) -> tuple[int, bytes]:
        """Ask. A Responses client keeps its conversation itself, as Codex does."""
        fields = {"store": False} if protocol == "openai-responses" else {}
        asked = msgspec.json.encode(body_of(protocol, said, model, stream=stream, **fields))
        try:
            return await caller.post(path_of(protocol, model, stream=stream), asked, leaves=leaves)
        except Broken as error:
            # Streams of the Gemini API that fail end in an error and a broken connection.
            if protocol != "gemini" or b'"error"' not in error.body:
                raise
            return 200, error.body

    def judge(self, what: str, protocol: ProtocolName, stream: bool, expected: str, status: int, body: bytes) -> None:
        """Count what the client has been answered."""
        try:
            if status != 200:
                self._judge_error(what, status, body)
                return
            read = answer_of(protocol, stream, body)
        except (ValueError, KeyError) as error:
            self.count("unreadable", f"{what}: {error!r} in {body[:300]!r}")
            return
        text = "".join(part.text for choice in read.choices for part in choice.parts if isinstance(part, Text))
        if read.failure is None and text == expected:
            self.count("complete")
        elif read.failure is None or not expected.startswith(text):
            self.count("wrong answer", f"{what}: {text[:300]!r} for {expected[:300]!r}")
        elif b"error" not in body and b"response.failed" not in body:
            self.count("cut", f"{what}: {body[-300:]!r}")
        else:
            self.count("error in the stream")

    def _judge_error(self, what: str, status: int, body: bytes) -> None:
        message = json.loads(body)["error"]["message"]
        if status in HONEST and message:
            self.count(f"error {status}")
        else:
            self.count("wrong error", f"{what}: {status} {message}")

    def count(self, kind: str, wrong: str = "") -> None:
        """Count one of a kind, and note what was wrong."""
        self.tally.counts[kind] += 1
        if wrong:
            self.tally.wrong.append(f"{kind}: {wrong}")


def answer_of(protocol: ProtocolName, stream: bool, body: bytes) -> ChatResponse:
    """What a client of the protocol makes of the bytes."""
    codec = CODECS[protocol]
    if not stream:
        return fold(codec.decode_response(msgspec.json.decode(body), _IDS))
    decoder, parser = codec.stream_decoder(_IDS), sse.Parser()
    events: list[Event] = []
    for item in [*parser.feed(body), *parser.close()]:
        events += decoder.feed(item)
    return fold([*events, *decoder.close()])

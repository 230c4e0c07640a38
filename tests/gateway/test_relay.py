"""Streams over real sockets, for every client protocol before every kind of upstream, and their deadlines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import cast

import httpx
import pytest

from bm.chat.request import ChatRequest
from bm.config.schema import Limits, Timeouts
from bm.config.secrets import Mask
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.gateway import relay as relay_module
from bm.gateway.race import Running
from bm.gateway.relay import LINES, ClientStalled, Deadline, Relay
from bm.protocols.codec import IdFactory
from bm.protocols.passthrough import PassThrough
from bm.protocols.registry import CODECS
from bm.simulator import Rule
from bm.simulator.request import Record
from bm.sse import Parser
from bm.upstream.client import UpstreamResponse
from bm.upstream.headers import Headers
from tests.gateway.sdk import FAILURES, deltas
from tests.gateway.world import EVERY_PROTOCOL, MODELS, PROTOCOLS, PROTOCOLS_LINE, World, path_of
from tests.simulator.streams import body_of
from tests.support.waiting import soon

UPSTREAMS = {"gemini": {}, "anthropic": {"anthropic": "exclusive"}, "openai": {"openai": "exclusive"}}
"""The modes that make each service the only target; none for the pool."""

EVERY_PAIR = pytest.mark.every_pair

LONG = "one two three four five six seven eight nine ten eleven twelve "
KEEP_ALIVE = {"anthropic": b"event: ping\n", "openai-chat": b":", "openai-responses": b":", "gemini": b"\n"}
"""The keep-alive of each protocol."""


def only(world: World, upstream: str, more: str = "", *, rescue: bool = True) -> None:
    """Set up one kind of upstream, with two accounts."""
    pool = "" if rescue else "rescue = false"
    world.set_up(2 if upstream == "gemini" else 0, UPSTREAMS[upstream], more, keys=2, pool=pool)


def under_way(log: list[Record]) -> Record:
    """The latest request to generate."""
    return [record for record in log if record.operation == "generate"][-1]


@EVERY_PAIR
async def test_the_first_delta_arrives_before_the_stream_ends(world: World, protocol: str, upstream: str) -> None:
    only(world, upstream)
    world.sim.script(Rule(text=LONG, chunks=12, stall_after=9))
    async with deltas(protocol, world.daemon) as reported:
        first = await anext(reported)
        record = under_way(world.sim.log())
    assert LONG.startswith(first)
    assert record.duration is None and not record.aborted


@EVERY_PAIR
async def test_a_client_that_disconnects_ends_the_upstream_request(world: World, protocol: str, upstream: str) -> None:
    only(world, upstream)
    world.sim.script(Rule(text=LONG, chunks=12, stall_after=9))
    async with deltas(protocol, world.daemon) as reported:
        await anext(reported)
    world.sim.wait(lambda log: under_way(log).aborted)
    assert len(world.calls()) == 1


@EVERY_PAIR
def test_a_client_that_disconnects_before_the_answer_ends_the_upstream_request(
    world: World, protocol: str, upstream: str
) -> None:
    only(world, upstream)
    world.sim.script(Rule(silent=True))
    with pytest.raises(httpx.ReadTimeout):
        world.http.post(
            path_of(protocol, MODELS[protocol], stream=True),
            json=body_of(protocol, model=MODELS[protocol]),
            timeout=httpx.Timeout(5, read=0.5),
        )
    world.sim.wait(lambda log: under_way(log).aborted)


@EVERY_PAIR
def test_an_error_before_any_content_is_hidden_from_the_client(world: World, protocol: str, upstream: str) -> None:
    only(world, upstream)
    begun = 0 if upstream == "gemini" else 1
    world.sim.script(Rule(error="overloaded", error_after=begun), Rule(text=LONG, chunks=12))
    answer = world.ask(protocol)
    assert answer.complete
    assert answer.bm("attempts") == "2"
    assert b"verloaded" not in answer.body
    assert answer.body.count(b"message_start") == (2 if protocol == "anthropic" else 0)


BREAKS = pytest.mark.parametrize("fault", ["cut_after", "end_after", "error_after"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cut_answer_counts_against_its_account(world: World, protocol: str) -> None:
    world.sim.script(Rule(text=LONG, chunks=12, cut_after=9))
    world.ask(protocol)
    asked = world.asked()[0]
    assert soon(lambda: world.account(asked)["failures_today"] == 1)


@BREAKS
@EVERY_PAIR
async def test_an_answer_that_is_cut_raises_in_the_sdk(world: World, protocol: str, upstream: str, fault: str) -> None:
    only(world, upstream, rescue=False)
    faults = {fault: 9} | ({"error": "overloaded"} if fault == "error_after" else {})
    world.sim.script({"text": LONG, "chunks": 12, "delay": 0.02, **faults})
    pieces = []
    async with deltas(protocol, world.daemon) as reported:
        with pytest.raises(FAILURES):
            async for piece in reported:
                pieces.append(piece)
    assert LONG.startswith("".join(pieces)) and pieces
    assert len(world.calls()) == 1, "a second answer is never appended to the first"


def test_the_connection_to_a_gemini_client_is_broken_after_the_error(world: World) -> None:
    only(world, "gemini", rescue=False)
    world.sim.script(Rule(text=LONG, chunks=12, cut_after=9))
    body, path = body_of("gemini", model=MODELS["gemini"]), path_of("gemini", MODELS["gemini"], stream=True)
    with (
        world.http.stream("POST", path, json=body) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        answer.read()


@pytest.mark.parametrize(("after", "complete"), [(9, False), (99, True)])
def test_a_reset_after_the_finish_leaves_the_answer_complete(world: World, after: int, complete: bool) -> None:
    """The simulator breaks a stream before its last event at the latest, which is Anthropic's `message_stop`."""
    only(world, "anthropic", rescue=False)
    world.sim.script(Rule(text=LONG, chunks=12, cut_after=after))
    assert world.ask("openai-chat").complete is complete


@EVERY_PAIR
def test_an_answer_that_stalls_ends_in_an_error_of_the_protocol(world: World, protocol: str, upstream: str) -> None:
    only(world, upstream, "[timeouts]\nidle = 0.3", rescue=False)
    world.sim.script(Rule(text=LONG, chunks=12, stall_after=9))
    answer = world.ask(protocol)
    assert answer.status == 200 and not answer.complete
    assert b"nothing further within 0.3 s" in answer.body
    world.sim.wait(lambda log: under_way(log).aborted)


@EVERY_PAIR
def test_keep_alives_are_written_in_the_clients_protocol(world: World, protocol: str, upstream: str) -> None:
    only(world, upstream, "[limits]\nhold_time = 0.1\nkeep_alive = 0.1")
    world.sim.script(Rule(text="done", chunks=1, first_token_delay=1.0))
    answer = world.ask(protocol)
    assert answer.complete
    before, found, _ = answer.body.partition(b"done")
    assert found and before.count(KEEP_ALIVE[protocol]) >= 2


@EVERY_PROTOCOL
def test_silence_before_the_first_content_fails_over(world: World, protocol: str) -> None:
    only(world, "gemini", "[timeouts]\nfirst_token = 0.3")
    world.sim.script(Rule(first_token_delay=30.0), Rule(text="done", chunks=1))
    answer = world.ask(protocol)
    assert answer.complete and b"done" in answer.body
    assert len(set(world.asked())) == 2


@pytest.mark.parametrize(
    ("limits", "reported"),
    [("", False), ("hold_events = 1", True), ("hold_kb = 1", True), ("hold_time = 0.2", False)],
    ids=["within all bounds", "too many events", "too many bytes", "while the client is kept waiting"],
)
def test_the_start_of_an_answer_is_held_within_limits(world: World, limits: str, reported: bool) -> None:
    """Beyond a limit the client receives the start, and an error in its stream when nothing follows."""
    # The model's name is in the first event.
    models = '{ "' + MODELS["anthropic"] + '" = "' + "m" * 2000 + '" }'
    tables = {"acme": f'{PROTOCOLS_LINE}\nprotocol = "anthropic"\nmodels = {models}'}
    more = f"[timeouts]\nfirst_token = 0.8\n[limits]\n{limits}\n"
    world.set_up(0, {"acme": "exclusive"}, more, keys=2, tables=tables)
    world.sim.script(Rule(first_token_delay=20.0))
    answer = world.ask("anthropic")
    assert answer.status == 200 and answer.complete is not reported
    assert (b"event: error" in answer.body) is reported
    assert len(world.calls()) == (1 if reported else 2)


SOON, LATE = 0.02, 3600.0


@pytest.fixture
async def deadline() -> AsyncIterator[Deadline]:
    made = Deadline()
    yield made
    made.close()


def after(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def returned(word: str, seconds: float = 0.0) -> str:
    await asyncio.sleep(seconds)
    return word


class Scripted:
    """A response that sends chunks, with pauses in seconds between them."""

    def __init__(self, script: Iterable[bytes | float]) -> None:
        self._script = iter(script)
        self._arrived = b""
        self._taker: Callable[[], bool] | None = None

    def hand_over(self, taker: Callable[[], bool] | None) -> None:
        self._taker = taker

    def read_now(self) -> bytes:
        arrived, self._arrived = self._arrived, b""
        return arrived

    def unread(self, data: bytes) -> None:
        self._arrived = data

    async def read_some(self) -> bytes:
        for step in self._script:
            if isinstance(step, float):
                await asyncio.sleep(step)
                continue
            self._arrived = step
            if self._taker is None or not self._taker():
                return self.read_now()
        return b""


class Reader:
    """A client that takes what it is sent, each time after a pause."""

    def __init__(self, pause: float = 0.0, *, is_ready: bool = False) -> None:
        self.pause, self.received = pause, b""
        self.write, self.at_once = self._write if is_ready else None, 0

    def _write(self, data: bytes) -> None:
        self.received += data
        self.at_once += 1

    async def start(self, status: int, headers: Headers) -> None:
        pass

    async def send(self, data: bytes) -> None:
        await asyncio.sleep(self.pause)
        self.received += data

    async def end(self, rest: bytes = b"") -> None:
        self.received += rest

    async def cut(self) -> None:
        raise AssertionError


ATTEMPT = Attempt(target=Target("acme", "one", "m", "openai-chat"))


def relay_of(
    script: Iterable[bytes | float],
    client: Reader,
    timeouts: Timeouts,
    running: Running | None = None,
    before_end: Callable[[], Awaitable[None]] | None = None,
) -> Relay:
    codec = CODECS["openai-chat"]
    ids = IdFactory(lambda prefix: f"{prefix}0123456789abcdef")
    encoder = codec.stream_encoder(ChatRequest(protocol="openai-chat", model="m", turns=()), ids, model="m")
    pipe = PassThrough(Parser(), codec.stream_decoder(ids), encoder)
    response = cast(UpstreamResponse, Scripted(script))
    return Relay(
        response,
        pipe,
        client,
        list,
        Limits(),
        timeouts,
        running=running or Running(ATTEMPT),
        on_content=lambda: None,
        mask=Mask(),
        before_end=before_end,
    )


CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


THOUGHT = CHUNK.replace(b'"content"', b'"reasoning_content"')


@pytest.mark.parametrize(("begun", "limit"), [([], "first_byte"), ([CHUNK], "idle")], ids=["before", "after"])
@pytest.mark.parametrize("silence", [b": PROCESSING\n\n", b":", b"\n"])
async def test_comments_and_drips_are_silence(silence: bytes, begun: list[bytes | float], limit: str) -> None:
    """Silence before the first content has a limit of its own: models think."""
    drips = [*begun, *(each for _ in range(100) for each in (silence, 0.02))]
    failure = await relay_of(drips, Reader(), Timeouts(**{limit: 0.2})).run()
    assert failure is not None and (failure.kind, failure.code) == ("timeout", limit)


@pytest.mark.parametrize(
    ("piece", "lives"),
    [
        (b'data: {"choices": []}\n\n', True),
        (b'event: ping\ndata: {"type": "ping"}\n\n', True),
        (b": PROCESSING\n\n", False),
        (b'data: {"choi', False),
    ],
    ids=["empty", "ping", "comment", "part of an event"],
)
async def test_whole_events_show_that_the_upstream_lives(piece: bytes, lives: bool) -> None:
    running = Running(ATTEMPT)
    before = running.heard
    await relay_of([0.01, piece, 0.01], Reader(), Timeouts(), running).run()
    assert (running.heard > before) is lives


async def test_a_model_that_thinks_may_pause_for_longer_than_one_that_writes() -> None:
    timeouts = Timeouts(idle=0.1, first_byte=5)
    failure = await relay_of([THOUGHT, 0.3, CHUNK, 0.3], Reader(), timeouts).run()
    assert failure is not None and (failure.kind, failure.code) == ("timeout", "idle")


async def test_events_without_content_are_bounded_generously() -> None:
    empty = [each for _ in range(100) for each in (b'data: {"choices":[]}\n\n', 0.02)]
    failure = await relay_of(empty, Reader(), Timeouts(idle=5, whole=0.3)).run()
    assert failure is not None and (failure.kind, failure.code) == ("timeout", "whole")


async def test_a_client_that_does_not_read_is_let_go() -> None:
    with pytest.raises(ClientStalled):
        await relay_of([CHUNK, CHUNK], Reader(pause=5), Timeouts(idle=0.1)).run()


async def test_a_client_that_reads_slowly_is_not_the_upstreams_silence() -> None:
    client = Reader(pause=0.15)
    relay = relay_of([CHUNK, 0.1, CHUNK, 0.1, CHUNK, b"data: [DONE]\n\n"], client, Timeouts(idle=0.2))
    failure = await relay.run()
    assert client.received.count(b'"a"') == 3
    assert failure is None or failure.kind == "truncated"


@pytest.mark.parametrize("event", [b"data: {}\n\n", CHUNK], ids=["tiny", "small"])
async def test_a_flood_of_events_gives_way_to_others(event: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "TURN", 0.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(other())
        await relay_of([CHUNK, event * 5_000], Reader(), Timeouts()).run()
        task.cancel()
    assert turns > 100


@pytest.mark.parametrize("is_ready", [True, False])
async def test_pieces_are_passed_on_without_the_task_while_the_client_reads(is_ready: bool) -> None:
    client, running, cut = Reader(is_ready=is_ready), Running(ATTEMPT), [CHUNK[:30], CHUNK[30:]]
    script = [CHUNK, CHUNK, CHUNK, CHUNK + CHUNK, b": PROCESSING\n\n", CHUNK, *cut, CHUNK, CHUNK, b"data: [DONE]\n\n"]
    failure = await relay_of(script, client, Timeouts(), running).run()
    assert failure is None and client.received == b"".join(script)
    assert (client.at_once > 3) is is_ready and running.heard > running.began


async def test_pieces_that_are_passed_on_without_the_task_keep_the_stream_alive() -> None:
    client = Reader(is_ready=True)
    script = [CHUNK, CHUNK, *(each for _ in range(6) for each in (0.1, CHUNK)), 5.0]
    failure = await relay_of(script, client, Timeouts(idle=0.4)).run()
    assert client.received.startswith(CHUNK * 8) and client.at_once == 6
    assert failure is not None and failure.code == "idle"


def works(seconds: float) -> None:
    """Keep the event loop busy."""
    time.sleep(seconds)


async def test_a_flood_of_comments_among_slow_requests_ends_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay_module, "TURN", 0.0)
    monkeypatch.setattr(relay_module, "GRACE", 0.0)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            works(0.002)
            await asyncio.sleep(0)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(other())
        failure = await relay_of([b": waiting\n" * 100_000], Reader(), Timeouts(first_byte=0.05)).run()
        task.cancel()
    assert failure is not None and failure.code == "first_byte" and turns < 100_000 / LINES / 2


async def test_work_that_ends_in_time_is_returned(deadline: Deadline) -> None:
    assert await deadline.wait(after(LATE), returned("one")) == "one"
    assert await deadline.wait(float("inf"), returned("two")) == "two"


async def test_work_that_takes_too_long_is_cancelled(deadline: Deadline) -> None:
    work = asyncio.ensure_future(returned("never", LATE))
    with pytest.raises(TimeoutError):
        await deadline.wait(after(SOON), work)
    assert work.cancelled()


async def test_a_deadline_in_the_past_expires_at_once(deadline: Deadline) -> None:
    with pytest.raises(TimeoutError):
        await deadline.wait(after(-1), returned("never", LATE))


async def test_a_later_deadline_moves_the_timer(deadline: Deadline) -> None:
    for _ in range(5):
        assert await deadline.wait(after(SOON), returned("in time")) == "in time"
    assert await deadline.wait(after(LATE), returned("still in time", 3 * SOON)) == "still in time"


async def test_an_earlier_deadline_moves_the_timer(deadline: Deadline) -> None:
    await deadline.wait(after(LATE), returned("one"))
    with pytest.raises(TimeoutError):
        await deadline.wait(after(SOON), returned("never", LATE))


async def test_the_timer_does_nothing_between_waits(deadline: Deadline) -> None:
    await deadline.wait(after(SOON), returned("one"))
    assert await returned("at leisure", 3 * SOON) == "at leisure"
    with pytest.raises(TimeoutError):
        await deadline.wait(after(SOON), returned("never", LATE))


async def test_it_can_fire_more_than_once(deadline: Deadline) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await deadline.wait(after(SOON), returned("never", LATE))
    assert await deadline.wait(after(LATE), returned("one")) == "one"


async def test_a_cancellation_by_others_is_not_a_timeout() -> None:
    async def waiting() -> None:
        await Deadline().wait(after(LATE), returned("never", LATE))

    task = asyncio.ensure_future(waiting())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_exception_is_raised_unchanged(deadline: Deadline) -> None:
    async def wrong() -> None:
        raise ValueError("as it is")

    with pytest.raises(ValueError, match="as it is"):
        await deadline.wait(after(LATE), wrong())


@EVERY_PROTOCOL
def test_keep_alives_reach_the_client_before_an_upstream_answers(world: World, protocol: str) -> None:
    world.set_up(2, more="[limits]\nhold_time = 0.2\nkeep_alive = 0.2\n")
    world.sim.script(Rule(status=503), Rule(text=LONG, chunks=3, head_delay=1.0))
    answer = world.ask(protocol)
    assert answer.complete and answer.body.startswith(KEEP_ALIVE[protocol])


@EVERY_PROTOCOL
def test_a_failure_after_keep_alives_is_an_error_in_the_stream(world: World, protocol: str) -> None:
    world.set_up(1, more="[limits]\nhold_time = 0.2\nkeep_alive = 0.2\n")
    world.sim.script(Rule(status=400, message="no such thing", head_delay=1.0))
    answer = world.ask(protocol)
    assert answer.status == 200 and not answer.complete and "no such thing" in answer.body.decode()


FINISHED = CHUNK.replace(b'"delta":{"content":"a"}', b'"delta":{},"finish_reason":"stop"')


@pytest.mark.parametrize(("end", "times"), [([FINISHED, b"data: [DONE]\n\n"], 1), ([], 0)], ids=["complete", "cut"])
async def test_what_comes_before_the_end_is_done_before_the_client_has_the_end(end: list[bytes], times: int) -> None:
    client, received = Reader(), list[bytes]()

    async def before_end() -> None:
        received.append(client.received)

    await relay_of([CHUNK, *end], client, Timeouts(), before_end=before_end).run()
    assert len(received) == times and b"[DONE]" not in b"".join(received)
    assert client.received.count(b"[DONE]") == times

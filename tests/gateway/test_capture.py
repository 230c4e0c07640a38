"""Captures hold whole exchanges and no secret, and never delay or fail a request."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from starlette.types import Message

from bm.config.paths import Paths
from bm.gateway import capture as room
from bm.gateway.call import Call
from bm.gateway.capture import Capture, Recorder
from bm.gateway.record import Record
from bm.gateway.settings import read_settings
from bm.ledger.recordings import Recording, clear, folder_of, load, summaries
from bm.server.asgi import AsgiClient
from bm.simulator import Rule
from bm.upstream.client import UpstreamRequest
from tests.gateway.build import Reader
from tests.gateway.world import EVERY_CLIENT, World
from tests.gateway.world import path_of as sent_to
from tests.support.waiting import LONG, soon

CALL = Call(
    id="req_1", protocol="anthropic", operation="generate", headers=[], body=b"{}", model="claude-x", stream=True
)


async def test_everything_sent_to_the_client_is_captured() -> None:
    reader = Reader()
    capture = Capture(CALL, reader)
    capture.requests.append(UpstreamRequest("gemini", "POST", "https://example.com", []))
    await capture.start(200, [("a", "b")])
    await capture.send(b"one")
    await capture.send(b"two")
    await capture.end(b"last")
    assert reader.sent == [(200, [("a", "b")]), b"one", b"two", b"last", "end"]
    assert (capture.status, capture.headers, bytes(capture.answer)) == (200, [("a", "b")], b"onetwolast")
    assert (
        capture.ended and capture.complete and [request.url for request in capture.requests] == ["https://example.com"]
    )


async def test_a_cut_answer_is_not_captured_as_ended() -> None:
    reader = Reader()
    capture = Capture(CALL, reader)
    await capture.start(200, [])
    await capture.cut()
    assert reader.sent[-1] == "cut" and not capture.ended


async def test_a_long_answer_is_captured_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ANSWER", 5)
    reader = Reader()
    capture = Capture(CALL, reader)
    await capture.send(b"four")
    assert capture.complete
    await capture.send(b"more")
    await capture.send(b"still more")
    assert (bytes(capture.answer), capture.complete) == (b"fourm", False)
    assert reader.sent == [b"four", b"more", b"still more"]


ON = "[record]\nenabled = true\n"
PROMPT = "a prompt like no other"


@pytest.fixture
def folder(world: World) -> Path:
    found = folder_of(world.daemon.paths)
    clear(found)
    return found


def recorded(folder: Path, request_id: str) -> Recording:
    assert soon(lambda: any(each.id == request_id for each in summaries(folder)), LONG)
    return load(folder, request_id)


def test_nothing_is_recorded_by_default(world: World, folder: Path) -> None:
    world.ask("anthropic")
    assert summaries(folder) == []


@EVERY_CLIENT
def test_a_recording_holds_the_whole_exchange(world: World, folder: Path, protocol: str, stream: bool) -> None:
    world.set_up(accounts=2, more=ON)
    world.sim.script(Rule(status=503, times=1))
    answer = world.ask(protocol, stream=stream)
    kept = recorded(folder, answer.bm("request-id"))
    assert (kept.protocol, kept.stream, kept.status) == (protocol, stream, 200)
    assert kept.answer.content == answer.body
    assert kept.complete and kept.whole
    assert kept.path == sent_to(protocol, kept.model, stream=stream)
    assert len(kept.upstream) == 2 == len(kept.decision["attempts"])
    assert all(json.loads(asked.message.body) for asked in kept.upstream)
    if sys.platform != "win32":
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700


@EVERY_CLIENT
def test_no_secret_is_in_a_recording(world: World, folder: Path, protocol: str, stream: bool) -> None:
    planted = "planted-in-a-header-of-the-configuration"
    world.set_up(accounts=1, modes={"groq": "fallback"}, more=ON)
    gemini = f'headers = {{ x-tenant = "{planted}" }}'
    world.configure({"groq": "fallback"}, f"{ON}", tables={"groq": f"{gemini}\n{ALL_PROTOCOLS}"})
    keys = [f"key-of-the-account-{name}" for name in (*world.pool, *world.paid["groq"])]
    world.sim.script(
        Rule(account="g0", status=429, retry_info="600s", message=f"{keys[0]} has had enough", times=None),
        Rule(text=f"your keys are {keys[1]} and {world.daemon.key}", chunks=1, times=None),
    )
    answer = world.ask(protocol, stream=stream, headers={"cookie": "session=planted-in-a-cookie"})
    recorded(folder, answer.bm("request-id"))
    for file in folder.iterdir():
        content = file.read_text()
        found = [secret for secret in (*keys, world.daemon.key, planted, "planted-in-a-cookie") if secret in content]
        assert found == []


ALL_PROTOCOLS = 'protocols = ["anthropic", "openai-chat", "openai-responses", "gemini"]'


def test_a_key_in_the_prompt_is_masked(world: World, folder: Path) -> None:
    world.set_up(accounts=1, more=ON)
    key = f"key-of-the-account-{world.pool[0]}"
    answer = world.ask("anthropic", messages=[{"role": "user", "content": f"{PROMPT}: {key}"}])
    kept = recorded(folder, answer.bm("request-id"))
    assert f"{PROMPT}: [secret]" in kept.request.body
    assert key not in (folder / f"{kept.id}.json").read_text()


def test_recordings_are_bounded_in_number(world: World, folder: Path) -> None:
    world.set_up(accounts=1, more=f"{ON}max = 3\n")
    ids = [world.ask("anthropic").bm("request-id") for _ in range(6)]
    recorded(folder, ids[-1])
    assert soon(lambda: len(summaries(folder)) == 3, LONG)
    assert {each.id for each in summaries(folder)} == set(ids[-3:])


def test_a_folder_that_cannot_be_written_fails_no_request(world: World, folder: Path) -> None:
    if folder.exists():
        folder.rmdir()
    folder.write_text("a file in its place")
    world.set_up(accounts=1, more=ON)
    assert world.ask("anthropic").complete
    assert soon(lambda: "not recorded" in world.daemon.log(), LONG)
    folder.unlink()


async def test_a_closed_recorder_drops_captures(tmp_path: Path, bm_home: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.close()
    call = Call(id="x", protocol="anthropic", operation="generate", headers=[], body=b"{}", model="m", stream=False)
    record = Record(id="x", at=0.0, protocol="anthropic", model="m", stream=False)
    recorder.keep(Capture(call, AsgiClient(_never, _nowhere)), record, read_settings(Paths.under(bm_home)))
    assert summaries(tmp_path) == []


async def _never() -> Message:
    """Wait for a message that does not come."""
    await asyncio.Event().wait()
    raise AssertionError


async def _nowhere(message: object) -> None:
    """Discard a message."""

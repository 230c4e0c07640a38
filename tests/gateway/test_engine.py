"""What a daemon holds in memory, and what changes when it adopts new settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bm.config.paths import Paths, make_folders
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.call import Call
from bm.gateway.conversation import Conversation
from bm.gateway.engine import RECENT, Engine
from bm.gateway.record import Record
from bm.gateway.settings import Settings, read_settings

TARGET = Target("gemini", "one", "gemini-3-flash", "gemini")


def settings(home: Path, text: str = "") -> Settings:
    paths = Paths.under(home)
    make_folders(paths)
    paths.config.write_text(text)
    return read_settings(paths, {})


@pytest.fixture
async def engine(bm_home: Path) -> AsyncIterator[Engine]:
    engine = Engine(settings(bm_home))
    yield engine
    await engine.close()


def call(key: str, *, continues: bool, body: bytes = b"{}") -> Call:
    return Call(
        id="req_1",
        protocol="anthropic",
        operation="generate",
        headers=[],
        body=body,
        model="opus",
        stream=True,
        conversation=Conversation(key, continues),
    )


def record(number: int, failure: Failure | None = None) -> Record:
    name = f"req_{number}"
    return Record(id=name, at=0.0, protocol="anthropic", model="opus", stream=True, failure=failure)


def affinity(engine: Engine, asked: Call) -> object:
    return engine.question(asked)[1].affinity


async def test_a_conversation_finds_its_target_again(engine: Engine) -> None:
    engine.stay(call("session", continues=True), TARGET)
    found = engine.question(call("session", continues=True))[1].affinity
    assert found is not None and (found.provider, found.account) == TARGET.account_id
    assert affinity(engine, call("another", continues=True)) is None


async def test_a_first_turn_is_drawn_by_lot_and_its_second_follows(engine: Engine) -> None:
    engine.stay(call("start:1", continues=False), TARGET)
    assert affinity(engine, call("start:1", continues=False)) is None
    assert affinity(engine, call("start:1", continues=True)) is not None


async def test_affinity_can_be_switched_off(engine: Engine, bm_home: Path) -> None:
    engine.stay(call("session", continues=True), TARGET)
    engine.adopt(settings(bm_home, "[pool]\naffinity = false\n"))
    assert affinity(engine, call("session", continues=True)) is None


async def test_what_a_request_needs_is_looked_at_only_where_it_matters(engine: Engine, bm_home: Path) -> None:
    asked = call("", continues=False, body=b'{"tools": [{"name": "x"}]}')
    assert not engine.question(asked)[0].requirements.tools
    engine.adopt(settings(bm_home, '[providers.groq]\nenabled = true\nmode = "pooled"\n'))
    assert engine.question(asked)[0].requirements.tools


async def test_the_latest_calls_are_remembered(engine: Engine) -> None:
    for number in range(RECENT + 5):
        engine.keep(record(number))
    assert engine.recall("req_0") is None
    middle, last = engine.recall(f"req_{RECENT}"), engine.recall("last")
    assert middle is not None and middle.id == f"req_{RECENT}"
    assert last is not None and last.id == f"req_{RECENT + 4}"


async def test_failures_are_counted_and_observers_told(engine: Engine) -> None:
    seen: list[str] = []
    engine.observers.append(lambda kept: seen.append(kept.id))
    engine.keep(record(1))
    engine.keep(record(2, Failure(kind="server", message="broken")))
    assert (engine.failed, seen) == (1, ["req_1", "req_2"])


async def test_new_settings_hold_from_the_next_question_on(engine: Engine, bm_home: Path) -> None:
    before = engine.question(call("", continues=False))[1]
    engine.adopt(settings(bm_home, '[aliases]\nfast = "groq:x"\n[pool]\nmax_wait = 7\n'))
    after = engine.question(call("", continues=False))[1]
    assert (dict(before.aliases), dict(after.aliases)) == ({}, {"fast": "groq:x"})
    assert after.limits.max_wait == 7 and engine.config.pool.max_wait == 7

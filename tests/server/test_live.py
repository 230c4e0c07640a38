"""Traffic over time, the totals of the day, and the live view."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.chat.events import Usage
from bm.errors import Failure
from bm.gateway.record import Record
from bm.ledger.database import LedgerFile
from bm.ledger.writer import Ledger
from bm.server.live import RECENT, STEP, STEPS, TOTALS_LAST, DailyTotals, Traffic
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage as SimulatedUsage
from tests.gateway.world import World
from tests.ledger.entries import entry
from tests.server.test_ledger import PATIENCE
from tests.simulator.streams import ask
from tests.support.daemon import daemon
from tests.support.waiting import soon


class Clock:
    """A clock controlled by the test."""

    now = 500.0

    def __call__(self) -> float:
        return self.now


def record(**fields: Any) -> Record:
    return Record(id="req_1", at=0.0, protocol="gemini", model="x", stream=True, **fields)


def test_traffic_before_the_first_request() -> None:
    found = Traffic(Clock()).to_json()
    assert found["requests"] == [0] * STEPS and found["step"] == STEP
    assert found["recent"] == {"seconds": 0.0, "requests": 0, "failures": 0, "input": 0, "output": 0}


def test_requests_count_in_the_step_they_end_in() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.observe(record(usage=Usage(input=10, cache_read=5, output=3)))
    clock.now += STEP
    traffic.observe(record(failure=Failure(kind="server", message="no")))
    traffic.observe(record(failure=Failure(kind="server", message="no"), client_left=True))
    clock.now += 2 * STEP
    found = traffic.to_json()
    assert found["requests"][-4:] == [1, 2, 0, 0]
    assert found["failures"][-4:] == [0, 1, 0, 0]
    assert (found["input"][-4], found["output"][-4]) == (15, 3)
    assert found["recent"] == {"seconds": 3 * STEP, "requests": 3, "failures": 1, "input": 15, "output": 3}


def test_rates_cover_the_latest_minute_and_old_steps_are_dropped() -> None:
    clock = Clock()
    traffic = Traffic(clock)
    traffic.observe(record())
    clock.now += RECENT * STEP + 4
    assert traffic.to_json()["recent"]["requests"] == 1
    assert traffic.to_json()["recent"]["seconds"] == RECENT * STEP + 4
    clock.now += STEP
    assert traffic.to_json()["recent"]["requests"] == 0
    assert sum(traffic.to_json()["requests"]) == 1
    clock.now += 1e9
    traffic.observe(record())
    found = traffic.to_json()
    assert found["requests"] == [*[0] * (STEPS - 1), 1]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(LedgerFile(tmp_path / "ledger.db"), decisions=10)
    found.start()
    yield found
    found.stop(PATIENCE)


def write(ledger: Ledger, name: str) -> None:
    """Write a request of today."""
    ledger.put(lambda: entry(id=name, at=time.time(), cost=0.25))
    assert ledger.flush(PATIENCE)


async def test_totals_grow_with_the_ledger_a_few_seconds_later(ledger: Ledger) -> None:
    clock = Clock()
    today = DailyTotals(ledger.where, clock)

    async def requests() -> int:
        found = await today.to_json(ledger.written)
        assert found is not None
        count: int = found["requests"]
        return count

    write(ledger, "req_1")
    assert await requests() == 1
    write(ledger, "req_2")
    assert await requests() == 1
    clock.now += TOTALS_LAST
    assert await requests() == 2
    found = await today.to_json(ledger.written)
    assert found is not None and found["cost"] == 0.5


async def test_totals_are_reused_while_nothing_is_written(ledger: Ledger) -> None:
    clock = Clock()
    today = DailyTotals(ledger.where, clock)
    write(ledger, "req_1")
    before = await today.to_json(ledger.written)
    clock.now += 100 * TOTALS_LAST
    assert await today.to_json(ledger.written) is before


async def test_totals_before_the_first_request_and_without_a_ledger(tmp_path: Path) -> None:
    found = await DailyTotals(tmp_path / "none.db").to_json(0)
    assert found is not None and (found["requests"], found["cost"]) == (0, None)
    (tmp_path / "folder.db").mkdir()
    assert await DailyTotals(tmp_path / "folder.db").to_json(0) is None


def test_live_contains_the_other_answers(world: World) -> None:
    world.set_up(modes={"groq": "pooled"})
    assert world.ask("anthropic").complete
    live = world.admin("live")
    for name in ("accounts", "providers"):
        found = world.admin(name)[name]
        assert [row.keys() for row in live[name]] == [row.keys() for row in found]
        assert [row["name"] for row in live[name]] == [row["name"] for row in found]
    assert live["status"].keys() == world.admin("status").keys()
    assert live["run"] == live["status"]["started_at"]
    assert live["today"] is not None and live["not_ready"] is None


def test_requests_have_the_shape_of_the_list_of_requests(world: World) -> None:
    before = world.admin("live")["ended"]
    world.sim.script(Rule(usage=SimulatedUsage(input=1000, output=50)))
    first, second = world.ask("anthropic"), world.ask("gemini", stream=False)
    live = world.admin(f"live?after={before}")
    assert live["ended"] == before + 2
    assert [row["id"] for row in live["requests"]] == [second.bm("request-id"), first.bm("request-id")]
    assert live["requests"] == world.admin("requests?limit=2")["requests"]
    assert live["requests"][1]["cost"] > 0
    assert [row["id"] for row in world.admin(f"live?after={before + 1}")["requests"]] == [second.bm("request-id")]
    assert world.admin(f"live?after={before + 2}")["requests"] == []
    assert world.admin("live?after=1000000000")["requests"] == []


def test_at_most_the_requests_in_memory_are_sent(world: World) -> None:
    for _ in range(120):
        world.ask("gemini", stream=False)
    assert len(world.admin("live")["requests"]) == 100


def test_a_request_in_progress_has_its_attempts_and_first_content(world: World) -> None:
    slow = Rule(first_token_delay=0.5, text="a b c d", chunks=4, delay=0.3)
    world.sim.script(Rule(status=429, retry_info="60s"), slow)
    asked = threading.Thread(target=world.ask, args=("anthropic",))
    asked.start()
    try:
        waits = seen(world, lambda row: row["attempts"] == 2)
        assert (waits["first_content"], waits["model"], waits["stream"]) == (None, "claude-sonnet-5", True)
        assert waits["account"] in world.pool and waits["took"] >= 0
        answers = seen(world, lambda row: row["first_content"] is not None)
        assert answers["id"] == waits["id"] and answers["took"] >= answers["first_content"]
        assert world.admin("status")["requests"]["active"] == 1
    finally:
        asked.join()
    live = world.admin("live")
    assert live["under_way"] == [] and live["requests"][0]["id"] == waits["id"]
    assert live["requests"][0]["first_content"] == answers["first_content"]


def seen(world: World, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The request in progress, once it fits."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [row for row in world.admin("live")["under_way"] if fits(row)]
        return bool(found)

    assert soon(look, PATIENCE)
    return found[0]


def test_a_request_soon_counts_in_the_totals(alone: httpx.Client) -> None:
    for count in (1, 2):
        assert ask(alone, "gemini").status_code == 200
        assert soon(lambda count=count: alone.get("/admin/live").json()["today"]["requests"] == count, PATIENCE)  # type: ignore[misc]


def test_a_daemon_without_accounts_is_not_ready(world: World) -> None:
    world.set_up(accounts=0)
    assert "bm accounts add" in world.admin("live")["not_ready"]


@pytest.fixture
def alone(bm_home: Path) -> Iterator[httpx.Client]:
    """A daemon that has served no request yet."""
    accounts = {"main": "key-of-the-account-main"}
    with Simulator() as simulator, daemon(bm_home, f'[gemini]\nbase_url = "{simulator.url}"\n', accounts) as running:
        http = httpx.Client(base_url=running.url, headers=running.headers, trust_env=False)
        with http:
            yield http


@pytest.fixture
def unreadable(bm_home: Path) -> None:
    """A folder in place of the ledger."""
    (bm_home / "ledger.db").mkdir()


def test_an_unreadable_ledger_affects_the_totals_only(unreadable: None, alone: httpx.Client) -> None:
    assert ask(alone, "gemini").status_code == 200
    live = alone.get("/admin/live").json()
    assert live["today"] is None and len(live["requests"]) == 1


@pytest.mark.parametrize("query", ["after=-1", "after=x", "before=1"])
def test_an_invalid_query_is_refused(world: World, query: str) -> None:
    assert world.http.get(f"/admin/live?{query}").status_code == 400

"""The ledger of a real daemon: its sums, its survival of a restart, and failures that do not affect requests."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bm.ledger.reader import decision, usage
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.simulator.streams import APIS, ask
from tests.support.daemon import Daemon, daemon
from tests.support.postgres import PASSWORD, Server
from tests.support.waiting import soon

PATIENCE = 30.0
"""Seconds to wait for what another process does on a busy machine."""
KEYS = {"main": "key-of-the-account-main"}
SPENT = Usage(input=100, output=20, cached=40, thinking=5)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.script(Rule(usage=SPENT, times=None))
        yield running


@pytest.fixture
def running(simulator: Simulator, bm_home: Path) -> Iterator[Daemon]:
    with daemon(bm_home, config(simulator), KEYS) as found:
        yield found


def config(simulator: Simulator, more: str = "") -> str:
    return f'[gemini]\nbase_url = "{simulator.url}"\n{more}'


@contextmanager
def client(running: Daemon) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url, headers=running.headers, timeout=PATIENCE, trust_env=False) as http:
        yield http


def asked(running: Daemon, count: int = 1) -> list[str]:
    """Serve `count` requests of all kinds; returns their ids."""
    ids = []
    with client(running) as http:
        for number in range(count):
            answer = ask(http, APIS[number % 4], stream=number % 8 < 4)
            assert answer.status_code == 200, answer.text
            ids.append(answer.headers["x-bm-request-id"])
    return ids


def admin(running: Daemon, path: str) -> Any:
    with client(running) as http:
        answer = http.get(f"/admin/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_sums_are_those_the_upstream_reported(running: Daemon) -> None:
    asked(running, 8)
    total = admin(running, "usage?days=1&by=model")["total"]
    found = {name: total[name] for name in ("requests", "failures", "input", "cache_read", "output", "thinking")}
    assert found == {
        "requests": 8,
        "failures": 0,
        "input": 8 * 60,
        "cache_read": 8 * 40,
        "output": 8 * 25,
        "thinking": 8 * 5,
    }


def test_a_request_with_a_failover_counts_once(running: Daemon, simulator: Simulator) -> None:
    simulator.script(Rule(status=500), Rule(usage=SPENT), replace=True)
    asked(running)
    simulator.script(Rule(status=400, message="no", times=None), replace=True)
    with client(running) as http:
        assert ask(http, "anthropic").status_code == 400
    rows = admin(running, "usage?days=1&by=account")["rows"]
    assert [(row["name"], row["requests"], row["failures"], row["output"]) for row in rows] == [
        ("gemini/main", 2, 1, 25)
    ]


def test_the_latest_requests(running: Daemon) -> None:
    ids = asked(running, 5)
    rows = admin(running, "requests?limit=3")["requests"]
    assert [row["id"] for row in rows] == ids[:1:-1]
    assert all(row["took"] >= row["first_content"] > 0 for row in rows if row["stream"])


@pytest.mark.parametrize("query", ["days=0", "days=x", "by=mood", "unknown=1"])
def test_an_invalid_query_is_refused(running: Daemon, query: str) -> None:
    with client(running) as http:
        assert http.get(f"/admin/usage?{query}").status_code == 400


def test_decisions_and_sums_survive_a_restart(simulator: Simulator, bm_home: Path) -> None:
    with daemon(bm_home, config(simulator), KEYS) as first:
        before = asked(first, 2)
    path = first.paths.ledger
    assert usage(path, since=0, by="day")["total"]["requests"] == 2
    with daemon(bm_home, config(simulator)) as second:
        assert admin(second, f"why/{before[0]}")["id"] == before[0]
        assert admin(second, "why/last")["id"] == before[1]
        after = asked(second)
        assert admin(second, "why/last")["id"] == after[0]
        assert soon(lambda: admin(second, "usage")["total"]["requests"] == 3, PATIENCE)


def test_the_number_of_decisions_is_configurable(simulator: Simulator, bm_home: Path) -> None:
    with daemon(bm_home, config(simulator, "[limits]\ndecisions = 2\n"), KEYS) as running:
        ids = asked(running, 4)
    assert [decision(running.paths.ledger, each) is not None for each in ids] == [False, False, True, True]


def test_a_locked_ledger_delays_no_request(running: Daemon) -> None:
    asked(running)
    admin(running, "usage")
    with closing(sqlite3.connect(running.paths.ledger, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ids = asked(running, 12)
        assert soon(lambda: admin(running, "status")["ledger"]["problem"], PATIENCE)
        assert "locked" in admin(running, "status")["ledger"]["problem"]
        assert admin(running, f"why/{ids[-1]}")["status"] == 200, "it is in memory"
        ids += asked(running, 4)
    assert soon(lambda: admin(running, "status")["ledger"]["problem"] is None, PATIENCE)
    assert soon(lambda: admin(running, "usage")["total"]["requests"] == 17, PATIENCE)
    assert running.log().count("cannot be written") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")
def test_a_full_disk_fails_no_request(running: Daemon) -> None:
    import resource

    asked(running)
    admin(running, "usage")
    pid = running.process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000, hard))
    asked(running, 12)
    assert soon(lambda: admin(running, "status")["ledger"]["problem"], PATIENCE)
    asked(running, 12)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert soon(lambda: admin(running, "status")["ledger"]["problem"] is None, PATIENCE)
    assert soon(lambda: admin(running, "usage")["total"]["requests"] == 25, PATIENCE)
    assert running.process.poll() is None


def test_a_ledger_that_cannot_be_created_fails_no_request(simulator: Simulator, bm_home: Path) -> None:
    (bm_home / "ledger.db").mkdir()
    with daemon(bm_home, config(simulator), KEYS) as running:
        ids = asked(running, 4)
        assert admin(running, "status")["ledger"]["problem"]
        assert admin(running, f"why/{ids[0]}")["id"] == ids[0]


def test_a_database_that_is_killed_delays_no_request_and_misses_none(
    simulator: Simulator, bm_home: Path, postgres: Server, database: str
) -> None:
    settings = config(simulator, f'[ledger]\nurl = "{database}"\n[shared]\nnode = "one"\n')
    with daemon(bm_home, settings, KEYS) as running:
        ids = asked(running, 2)
        assert [row["name"] for row in admin(running, "usage?by=node")["rows"]] == ["one"]
        assert [row["id"] for row in admin(running, "requests?limit=2")["requests"]] == ids[::-1]
        postgres.kill()
        ids += asked(running, 2)
        assert soon(lambda: admin(running, "status")["ledger"]["spool"]["waiting"] == 2, PATIENCE)
        found = admin(running, "status")["ledger"]
        assert PASSWORD not in str(found) and found["path"].startswith("postgresql://…@127.0.0.1")
        assert "the database cannot be reached" in found["away"] and not found["dropped"]
        with client(running) as http:
            assert "bm_ledger_away 1.0" in http.get("/metrics").text
            assert "ledger.url: the database cannot be reached" in http.get("/admin/usage").text
        ids += asked(running)
        running.process.kill()
        running.process.wait()
    with daemon(bm_home, settings) as running:
        assert running.logs("until then requests wait in")
        postgres.start()
        assert soon(lambda: not admin(running, "status")["ledger"]["away"], PATIENCE)
        assert admin(running, f"why/{ids[0]}")["id"] == ids[0]
        assert soon(lambda: admin(running, "status")["ledger"]["spool"]["waiting"] == 0, PATIENCE)
        # The last one may have ended in the moment before the kill.
        found = [row["id"] for row in admin(running, "requests")["requests"]]
        assert found[::-1] in (ids, ids[:-1])
        assert admin(running, "usage?days=1")["total"]["requests"] == len(found)
        assert not running.paths.ledger.exists()

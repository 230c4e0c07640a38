"""The sum of today: never wrong for long, never added up all the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bm.ledger.ledger import Ledger
from bm.server.today import LASTS, Today
from tests.ledger.entries import entry
from tests.server.test_ledger import PATIENCE


class Clock:
    """A time of the test's own."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(tmp_path / "ledger.db", decisions=10)
    found.start()
    yield found
    found.stop(PATIENCE)


def write(ledger: Ledger, name: str) -> None:
    """Enter a request of today."""
    ledger.put(lambda: entry(id=name, at=time.time(), cost=0.25))
    assert ledger.flush(PATIENCE)


async def test_it_grows_with_the_ledger_a_few_seconds_later(ledger: Ledger) -> None:
    clock = Clock()
    today = Today(ledger.path, clock)

    async def requests() -> int:
        told = await today.told(ledger.written)
        assert told is not None
        count: int = told["requests"]
        return count

    write(ledger, "req_1")
    assert await requests() == 1
    write(ledger, "req_2")
    assert await requests() == 1
    clock.now += LASTS
    assert await requests() == 2
    told = await today.told(ledger.written)
    assert told is not None and told["cost"] == 0.5


async def test_it_is_not_added_up_again_while_nothing_was_written(ledger: Ledger) -> None:
    clock = Clock()
    today = Today(ledger.path, clock)
    write(ledger, "req_1")
    before = await today.told(ledger.written)
    clock.now += 100 * LASTS
    assert await today.told(ledger.written) is before


async def test_before_the_first_request_and_without_a_ledger(tmp_path: Path) -> None:
    told = await Today(tmp_path / "none.db").told(0)
    assert told is not None and (told["requests"], told["cost"]) == (0, None)
    (tmp_path / "folder.db").mkdir()
    assert await Today(tmp_path / "folder.db").told(0) is None

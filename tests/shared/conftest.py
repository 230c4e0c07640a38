"""Servers and stores for tests of what nodes share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bm.config.schema import Shared
from bm.shared.client import LIMIT
from bm.shared.store import Store
from bm.tasks import Work
from tests.support.valkey import Valkey, valkey_server


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Valkey]:
    """A server of the test's own, which it may disturb."""
    with valkey_server(tmp_path) as server:
        yield server


@asynccontextmanager
async def opened(url: str, name: str = "bm", limit: float = LIMIT) -> AsyncIterator[Store]:
    """A store that is in use, with its work in the background."""
    store = Store(Shared(url=url, name=name), limit=limit)
    await store.open()
    work = Work({"keeping": store.keep})
    work.start()
    try:
        yield store
    finally:
        work.stop()
        await store.close()

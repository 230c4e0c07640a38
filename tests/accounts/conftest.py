"""A simulated Google, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bm.accounts.google import Fetch
from bm.config.schema import Config, Timeouts
from bm.simulator import Simulator
from bm.upstream.client import UpstreamClient
from bm.upstream.fetch import token_fetcher


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A running simulator."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    """The daemon's own way to token endpoints."""
    client = UpstreamClient()
    config = Config(timeouts=Timeouts(first_byte=5.0))
    yield token_fetcher(client, lambda: config)
    await client.close()

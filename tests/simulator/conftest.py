"""A simulator of each test's own, and the ways to talk to it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from bm.simulator import Simulator


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A running simulator."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def http(sim: Simulator) -> Iterator[httpx.Client]:
    """A plain client of it. Its key serves every API."""
    headers = {"x-api-key": "key-one", "anthropic-version": "2023-06-01"}
    with httpx.Client(base_url=sim.url, headers=headers, timeout=10, verify=False, trust_env=False) as client:
        yield client

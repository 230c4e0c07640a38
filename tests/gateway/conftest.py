"""One daemon and one simulator for all tests of this room; each test sets them up for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bm.simulator import Simulator
from tests.gateway.world import World
from tests.support.daemon import Daemon, daemon


@pytest.fixture(scope="session")
def running(sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Daemon]]:
    """A simulator, and a daemon that knows no account yet."""
    home = tmp_path_factory.mktemp("daemon")
    with Simulator() as simulator, daemon(home, f'[gemini]\nbase_url = "{simulator.url}"\n') as running:
        yield simulator, running


@pytest.fixture
def world(running: tuple[Simulator, Daemon]) -> Iterator[World]:
    """The daemon with two accounts in its pool and nothing else, unless the test sets up more."""
    simulator, daemon = running
    with httpx.Client(base_url=daemon.url, headers=daemon.headers, timeout=20, trust_env=False, verify=False) as http:
        world = World(simulator, daemon, http)
        world.set_up()
        yield world

"""One daemon and one simulator for all tests of this room; each test sets them up for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bm.simulator import Simulator
from tests.conftest import CLIENTS
from tests.gateway.world import World
from tests.support.daemon import Daemon, daemon


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each row of a test's table with the next client in turn, or with every client."""
    for mark in metafunc.definition.iter_markers("each_row"):
        rows, thorough = mark.args[0].items(), metafunc.config.getoption("--thorough")
        values = [
            pytest.param(row, protocol, stream, id=f"{name}-{protocol}-{'stream' if stream else 'full'}")
            for number, (name, row) in enumerate(rows)
            for protocol, stream in (CLIENTS if thorough else CLIENTS[number * 5 % 8 :][:1])
        ]
        metafunc.parametrize(("row", "protocol", "stream"), values)


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

"""A daemon and a simulator for all faults; each case sets them up for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.world import World
from tests.reliability.run import running


@pytest.fixture(scope="session")
def world(sealed: Path) -> Iterator[World]:
    """A world that no test has set up yet."""
    home = sealed / "reliability"
    home.mkdir()
    with running(home) as world:
        yield world

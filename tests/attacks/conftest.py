"""One daemon, a hostile upstream and a good one for all attacks; each test sets them up for itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bm.simulator import Simulator
from tests.attacks.stage import Stage, hostile
from tests.support.daemon import daemon


@pytest.fixture(scope="session")
def stage(sealed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The daemon, set up by no test yet."""
    home = tmp_path_factory.mktemp("attacked")
    with (
        Simulator() as simulator,
        hostile() as upstream,
        daemon(home, "[server]\nwebsocket = true\n") as running,
        httpx.Client(base_url=running.url, headers=running.headers, timeout=20, trust_env=False) as http,
    ):
        yield Stage(running, upstream, simulator, http)

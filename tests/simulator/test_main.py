"""The simulator as a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from bm.simulator import Simulator
from tests.simulator.streams import ask


@pytest.fixture
def address() -> Iterator[str]:
    """Where a simulator of its own process listens."""
    command = [sys.executable, "-m", "bm.simulator"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def test_the_first_line_is_the_address(address: str) -> None:
    with httpx.Client(base_url=address, headers={"x-goog-api-key": "k"}) as client:
        assert ask(client, "gemini").status_code == 200
        assert client.post("/__sim/script", json={"status": 500}).json() == {"ok": True}
        assert ask(client, "gemini").status_code == 500


def test_a_port_that_is_taken_is_said_and_ends_it(sim: Simulator) -> None:
    command = [sys.executable, "-m", "bm.simulator", "--port", str(sim.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{sim.port}" in done.stderr

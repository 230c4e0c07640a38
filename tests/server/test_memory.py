"""What the pool has learnt outlives the daemon."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest

from bm.accounts.memory import state_path
from bm.config.paths import Paths, make_folders
from bm.gateway.engine import Engine
from bm.gateway.settings import read_settings
from bm.server.memory import Memory
from bm.simulator import Rule, Simulator
from tests.support.daemon import Daemon, daemon


def ask(running: Daemon) -> httpx.Response:
    """A request of a conversation."""
    headers = {**running.headers, "x-session-id": "the session"}
    body = {"contents": [{"parts": [{"text": "hello"}]}]}
    with httpx.Client(base_url=running.url, timeout=10, trust_env=False, verify=False) as http:
        return http.post("/v1beta/models/gemini-2.5-flash:generateContent", json=body, headers=headers)


def test_cooldowns_and_conversations_survive_a_restart(bm_home: Path) -> None:
    accounts = {"one": "key-of-the-account-one", "two": "key-of-the-account-two"}
    with Simulator() as simulator:
        config = f'[gemini]\nbase_url = "{simulator.url}"\n'
        simulator.script(Rule(status=429, retry_info="600s"))
        with daemon(bm_home, config, accounts) as running:
            served = ask(running).headers["x-bm-account"]
        with daemon(bm_home, config) as running:
            again = ask(running)
        assert (again.headers["x-bm-account"], again.headers["x-bm-attempts"]) == (served, "1")
    file = state_path(Paths.under(bm_home))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not [key for key in accounts.values() if key in file.read_text()]


async def test_a_disk_that_cannot_be_written_costs_no_request(bm_home: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    engine = Engine(read_settings(paths))
    memory = Memory(paths, engine)
    state_path(paths).mkdir()
    try:
        await memory.write()
        memory.recall()
    finally:
        await engine.close()
    assert "cannot be written" in caplog.text

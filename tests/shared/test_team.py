"""A daemon as a node of a team: what it says of the store and the others, and when it does not start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.daemon import Daemon, daemon
from tests.support.valkey import Valkey, valkey_server
from tests.support.waiting import soon


def config(url: str, node: str) -> str:
    return f'[shared]\nurl = "{url}"\nnode = "{node}"\n'


def shared(of: Daemon) -> Any:
    return httpx.get(f"{of.url}/admin/status", headers=of.headers).json()["shared"]


def metrics(of: Daemon) -> str:
    return httpx.get(f"{of.url}/metrics", headers=of.headers).text


def test_two_nodes_say_who_is_there_and_whether_the_store_is(bm_home: Path, fresh: Valkey) -> None:
    homes = [bm_home / "a", bm_home / "b"]
    for home in homes:
        home.mkdir()
    with daemon(homes[0], config(fresh.url, "a")) as one, daemon(homes[1], config(fresh.url, "b")) as two:
        assert [each["name"] for each in shared(two)["nodes"] if each["here"]] == ["a", "b"]
        assert "bm_shared_nodes 2.0" in metrics(two)
        refused = {"model": "opus", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        assert httpx.post(f"{one.url}/v1/messages", headers=one.headers, json=refused).status_code == 400
        assert soon(lambda: shared(two)["nodes"][0]["requests"] == {"active": 0, "total": 1, "failed": 1})
        environ = {**os.environ, "BM_HOME": str(homes[1])}
        ran = subprocess.run(
            [sys.executable, "-m", "bm", "status", "--all"], env=environ, capture_output=True, text=True
        )
        rows = [line.split()[:3] for line in ran.stdout.splitlines()]
        assert rows == [["NODE", "STATE", "ADDRESS"], ["a", "there", one.url], ["b", "there", two.url]]
        assert "bm_shared_away 0.0" in metrics(two)
        fresh.stop()
        assert one.logs("this node goes on alone and shares again when it is back")
        assert shared(one)["away"]["reason"].startswith("the store does not answer")
        assert "bm_shared_away 1.0" in metrics(one)
        fresh.start()
        assert one.logs("the store is back after")
        assert shared(one)["away"] is None


@pytest.mark.parametrize(("fail", "reason"), [("closed", "the shared store is away"), ("open", "bm accounts add")])
def test_a_node_that_may_serve_nothing_without_its_store_is_not_ready(
    bm_home: Path, fresh: Valkey, fail: str, reason: str
) -> None:
    more = f'fail = "{fail}"\n[budgets]\ntotal = "5/day"\n'
    with daemon(bm_home, config(fresh.url, "a") + more) as one:
        fresh.stop()
        assert soon(lambda: shared(one)["away"] is not None)
        found = httpx.get(f"{one.url}/readyz")
        assert found.status_code == 503 and reason in found.json()["reason"]


@pytest.mark.parametrize("command", [["start"], ["start", "--foreground"]])
def test_a_daemon_whose_store_refuses_it_does_not_start(bm_home: Path, tmp_path: Path, command: list[str]) -> None:
    with valkey_server(tmp_path, "--requirepass", "right-password") as server:
        (bm_home / "config.toml").write_text(config(server.url.replace("right", "wrong"), "a"), encoding="utf-8")
        environ = {**os.environ, "BM_HOME": str(bm_home), "BM_SERVER_PORT": "0"}
        run = subprocess.run(
            [sys.executable, "-m", "bm", *command], env=environ, capture_output=True, text=True, timeout=30
        )
    assert run.returncode != 0
    assert f"{bm_home / 'config.toml'}: shared.url: the store refuses the user or the password" in run.stderr
    assert "wrong-password" not in run.stderr


def test_a_user_that_may_not_run_scripts_is_refused_at_the_start(bm_home: Path, fresh: Valkey) -> None:
    fresh.command("ACL", "SETUSER", "weak", "on", ">pass", "~*", "+info", "+set", "+get")
    url = fresh.url.replace("valkey://", "valkey://weak:pass@")
    (bm_home / "config.toml").write_text(config(url, "a"), encoding="utf-8")
    environ = {**os.environ, "BM_HOME": str(bm_home), "BM_SERVER_PORT": "0"}
    command = [sys.executable, "-m", "bm", "start", "--foreground"]
    run = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30)
    assert run.returncode != 0
    assert "shared.url: the store forbids bm a command" in run.stderr


def test_without_a_store_nothing_of_it_is_loaded(bm_home: Path) -> None:
    code = "import sys, bm.server.serve; print(*(m for m in sys.modules if m.startswith(('redis', 'bm.shared'))))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""

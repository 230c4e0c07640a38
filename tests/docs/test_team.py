"""The way of docs/team.md by hand, line by line: two nodes, Valkey, PostgreSQL and nginx, all of them real."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from bm.simulator import Simulator
from tests.cli.conftest import PLANTED
from tests.rules.source import ROOT
from tests.support.nginx import needs_nginx, nginx
from tests.support.valkey import Valkey
from tests.support.waiting import soon

PAGE = (ROOT / "docs" / "team.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    """The blocks of the way by hand, after the one that installs programs."""
    way = PAGE.partition("## By hand\n")[2].partition("### On other machines")[0]
    _, *found = re.findall(r"^```sh\n(.*?)^```", way, re.MULTILINE | re.DOTALL)
    return found


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def used(home: Path, node: str) -> dict[str, int]:
    """How many requests each key has made, as a node says."""
    command = [sys.executable, "-m", "bm", "usage", "--by", "key", "--json"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BM_")}
    environ = {**kept, "BM_HOME": str(home / "bm" / node)}
    ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return {row["name"]: row["requests"] for row in json.loads(ran.stdout)["rows"]}


@contextmanager
def typed(home: Path, replaced: dict[str, str], simulator: Simulator) -> Iterator[list[str]]:
    """What each block prints, typed into one shell with other addresses; the nodes end with it."""
    script = "\n".join(f"{block}\necho ---" for block in blocks())
    for text, other in replaced.items():
        assert text in script, text
        script = script.replace(text, other)
    bm = f'bm() {{ "{sys.executable}" -m bm "$@"; }}\nset -e\n'
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BM_")}
    environ = {**kept, "HOME": str(home), "BM_GEMINI_BASE_URL": simulator.url}
    try:
        ran = subprocess.run(["bash", "-c", bm + script], cwd=ROOT, env=environ, capture_output=True, text=True)
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        yield ran.stdout.split("---\n")
    finally:
        for node in ("a", "b"):
            stop = [sys.executable, "-m", "bm", "stop", "--now"]
            subprocess.run(stop, env={**environ, "BM_HOME": str(home / "bm" / node)}, capture_output=True)


@needs_nginx
def test_the_way_by_hand(bm_home: Path, valkey: Valkey, database: str, simulator: Simulator) -> None:
    first, second, front = free_ports(3)
    made = bm_home / "default.conf"
    replaced = {
        "valkey://127.0.0.1:6379/0": valkey.url,
        "postgresql://bm:choose-one@127.0.0.1/bm": database,
        "drain_delay = 10": f"drain_delay = 0\nport = {first}",
        "server.port 8095": f"server.port {second}",
        "accounts add work ": f"accounts add work <<< {PLANTED}work ",
        "127.0.0.1:8094/": f"127.0.0.1:{first}/",
        "127.0.0.1:8095/": f"127.0.0.1:{second}/",
        "listen 127.0.0.1:8080": f"listen 127.0.0.1:{front}",
        "sudo tee /etc/nginx/conf.d/bm.conf > /dev/null": f"cat > {made}",
        "sudo nginx -t && sudo systemctl reload nginx\ncurl http://127.0.0.1:8080/readyz\n": "",
        "http://127.0.0.1:8080": f"http://127.0.0.1:{front}",
        " --key KEY": " --key $(cat ~/key)",
        "--budget 20/day ": "--budget 20/day | tee ~/key ",
    }
    with typed(bm_home, replaced, simulator) as said:
        _, keyed, _, exported, *_ = said
        assert [line.split()[:2] for line in keyed.splitlines()[-2:]] == [["a", "there"], ["b", "there"]]
        (key,) = set(re.findall(r"\bbm-[\w-]{43}", exported))
        assert f"ANTHROPIC_BASE_URL=http://127.0.0.1:{front}" in exported and key in keyed
        body = {"model": "sonnet", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        with nginx(bm_home, made.read_text(), front) as url, httpx.Client(base_url=url, trust_env=False) as http:
            assert http.get("/readyz").json()["ready"] is True
            for _ in range(2):
                assert http.post("/v1/messages", json=body, headers={"x-api-key": key}).status_code == 200
            assert soon(lambda: used(bm_home, "b") == {"ada": 2}), "each node has answered one, and both tell of two"

"""A node in a namespace: what its cables let through."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.team.network import HOSTS, way_in

PORT = 7777
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.3)"
_PROGRAM = f"""
import contextlib, socket, subprocess, sys
from tests.team.network import HOSTS, Network

def reaches(node):
    tried = [[*node.command, sys.executable, "-S", "-c", {_CONNECT!r}, host, "{PORT}"] for host in HOSTS.values()]
    return [subprocess.run(each, stderr=subprocess.DEVNULL).returncode == 0 for each in tried]

with Network() as network, socket.create_server(("0.0.0.0", {PORT})):
    node, other = network.add(), network.add()
    print(reaches(node))
    node.cut()
    print(reaches(node), reaches(other))
    node.cut(*HOSTS)
    print(reaches(node))
    node.heal(*HOSTS)
    # Addresses are asked for again after a second.
    print(any(all(reaches(node)) for _ in range(20)))
"""


def test_a_cable_that_is_pulled_cuts_one_node_off() -> None:
    way, why = way_in()
    if not way:
        pytest.skip(f"no network namespaces here: {why}")
    ran = subprocess.run([*way, sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60)
    assert list(HOSTS) == ["front", "back"]
    assert ran.stdout.splitlines() == ["[True, True]", "[True, False] [True, True]", "[False, False]", "True"]
    assert (ran.returncode, ran.stderr) == (0, "")

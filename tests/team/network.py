"""Nodes in network namespaces, as on machines of their own: each has a cable to the front, where clients and the vendor
are, and one to the back, where the store and the database are. A cable that is pulled loses what is sent, and says
nothing.

All of it is within a namespace of the run itself. A namespace lives as long as its processes, so none is left behind,
however the run ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, Literal

Side = Literal["front", "back"]
HOSTS: Final[dict[Side, str]] = {"front": "10.77.1.1", "back": "10.77.2.1"}
"""Where a node finds what is not on it."""
_WITHIN: Final = "BM_TEAM_NAMESPACE"
_PATIENCE: Final = 20.0
_WAYS: Final = (["unshare", "--net"], ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"])
"""As root, and for users whom the system lets have namespaces."""


def is_within() -> bool:
    """Whether this process is in a namespace of its own."""
    return bool(os.environ.get(_WITHIN))


def way_in() -> tuple[list[str], str]:
    """What to begin a command with so that it runs in a namespace of its own; if that is not possible, why."""
    if not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return [], "ip, unshare and nsenter are not installed"
    why = ""
    for way in _WAYS:
        tried = subprocess.run([*way, "ip", "link", "add", "type", "bridge"], capture_output=True, text=True)
        if tried.returncode == 0:
            return ["env", f"{_WITHIN}=1", *way], ""
        why = tried.stderr.strip()
    return [], why


class Network:
    """The network of a run, which is in a namespace of its own."""

    def __init__(self) -> None:
        assert is_within(), "not in the network of the machine"
        self._nodes: list[Namespace] = []
        _ip("link set lo up", *(command for side, host in HOSTS.items() for command in _bridge(side, host)))

    def add(self) -> Namespace:
        """A namespace for another node, with both cables."""
        node = Namespace(len(self._nodes) + 1)
        self._nodes.append(node)
        return node

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self._nodes:
            node.close()


class Namespace:
    """Where one node runs."""

    def __init__(self, number: int) -> None:
        self._number = number
        # It ends with this process, whose end closes its input.
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        for side in HOSTS:
            _ip(
                f"link add {side}{number} type veth peer name {side} netns {self._process.pid}",
                f"link set {side}{number} master {side} up",
            )
        own = [
            line for side in HOSTS for line in (f"addr add {self.address(side)}/24 dev {side}", f"link set {side} up")
        ]
        _ip("link set lo up", *own, within=self.command)

    @property
    def command(self) -> tuple[str, ...]:
        """What to begin a command with so that it runs here."""
        return "nsenter", f"--net=/proc/{self._process.pid}/ns/net"

    def address(self, side: Side) -> str:
        """Its address on a side."""
        return f"{HOSTS[side].rpartition('.')[0]}.{self._number + 10}"

    def cut(self, *sides: Side) -> None:
        """Pull the cables to these sides, or the one to the back."""
        _ip(*(f"link set {side}{self._number} down" for side in sides or ("back",)))

    def heal(self, *sides: Side) -> None:
        """Put them back."""
        _ip(*(f"link set {side}{self._number} up" for side in sides or ("back",)))

    def close(self) -> None:
        """End it, and both cables. Its processes have ended."""
        self._process.kill()
        self._process.wait(_PATIENCE)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


def _bridge(side: Side, host: str) -> list[str]:
    return [f"link add {side} type bridge", f"addr add {host}/24 dev {side}", f"link set {side} up"]


def _ip(*commands: str, within: Sequence[str] = ()) -> None:
    """Run commands of `ip`, all or an error."""
    lines = "".join(f"{command}\n" for command in commands)
    subprocess.run([*within, "ip", "-batch", "-"], input=lines, text=True, check=True, timeout=_PATIENCE)


def enter() -> str:
    """Start this program again, within a namespace of its own. Returns if that is not possible, and why."""
    way, why = way_in()
    if way:
        os.execvp(way[0], [*way, sys.executable, *sys.orig_argv[1:]])
    return why

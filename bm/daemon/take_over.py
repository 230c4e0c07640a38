"""Start in place of a running daemon: take its listening socket and its lock, while it finishes its answers."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bm.config.files import inherited
from bm.config.paths import Paths
from bm.config.schema import Server
from bm.daemon.client import NoAnswer, ask, find
from bm.daemon.port import bind
from bm.daemon.runtime import Daemon
from bm.errors import UNREADABLE, DaemonError

if TYPE_CHECKING:
    from bm.server.handover import Hello

PATIENCE = 15.0
"""Seconds in which the running daemon answers: it may be busy, and it writes its state first."""
_LONGEST = 75
"""Bytes of a folder in which a socket may be made: macOS allows paths of 103."""


class NoHandover(DaemonError):
    """The running daemon does not hand over. It goes on."""


class Taken(msgspec.Struct, frozen=True):
    """The listening socket, the descriptor of the lock, and the connection to the earlier daemon with its greeting."""

    sock: socket.socket
    lock: int
    channel: socket.socket
    hello: Hello


@contextlib.contextmanager
def taken_over(paths: Paths, server: Server) -> Iterator[Taken]:
    """What the running daemon hands over. Until this process says that it serves, that one can go on.

    A changed address is bound anew.

    Raises:
        NoHandover: it does not.
        PortError: the new address is not available.
    """
    found = find(paths, PATIENCE)
    if found is None or not found.answers:
        raise NoHandover("no daemon is running")
    old = found.daemon
    same = server.host == old.host and server.port in (0, old.port)
    with contextlib.ExitStack() as stack:
        sock = None
        if not same and server.port != old.port:
            sock = stack.enter_context(bind(server.host, server.port))
        channel, hello, descriptors = _asked(paths, old, listener=same)
        stack.enter_context(channel)
        lock = stack.enter_context(inherited(descriptors[0]))
        if same:
            sock = stack.enter_context(socket.socket(fileno=descriptors[1]))
        elif sock is None:
            # The earlier daemon has closed its own by now; two cannot listen on one port.
            sock = stack.enter_context(bind(server.host, server.port))
        assert sock is not None
        yield Taken(sock, lock, channel, hello)


def _asked(paths: Paths, old: Daemon, *, listener: bool) -> tuple[socket.socket, Hello, list[int]]:
    """The connection to the old daemon, what it says first, and the descriptors."""
    from bm.accounts.credentials import load
    from bm.server.handover import FORMAT, Invitation

    if not hasattr(socket, "send_fds"):
        raise NoHandover("this system cannot pass sockets between processes")
    own = paths.runtime.parent
    nearby = own if len(os.fsencode(own)) < _LONGEST else None
    with tempfile.TemporaryDirectory(prefix=".next-", dir=nearby) as folder, socket.socket(socket.AF_UNIX) as meeting:
        place = str(Path(folder, "next"))
        meeting.settimeout(PATIENCE)
        try:
            meeting.bind(place)
            meeting.listen(1)
            asked = Invitation(format=FORMAT, to=place, permit=old.permit(place), listener=listener)
            key = load(paths.accounts).local_key
            answer = ask(old, "POST", "/admin/handover", key=key, body=asked, timeout=PATIENCE)
            if answer.status != 200:
                raise NoHandover(_why(old, answer.status, answer.body))
            channel, _ = meeting.accept()
        except (OSError, NoAnswer) as error:
            raise NoHandover(f"{old.url} does not hand over: {error}") from None
    return _received(channel, 2 if listener else 1)


def _why(old: Daemon, status: int, body: object) -> str:
    if status == 404:
        return f"version {old.version}, which is running, cannot hand over"
    return str(body.get("error", status)) if isinstance(body, dict) else f"the daemon answers with status {status}"


def _received(channel: socket.socket, count: int) -> tuple[socket.socket, Hello, list[int]]:
    from bm.server.handover import Hello

    channel.settimeout(PATIENCE)
    try:
        said, descriptors, _, _ = socket.recv_fds(channel, 4096, count)
        hello = msgspec.json.decode(said, type=Hello)
    except (OSError, *UNREADABLE) as error:
        channel.close()
        raise NoHandover(f"the daemon hands over nothing: {error}") from None
    if len(descriptors) != count:
        channel.close()
        raise NoHandover("the limit of open files is reached (ulimit -n)")
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    channel.settimeout(None)
    return channel, hello, descriptors

"""Listening, and messages for addresses that are not available."""

from __future__ import annotations

import socket
import sys

import psutil
import pytest

from bm.daemon.port import PortError, bind, owner
from tests.daemon.support import foreign_process


def test_port_0_is_any_free_port() -> None:
    with bind("127.0.0.1", 0) as one, bind("127.0.0.1", 0) as other:
        assert one.getsockname()[1] != other.getsockname()[1]


def test_the_socket_listens_at_once() -> None:
    with bind("127.0.0.1", 0) as sock, socket.create_connection(sock.getsockname()) as client:
        assert client.getpeername() == sock.getsockname()


def test_the_owner_of_a_taken_port_is_named() -> None:
    with foreign_process() as (pid, port):
        name = psutil.Process(pid).name()
        with pytest.raises(PortError) as caught:
            bind("127.0.0.1", port)
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is taken by {name} (pid {pid}) "
        f"(stop it, or use another port: bm config set server.port {port + 1})"
    )


def test_the_owner_of_a_free_port_is_not_named(free_port: int) -> None:
    assert owner(free_port) == "a process of another user"


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host.invalid"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(PortError, match="is not an address"):
        bind(host, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX sockets")
def test_old_connections_do_not_block_the_port() -> None:
    with bind("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = sock.accept()
            accepted.close()
    with bind("127.0.0.1", port) as again:
        assert again.getsockname()[1] == port

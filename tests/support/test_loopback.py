"""The seal around the tests holds, in both directions."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.loopback import NetworkRefused, is_local


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "::1%lo", "0.0.0.0", "", b"localhost", None]
)
def test_this_machine_is_local(host: object) -> None:
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["example.com", "10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "localhost.example"]
)
def test_other_machines_are_not(host: object) -> None:
    assert not is_local(host)


@pytest.mark.parametrize("host", ["8.8.8.8", "192.0.2.1"])
def test_connecting_elsewhere_is_refused(host: str) -> None:
    with socket.socket() as sock, pytest.raises(NetworkRefused, match=host):
        sock.connect((host, 443))
    with socket.socket() as sock, pytest.raises(NetworkRefused, match=host):
        sock.connect_ex((host, 443))


def test_looking_up_another_machine_is_refused() -> None:
    with pytest.raises(NetworkRefused, match=r"api\.example\.com"):
        socket.getaddrinfo("api.example.com", 443)


def test_a_name_that_cannot_exist_fails_as_it_does_everywhere() -> None:
    with pytest.raises(socket.gaierror):
        socket.create_connection(("nowhere.invalid", 443))


def test_loopback_works() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far:
            near.sendall(b"hello")
            assert far.recv(5) == b"hello"


def test_each_test_has_an_empty_home_of_its_own(bm_home: Path) -> None:
    assert os.environ["BM_HOME"] == str(bm_home)
    assert list(bm_home.iterdir()) == []


@pytest.mark.parametrize("end", ["_API_KEY", "_BASE_URL", "_AUTH_TOKEN", "_DISPATCH_MODE", "_PROXY"])
def test_nothing_of_the_developers_settings_is_seen(end: str) -> None:
    assert [name for name in os.environ if name.upper().endswith(end)] == []

"""Local hosts, URLs that point back at bm, and the URL of a local server."""

from __future__ import annotations

import pytest

from bm.config.address import is_address, is_loopback, origin_of, points_at, url_of
from bm.config.schema import Server


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("bm.localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example", False),
        ("127.0.0.1.example", False),
        ("", False),
    ],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", True),
        ("203.0.113.9", True),
        ("2001:db8::1", True),
        ("[2001:db8::1]", True),
        ("::ffff:10.0.0.1", True),
        ("localhost", False),
        ("127.0.0.1.example", False),
        ("2130706433", False),
        ("", False),
    ],
)
def test_is_address(host: str, address: bool) -> None:
    assert is_address(host) is address


@pytest.mark.parametrize(
    ("url", "host", "port", "loops"),
    [
        ("http://127.0.0.1:8094", "127.0.0.1", 8094, True),
        ("http://localhost:8094/v1", "127.0.0.1", 8094, True),
        ("http://[::1]:8094", "127.0.0.1", 8094, True),
        ("http://0.0.0.0:8094", "127.0.0.1", 8094, True),
        ("http://127.0.0.1:8095", "127.0.0.1", 8094, False),
        ("https://bm.example/v1", "127.0.0.1", 8094, True),
        ("http://bm.example/v1", "127.0.0.1", 8094, False),
        ("http://10.0.0.7:8094", "127.0.0.1", 8094, False),
        ("http://10.0.0.7:8094", "10.0.0.7", 8094, True),
        ("http://devbox:8094", "DevBox", 8094, True),
        ("http://localhost", "0.0.0.0", 80, True),
        ("https://localhost/x", "0.0.0.0", 443, True),
        ("http://localhost", "127.0.0.1", 0, False),
        ("http://localhost:nix", "127.0.0.1", 8094, False),
        ("http://[::1", "127.0.0.1", 8094, False),
        ("", "127.0.0.1", 8094, False),
    ],
)
def test_points_at(url: str, host: str, port: int, loops: bool) -> None:
    assert points_at(url, Server(host=host, port=port, url="https://bm.example")) is loops


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8094"),
        ("0.0.0.0", "http://127.0.0.1:8094"),
        ("::", "http://[::1]:8094"),
        ("[::1]", "http://[::1]:8094"),
        ("localhost", "http://localhost:8094"),
    ],
)
def test_the_url_of_a_server_on_every_interface_is_a_loopback_url(host: str, url: str) -> None:
    assert url_of(host, 8094) == url


@pytest.mark.parametrize(
    ("server", "running", "origin"),
    [
        (Server(), "", "http://127.0.0.1:8094"),
        (Server(tls_cert="cert.pem", tls_key="key.pem"), "", "https://127.0.0.1:8094"),
        (Server(port=0), "", ""),
        (Server(port=0), "http://127.0.0.1:5555", "http://127.0.0.1:5555"),
        (Server(), "http://127.0.0.1:5555", "http://127.0.0.1:5555"),
        (Server(url="https://bm.example/"), "", "https://bm.example"),
        (Server(url="https://bm.example/", port=0), "http://127.0.0.1:5555", "https://bm.example"),
    ],
)
def test_the_address_that_tools_are_given(server: Server, running: str, origin: str) -> None:
    assert origin_of(server, running) == origin

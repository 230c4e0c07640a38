"""Which URLs lead to the public internet, in every spelling of their hosts."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bm.upstream.public import NotPublic, canonical_host, is_public, public_url, refuse_private_name


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
        ("fec0::1", False),
        ("fe80::1%eth0", False),
        ("2001:4860:4860::8888", True),
        ("localhost", False),
        ("192.0.0.192", False),
        ("168.63.129.16", False),
        ("64:ff9b:1::808:808", False),
        ("::ffff:0:7f00:1", False),
        ("5f00::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("host", "canonical"),
    [
        ("Pictures.ACME.test.", "pictures.acme.test"),
        ("127\u30020\u30020\u30021", "127.0.0.1"),
        ("127\uff0e0\uff0e0\uff0e1", "127.0.0.1"),
        ("127\uff610\uff610\uff611", "127.0.0.1"),
        ("\uff11\uff16\uff19.254.169.254", "169.254.169.254"),
        ("\u2460\u24ea.\u24ea.\u24ea.\u2460", "10.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("0177.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("\uff4cocalhost", "localhost"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
    ],
)
def test_a_host_as_a_connection_reads_it(host: str, canonical: str) -> None:
    assert canonical_host(host) == canonical


@pytest.mark.parametrize(
    "url",
    [
        "http://127\u30020\u30020\u30021/x.png",
        "http://\u2460\u24ea.\u24ea.\u24ea.\u2460/x.png",
        "http://0x7f000001/x.png",
        "http://[::ffff:169.254.169.254]/x.png",
        "http://[64:ff9b::a00:1]/x.png",
        "http://[fe80::1%25eth0]/x.png",
        "http://router/x.png",
        "http://metadata.google.internal/x.png",
        "http://printer.local./x.png",
        "http://a.localhost/x.png",
        "http://127.0.0.1\u2044@public.example/x.png",
        "http://300.1.1.1/x.png",
        "http://public.example:port/x.png",
        "http:///x.png",
        "ftp://public.example/x.png",
    ],
)
def test_no_spelling_of_a_private_host_passes(url: str) -> None:
    with pytest.raises(NotPublic):
        public_url(url)


def test_the_url_of_a_public_host_names_the_host_that_is_connected_to() -> None:
    assert public_url("https://B\u00fccher.example:8443/a%20b?c=d") == "https://xn--bcher-kva.example:8443/a%20b?c=d"
    assert public_url("http://\uff18.8.8.8/x y") == "http://8.8.8.8/x%20y"
    assert public_url("http://[2001:4860:4860::8888]:81#part") == "http://[2001:4860:4860::8888]:81"
    assert public_url("http://127.0.0.1/x", public_only=False) == "http://127.0.0.1/x"


async def test_a_name_with_a_private_address_is_not_asked_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"inside.example": "10.0.0.1", "public.example": "93.184.216.34"}

    async def lookup(host: str, *rest: object, **options: object) -> list[object]:
        if host not in found:
            raise socket.gaierror("unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (found[host], 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup, raising=False)
    await refuse_private_name("public.example", 80)
    await refuse_private_name("known-to-the-proxy-only.example", 80)
    with pytest.raises(NotPublic):
        await refuse_private_name("inside.example", 80)

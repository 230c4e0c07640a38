"""The address of a proxy, however it is written."""

from __future__ import annotations

import pytest

from bm.config.proxy import ProxyAddress, read_proxy


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://proxy:3128", ProxyAddress("http", "proxy", 3128)),
        (" proxy:3128 ", ProxyAddress("http", "proxy", 3128)),
        ("proxy", ProxyAddress("http", "proxy", 80)),
        ("user:s3cret@proxy:3128", ProxyAddress("http", "proxy", 3128, "user", "s3cret")),
        ("HTTPS://proxy/", ProxyAddress("https", "proxy", 443)),
        ("socks://proxy/", ProxyAddress("socks5", "proxy", 1080)),
        ("socks5h://proxy:9", ProxyAddress("socks5h", "proxy", 9)),
        ("http://[::1]:9", ProxyAddress("http", "::1", 9)),
        ("http://user:p@ss#/x@proxy:9", ProxyAddress("http", "proxy", 9, "user", "p@ss#/x")),
        ("http://user:p%40ss%@proxy:9", ProxyAddress("http", "proxy", 9, "user", "p@ss%")),
        ("http://us\u00e9r:\u20ac@proxy:9", ProxyAddress("http", "proxy", 9, "us\u00e9r", "\u20ac")),
        ("http://user:a://b@proxy:9", ProxyAddress("http", "proxy", 9, "user", "a://b")),
    ],
)
def test_what_is_meant(text: str, expected: ProxyAddress) -> None:
    assert read_proxy(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://s3cret@proxy",
        "http://s3cret@proxy:port",
        "http://s3cret@proxy:99999",
        "http://s3cret@:3128",
        "http://s3cret@two s3crets",
        "http://s3cret@proxy?x",
        "http://wo\nrd@proxy",
        "socks5://s3cr\u00e9t@proxy",
        "://s3cret@proxy",
    ],
)
def test_what_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        read_proxy(text)
    assert "s3cret" not in str(raised.value)


def test_what_may_be_shown() -> None:
    address = read_proxy("http://user:s3cret@[2001:db8::1]:8")
    assert address.url == "http://[2001:db8::1]:8"
    assert address.place == "[2001:db8::1]:8"
    assert read_proxy("socks5://proxy").is_socks and not address.is_socks

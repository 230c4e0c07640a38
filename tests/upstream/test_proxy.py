"""The proxy of a URL."""

from __future__ import annotations

import pytest

from bm.config.schema import UpstreamProxy
from bm.upstream import proxy
from bm.upstream.proxy import proxy_url

OWN = "http://proxy.example:3128"
FAR = "https://api.far.example/v1"
ENVIRONMENT = {"https": "http://env.example:1", "http": "http://env.example:2", "no": "inside.example, 10.0.0.0/8"}

TABLE = [
    # url, [upstream_proxy] url, no_proxy, environment, through
    (FAR, "", (), {}, ""),
    (FAR, OWN, (), {}, OWN),
    (FAR, OWN, (), ENVIRONMENT, OWN),
    (FAR, "socks5://user:word@proxy.example", (), {}, "socks5://user:word@proxy.example"),
    (FAR, "direct", (), ENVIRONMENT, ""),
    (FAR, "", (), ENVIRONMENT, "http://env.example:1"),
    ("http://api.far.example", "", (), ENVIRONMENT, "http://env.example:2"),
    (FAR, "", (), {"all": "socks5://all.example"}, "socks5://all.example"),
    (FAR, "", (), {"http": "http://env.example:2"}, ""),
    ("https://inside.example", "", (), ENVIRONMENT, ""),
    ("https://deep.inside.example", "", (), ENVIRONMENT, ""),
    ("https://notinside.example", "", (), ENVIRONMENT, "http://env.example:1"),
    ("https://10.1.2.3:8443", "", (), ENVIRONMENT, ""),
    ("https://11.1.2.3", "", (), ENVIRONMENT, "http://env.example:1"),
    ("https://inside.example", OWN, (), ENVIRONMENT, OWN),
    (FAR, "", (), {"https": OWN, "no": "*"}, ""),
    (FAR, OWN, ("far.example",), {}, ""),
    (FAR, OWN, (".far.example",), {}, ""),
    (FAR, OWN, ("*.far.example",), {}, ""),
    (FAR, OWN, ("*",), {}, ""),
    (FAR, OWN, ("API.FAR.EXAMPLE",), {}, ""),
    (FAR, OWN, ("",), {}, OWN),
    (FAR, OWN, ("other.example",), {}, OWN),
    ("https://192.0.2.9", OWN, ("192.0.2.0/24",), {}, ""),
    ("https://192.0.3.9", OWN, ("192.0.2.0/24",), {}, OWN),
    ("https://[2001:db8::9]", OWN, ("2001:db8::/32",), {}, ""),
    ("http://127.0.0.1:9", OWN, (), ENVIRONMENT, ""),
    ("http://localhost:11434/v1", OWN, (), ENVIRONMENT, ""),
    ("http://[::1]:9", OWN, (), {}, ""),
]


@pytest.mark.parametrize(("url", "configured", "no_proxy", "environment", "through"), TABLE)
def test_the_proxy_of_a_url(
    url: str, configured: str, no_proxy: tuple[str, ...], environment: dict[str, str], through: str
) -> None:
    settings = UpstreamProxy(url=configured, no_proxy=no_proxy)
    assert proxy_url(url, settings, environment) == through


def test_the_environment_is_read_when_the_configuration_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://from-the-environment.example:8")
    monkeypatch.setenv("NO_PROXY", "quiet.example")
    proxy._environment_proxies.cache_clear()
    assert proxy_url(FAR, UpstreamProxy()) == "http://from-the-environment.example:8"
    assert proxy_url("https://quiet.example", UpstreamProxy()) == ""

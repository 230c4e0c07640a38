"""The proxy of a URL."""

from __future__ import annotations

import pytest

from bm.config.proxy import read_proxy
from bm.config.schema import UpstreamProxy
from bm.errors import ConfigError
from bm.upstream import proxy
from bm.upstream.proxy import credentials, proxy_for

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
    (FAR, "", (), {"https": "env.example:1"}, "http://env.example:1"),
    (FAR, "", (), {"all": "socks://env.example:1/"}, "socks5://env.example:1"),
    (FAR, OWN, ("api.far.example:443",), {}, ""),
    (FAR, OWN, (".far.example:443",), {}, ""),
    (FAR, OWN, ("far.example:8443",), {}, OWN),
    ("https://api.far.example:8443", OWN, ("far.example:8443",), {}, ""),
    ("http://api.far.example", OWN, ("far.example:80",), {}, ""),
    ("https://192.0.2.9:8443", OWN, ("192.0.2.9:8443",), {}, ""),
    ("https://[2001:db8::9]", OWN, ("[2001:db8::9]:443",), {}, ""),
    ("https://[2001:db8::9]", OWN, ("[2001:db8::9]",), {}, ""),
    ("https://api.far.example.", OWN, ("far.example",), {}, ""),
    (FAR, "", (), {"https": OWN, "no": "a.example b.example  far.example"}, ""),
    ("http://127.0.0.1:9", OWN, (), ENVIRONMENT, ""),
    ("http://localhost:11434/v1", OWN, (), ENVIRONMENT, ""),
    ("http://[::1]:9", OWN, (), {}, ""),
]


@pytest.mark.parametrize(("url", "configured", "no_proxy", "environment", "through"), TABLE)
def test_the_proxy_of_a_url(
    url: str, configured: str, no_proxy: tuple[str, ...], environment: dict[str, str], through: str
) -> None:
    settings = UpstreamProxy(url=configured, no_proxy=no_proxy)
    found = proxy_for(url, settings, environment)
    assert found == (read_proxy(through) if through else None)


def test_the_environment_is_read_when_the_configuration_names_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://from-the-environment.example:8")
    monkeypatch.setenv("NO_PROXY", "quiet.example")
    proxy._environment_proxies.cache_clear()
    proxy._proxy_now.cache_clear()
    assert proxy_for(FAR, UpstreamProxy()) == read_proxy("http://from-the-environment.example:8")
    assert proxy_for("https://quiet.example", UpstreamProxy()) is None


@pytest.mark.parametrize(
    ("settings", "environment", "key"),
    [
        (UpstreamProxy(), {"all": "ftp://word@proxy.example"}, "ALL_PROXY"),
        (UpstreamProxy(), {"https": "http://user:word@"}, "HTTPS_PROXY"),
        (UpstreamProxy(url="http://word@:8"), {}, "upstream_proxy.url"),
    ],
)
def test_an_unusable_proxy_is_named_by_its_variable(
    settings: UpstreamProxy, environment: dict[str, str], key: str
) -> None:
    with pytest.raises(ConfigError, match=key) as raised:
        proxy_for(FAR, settings, environment)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(
    ("proxy", "header"),
    [
        ("http://us\u00e9r:p@ss#x@proxy.example:3128", "Basic dXPDqXI6cEBzcyN4"),
        ("http://token@proxy.example", "Basic dG9rZW46"),
        ("http://proxy.example:3128", None),
    ],
)
def test_the_credentials_of_a_proxy_are_a_header_and_no_part_of_its_url(proxy: str, header: str | None) -> None:
    through = read_proxy(proxy)
    assert dict(credentials(through)).get("proxy-authorization") == header
    assert "@" not in through.url

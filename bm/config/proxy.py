"""The address of a proxy, in the forms in which settings, shells and desktops write it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_MEANT: Final = {"socks": "socks5"}
"""GNOME writes `socks://` into ALL_PROXY and means version 5, as curl and Go read it."""


class ProxyAddress(NamedTuple):
    """A proxy. `user` and `password` are decoded; only `url`, which is without them, may be shown."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def is_socks(self) -> bool:
        """Whether it is a SOCKS proxy, not an HTTP proxy."""
        return self.scheme.startswith("socks")

    @property
    def url(self) -> str:
        """The address without the credentials."""
        return f"{self.scheme}://{self.place}"

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@lru_cache(maxsize=32)
def read_proxy(text: str) -> ProxyAddress:
    """Read the URL of a proxy.

    Without a scheme it is an HTTP proxy, as for curl. Everything before the last `@` is user and password, in which
    characters need not be percent-encoded: `@`, `#` and `/` are common in passwords.

    Raises:
        ValueError: it is none. The message does not contain `text`.
    """
    text = text.strip()
    if not text.isprintable():
        raise ValueError("contains control characters")
    written, separator, rest = text.partition("://")
    if not separator or "@" in written:
        written, rest = "http", text
    scheme = _MEANT.get(written.lower(), written.lower())
    if scheme not in _PORTS:
        raise ValueError("is not the URL of an http, https or socks5 proxy")
    credentials, _, server = rest.rpartition("@")
    if " " in server:
        raise ValueError("contains a space")
    try:
        parts = urlsplit(f"//{server}")
        host, port = parts.hostname or "", parts.port or _PORTS[scheme]
    except ValueError:
        raise ValueError("has no valid host and port") from None
    if not host or parts.query or parts.fragment:
        raise ValueError("has no valid host and port")
    user, _, password = credentials.partition(":")
    user, password = unquote(_quoted(user)), unquote(_quoted(password))
    if scheme.startswith("socks") and not f"{user}{password}".isascii():
        raise ValueError("names a user or password that is not ASCII, which SOCKS proxies do not take")
    return ProxyAddress(scheme, host, port, user, password)


def _quoted(text: str) -> str:
    return quote(text, safe="%")

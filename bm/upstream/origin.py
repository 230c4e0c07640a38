"""Where a URL leads: the server, and what is asked of it."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_ASCII: Final = "".join(map(chr, range(0x21, 0x7F)))


class Origin(NamedTuple):
    """A server: scheme, host in ASCII without brackets, port."""

    scheme: str
    host: str
    port: int

    @property
    def is_secure(self) -> bool:
        """Whether it is spoken to over TLS."""
        return self.scheme == "https"

    @property
    def place(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of `Host`: without the port if it is the scheme's own."""
        place = self.place
        return place.removesuffix(f":{self.port}") if self.port == _PORTS[self.scheme] else place


class Location(NamedTuple):
    """An origin and the target of a request to it. `authorization` is what a user in the URL amounts to."""

    origin: Origin
    target: str
    authorization: str = ""

    @property
    def absolute(self) -> str:
        """The target as HTTP proxies take it."""
        return f"{self.origin.scheme}://{self.origin.host_header}{self.target}"


@lru_cache(maxsize=1024)
def locate(url: str) -> Location:
    """Read a URL. Cached, because it is the same for every request to a target.

    Path and query stay as they are written; only characters outside ASCII are encoded.

    Raises:
        ValueError: it is not an http(s) URL, or contains what could end a request line.
    """
    # `urlsplit` removes line breaks, so they are looked for first.
    if any(character <= " " or character == "\x7f" for character in url):
        raise ValueError("the URL contains a space or a control character")
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("the URL is not an http or https URL")
    origin = Origin(parts.scheme, _ascii(parts.hostname), parts.port or _PORTS[parts.scheme])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authorization = ""
    if parts.username is not None or parts.password is not None:
        user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(user.encode()).decode()
    return Location(origin, quote(target, safe=_ASCII), authorization)


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()

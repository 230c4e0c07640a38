"""The address of the store that several nodes share, as `[shared] url` names it."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Final, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from bm.config.schema import Shared

INSTALL: Final = "pipx install --force 'better-manager[shared]'"
"""The remedy where redis-py is missing."""

Form = Literal["single", "cluster", "sentinel"]

_SCHEMES: Final = {"valkey": False, "redis": False, "valkeys": True, "rediss": True}
"""Whether TLS is used. `redis` and `rediss` are registered with IANA; valkey-py introduced the other two."""
_FORMS: Final[dict[str, Form]] = {"": "single", "cluster": "cluster", "sentinel": "sentinel"}
_PORTS: Final[dict[Form, int]] = {"single": 6379, "cluster": 6379, "sentinel": 26379}
_TLS_FILES: Final = {"ca": "ssl_ca_certs", "cert": "ssl_certfile", "key": "ssl_keyfile"}
"""Names of the query, and what redis-py calls them."""


class StoreAddress(NamedTuple):
    """A store. `user` and `password` are decoded. `service` is the name of the primary that sentinels watch; `files`
    are those of TLS, by the names that redis-py gives them."""

    form: Form
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    user: str = ""
    password: str = ""
    database: int = 0
    service: str = ""
    files: tuple[tuple[str, str], ...] = ()


def node_name(shared: Shared) -> str:
    """What this node is called; a host name may be longer than the 64 characters that a name has."""
    return shared.node or socket.gethostname()[:64]


@lru_cache(maxsize=8)
def read_store(text: str) -> StoreAddress:
    """Read the URL of a store: `valkey://USER:PASSWORD@HOST:PORT/DATABASE`, with `valkeys` for TLS.

    `valkey+cluster://` and `valkey+sentinel://` name several hosts, separated by commas; a path of sentinels is
    `/SERVICE/DATABASE`. Everything before the last `@` is user and password.

    Raises:
        ValueError: it is none. The message does not contain `text`.
    """
    text = text.strip()
    if not text.isprintable() or " " in text:
        raise ValueError("contains spaces or control characters")
    scheme, separator, rest = text.partition("://")
    kind, _, suffix = scheme.lower().partition("+")
    if not separator or kind not in _SCHEMES or suffix not in _FORMS:
        raise ValueError("is not the URL of a Valkey or Redis server")
    form = _FORMS[suffix]
    credentials, _, place = rest.rpartition("@")
    server, _, query = place.partition("?")
    hosts, _, path = server.partition("/")
    user, _, password = credentials.partition(":")
    service, database = _path(form, path)
    return StoreAddress(
        form=form,
        tls=_SCHEMES[kind],
        hosts=tuple(_host(each, _PORTS[form]) for each in hosts.split(",")),
        user=unquote(user),
        password=unquote(password),
        database=database,
        service=service,
        files=_files(query, tls=_SCHEMES[kind]),
    )


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, found = parts.hostname or "", parts.port or port
    except ValueError:
        raise ValueError("has no valid host and port") from None
    if not host:
        raise ValueError("has no valid host and port")
    return host, found


def _path(form: Form, path: str) -> tuple[str, int]:
    service, _, number = path.strip("/").rpartition("/") if form == "sentinel" else ("", "", path.strip("/"))
    if form == "sentinel" and not service:
        # Without a database the whole path is the name.
        service, number = number, ""
    if form == "sentinel" and not service:
        raise ValueError("does not name the service that the sentinels watch")
    if form == "cluster" and number not in ("", "0"):
        raise ValueError("names a database, but a cluster has only one")
    if number and not (number.isascii() and number.isdecimal() and len(number) < 5):
        raise ValueError("ends with a database that is no number")
    return unquote(service), int(number or 0)


def _files(query: str, *, tls: bool) -> tuple[tuple[str, str], ...]:
    given = parse_qsl(query, keep_blank_values=True)
    if given and not tls:
        raise ValueError("names files for TLS, but not valkeys:// or rediss://")
    for name, value in given:
        if name not in _TLS_FILES or not value:
            raise ValueError(f"takes no options but {', '.join(_TLS_FILES)}, each with the path of a PEM file")
    return tuple((_TLS_FILES[name], value) for name, value in given)

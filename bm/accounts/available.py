"""What could be used: the known providers that are not set up, and where their keys are."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from bm.accounts.credentials import LOCAL_KEY_PREFIX
from bm.providers.catalog import KNOWN
from bm.providers.provider import Provider

_LOCAL_WAIT = 0.5
"""Seconds that a server on this machine may take to accept a connection."""


class Available(NamedTuple):
    """A known provider that is not set up. `key` says in words where its key is or comes from."""

    name: str
    state: str
    key: str
    link: str


def available(providers: Sequence[Provider], environ: Mapping[str, str]) -> list[Available]:
    """Those that are ready first: their key is in the environment, or they run on this machine. Blocks."""
    found = [_available(each, environ) for each in providers]
    return sorted(found, key=lambda each: (each.state != "ready", KNOWN.index(each.name)))


def _available(provider: Provider, environ: Mapping[str, str]) -> Available:
    link = provider.console.removeprefix("https://")
    if provider.auth == "none":
        runs = answers(provider)
        return Available(provider.name, "ready" if runs else "not running", "no key needed", link)
    if key_in(environ, provider):
        return Available(provider.name, "ready", f"{provider.key_env} is set", link)
    return Available(provider.name, "needs key", provider.key_env, link)


def key_in(environ: Mapping[str, str], provider: Provider) -> str:
    """The provider's key in the environment; empty if there is none, or only bm's own, which `bm env` sets."""
    found = environ.get(provider.key_env, "").strip() if provider.key_env else ""
    return "" if found.startswith(LOCAL_KEY_PREFIX) else found


def answers(provider: Provider) -> bool:
    """Whether a server on this machine accepts connections. Blocks."""
    address = urlsplit(provider.base_url)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), _LOCAL_WAIT).close()
    except OSError:
        return False
    return True

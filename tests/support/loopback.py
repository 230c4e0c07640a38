"""The network of the tests: this machine and nothing else."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest


class NetworkRefused(RuntimeError):
    """A test tried to leave this machine. No `OSError`, lest the code under test take it for a network fault."""


def is_local(host: object) -> bool:
    """Whether a host, as given to `connect` or `getaddrinfo`, is this machine."""
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def refuse_network(patch: pytest.MonkeyPatch) -> None:
    """Make connecting to, and looking up, any other machine an error that names it.

    Names under `.invalid` fail as they do everywhere (RFC 6761), without asking a resolver.
    """
    connect, connect_ex, lookup = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(sock: socket.socket, address: Any) -> None:
        if sock.family in (socket.AF_INET, socket.AF_INET6) and not is_local(address[0]):
            raise NetworkRefused(f"tests reach only this machine, not {address[0]}:{address[1]}")

    def local_connect(sock: socket.socket, address: Any) -> None:
        check(sock, address)
        connect(sock, address)

    def local_connect_ex(sock: socket.socket, address: Any) -> int:
        check(sock, address)
        return connect_ex(sock, address)

    def local_lookup(host: Any, *args: Any, **options: Any) -> Any:
        if not is_local(host) and not _is_address(host):
            if str(host).endswith(".invalid"):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            raise NetworkRefused(f"tests look up only names of this machine, not {host!r}")
        return lookup(host, *args, **options)

    patch.setattr(socket.socket, "connect", local_connect)
    patch.setattr(socket.socket, "connect_ex", local_connect_ex)
    patch.setattr(socket, "getaddrinfo", local_lookup)


def _is_address(host: object) -> bool:
    try:
        ipaddress.ip_address(str(host))
    except ValueError:
        return False
    return True

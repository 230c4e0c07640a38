"""The address the daemon listens on, and who has it when it cannot be had."""

from __future__ import annotations

import errno
import socket
import sys

from bm.errors import DaemonError

BACKLOG = 2048


class PortError(DaemonError):
    """The configured address cannot be listened on; the text says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on `host` and `port`; port 0 is any free one.

    It listens at once: until then, Linux would let a second process bind the same port.

    Raises:
        PortError: the address is taken, not allowed or not this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise PortError(
            f"[server] host {host!r} is not an address: {getattr(error, 'strerror', None) or error}"
        ) from None
    sock = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortError(_explained(error, host, port)) from None
    return sock


def _explained(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            cure = f"stop it, or take another port: bm config set server.port {port + 1 if port < 65535 else 0}"
            return f"port {port} on {host} is taken by {owner(port)} ({cure})"
        case errno.EACCES:
            return f"port {port} on {host} is not allowed to you (take one above 1023: bm config set server.port 8094)"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine (bm config set server.host 127.0.0.1)"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror or error}"


def owner(port: int) -> str:
    """Who listens on `port`, in words: name and pid, as far as the system tells them to this user."""
    import psutil

    try:
        rows = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        # macOS tells only root; Linux hides other users' processes row by row instead.
        return _owner_among_own(port)
    found = [row for row in rows if row.status == psutil.CONN_LISTEN and row.laddr and row.laddr.port == port]
    pids = [row.pid for row in found if row.pid]
    return _named(psutil.Process(pids[0])) if pids else "a process of another user"


def _owner_among_own(port: int) -> str:
    import psutil

    for process in psutil.process_iter():
        try:
            rows = process.net_connections(kind="tcp")
            if any(row.status == psutil.CONN_LISTEN and row.laddr.port == port for row in rows):
                return _named(process)
        except psutil.Error:
            continue
    return "a process of another user"


def _named(process: object) -> str:
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        words = process.cmdline()
        name = "another bm daemon" if "bm.daemon.main" in words else process.name()
    except psutil.Error:
        name = "a process"
    return f"{name} (pid {process.pid})"

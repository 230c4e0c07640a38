"""The socket the daemon listens on, and which process holds the port when it is taken."""

from __future__ import annotations

import errno
import socket
import sys

from bm.errors import DaemonError

BACKLOG = 2048


class PortError(DaemonError):
    """The configured address is not available. The message says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on `host` and `port`; port 0 takes any free port.

    It listens immediately, because until then Linux lets a second process bind the same port.

    Raises:
        PortError: the address is taken, not permitted or not an address of this machine.
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
            remedy = f"stop it, or use another port: bm config set server.port {port + 1 if port < 65535 else 0}"
            return f"port {port} on {host} is taken by {owner(port)} ({remedy})"
        case errno.EACCES:
            return f"port {port} on {host} is not permitted (use one above 1023: bm config set server.port 8094)"
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine (bm config set server.host 127.0.0.1)"
        case _:
            return f"cannot listen on {host}:{port}: {error.strerror or error}"


def owner(port: int) -> str:
    """The process that listens on `port`: its name and pid, as far as this user may see them."""
    import psutil

    try:
        rows = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        # macOS permits this to root only; Linux hides the processes of other users.
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

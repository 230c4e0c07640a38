"""Ask the daemon; while there is none, ask the same code in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon

PROBE_LIMIT = 300.0
"""Seconds that a question to the providers may take."""


def here() -> Paths:
    """The files of this user, or those below `BM_HOME`."""
    from bm.config.paths import Paths

    return Paths.default(os.environ)


def running(paths: Paths) -> Daemon | None:
    """The daemon that answers; None when there is none."""
    from bm.daemon.client import find

    found = find(paths)
    return found.daemon if found and found.answers else None


def ask(paths: Paths, method: str, path: str, body: Any = None, *, timeout: float = 30.0) -> Any:
    """The answer of the administration, by the daemon or, without one, by this process.

    Raises:
        DaemonError: the daemon refuses or stops answering; the text is its own.
        ConfigError: without a daemon: the configuration cannot be used.
        AccountError: accounts.toml cannot be used.
    """
    daemon = running(paths)
    if daemon is None:
        from bm.cli.offline import ask as ask_here

        return _content(*ask_here(paths, os.environ, method, path, body))
    return ask_daemon(paths, daemon, method, path, body, timeout=timeout)


def ask_daemon(paths: Paths, daemon: Daemon, method: str, path: str, body: Any = None, *, timeout: float = 30.0) -> Any:
    """The answer of a daemon.

    Raises:
        DaemonError: it refuses or stops answering.
        AccountError: accounts.toml, which has its key, cannot be read.
    """
    from bm.accounts.credentials import load
    from bm.daemon.client import ask as ask_there

    key = load(paths.accounts).local_key
    return _content(*ask_there(daemon, method, path, key=key, body=body, timeout=timeout))


def _content(status: int, body: Any) -> Any:
    from bm.errors import DaemonError

    if status >= 400:
        message = body.get("error") if isinstance(body, dict) else None
        raise DaemonError(str(message or f"the daemon answered with status {status}"))
    return body


def reload(paths: Paths) -> None:
    """Have a running daemon take over changed files at once; tell what it objects to.

    Raises:
        DaemonError: the daemon cannot use the files.
    """
    from bm.errors import DaemonError

    daemon = running(paths)
    if daemon is None:
        return
    answer = ask_daemon(paths, daemon, "POST", "/admin/reload")
    if not answer.get("ok"):
        raise DaemonError(f"the daemon goes on with its old settings: {answer.get('error')}")

"""Find the running daemon and send it requests over loopback, without proxies, redirects or slow imports."""

from __future__ import annotations

import hmac
import secrets
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bm.config.files import is_held
from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.runtime import Daemon
from bm.errors import DaemonError

_LARGEST = 64 * 1024 * 1024


class Answer(NamedTuple):
    """A response of the daemon; `body` is the decoded JSON."""

    status: int
    body: Any


class NoAnswer(DaemonError):
    """The daemon does not answer at its address, or something else does."""


def ask(daemon: Daemon, method: str, path: str, *, key: str = "", body: Any = None, timeout: float = 5.0) -> Answer:
    """Send one request. `timeout` is the longest silence in seconds.

    Raises:
        NoAnswer: the connection fails or times out, or the response is not JSON.
    """
    import http.client

    headers = {"accept": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    payload = None
    if body is not None:
        headers["content-type"] = "application/json"
        payload = msgspec.json.encode(body)
    connection = http.client.HTTPConnection(daemon.address, daemon.port, timeout=timeout)
    try:
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        content = response.read(_LARGEST)
        return Answer(response.status, msgspec.json.decode(content) if content else None)
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise NoAnswer(f"{daemon.url} does not answer: {reason}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NoAnswer(f"{daemon.url} does not answer as bm does") from None
    finally:
        connection.close()


_LOST, _POLL = 1.5, 0.05
"""Seconds for which a lost daemon.json is waited for, and between two looks at it."""
PATIENCE = 2.0
"""Seconds a health check may take."""


class Found(msgspec.Struct, frozen=True):
    """A running daemon. If it does not answer it is starting, stopping or stuck."""

    daemon: Daemon
    answers: bool


def find(paths: Paths, timeout: float = PATIENCE) -> Found | None:
    """The daemon of these paths; None if there is none, even if a crash or reboot left a daemon.json."""
    daemon = runtime.read(paths.runtime) or _written_again(paths)
    if daemon is None:
        return None
    if is_answering(daemon, timeout):
        return Found(daemon, answers=True)
    return Found(daemon, answers=False) if runtime.same_process(daemon) else None


def _written_again(paths: Paths) -> Daemon | None:
    """The content of a lost daemon.json, which a running daemon writes again within a second."""
    deadline = time.monotonic() + _LOST
    while is_held(paths.lock) and time.monotonic() < deadline:
        time.sleep(_POLL)
        if daemon := runtime.read(paths.runtime):
            return daemon
    return None


def is_answering(daemon: Daemon, timeout: float = PATIENCE) -> bool:
    """Whether this process answers on its port, and not another server or another bm, which would get the key."""
    challenge = secrets.token_hex(16)
    try:
        answer = ask(daemon, "GET", f"/healthz?challenge={challenge}", timeout=timeout)
    except NoAnswer:
        return False
    proof = answer.body.get("proof") if isinstance(answer.body, dict) else None
    return isinstance(proof, str) and hmac.compare_digest(proof.encode(), daemon.proof(challenge).encode())

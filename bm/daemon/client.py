"""Find the running daemon and send it requests over loopback, without proxies, redirects or slow imports."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from bm.config.files import is_held
from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.runtime import Daemon
from bm.errors import UNREADABLE, DaemonError

if TYPE_CHECKING:
    import http.client

_LARGEST = 64 * 1024 * 1024


class Answer(NamedTuple):
    """A response of the daemon; `body` is the decoded JSON."""

    status: int
    body: Any


class Response(NamedTuple):
    """A response as it arrived: header names are in lower case, and a body that was cut off is incomplete."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(DaemonError):
    """The daemon does not answer at its address, or something else does."""


def send(
    daemon: Daemon,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    key: str = "",
    timeout: float,
) -> Response:
    """Send one request. `timeout` is the longest silence in seconds.

    Raises:
        NoAnswer: the connection fails or times out.
    """
    import http.client

    given = {**headers, "authorization": f"Bearer {key}"} if key else headers
    connection = _connection(daemon, timeout)
    try:
        connection.request(method, path, body, given)
        response = connection.getresponse()
        try:
            content = response.read(_LARGEST)
        except http.client.IncompleteRead as cut:
            content = cut.partial
        return Response(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"{daemon.url} does not answer: {str(error) or type(error).__name__}") from None
    finally:
        connection.close()


def _connection(daemon: Daemon, timeout: float) -> http.client.HTTPConnection:
    """A connection to the daemon. Its certificate is for the names that others use, and may have expired or be about to
    be replaced, so it says nothing here: the daemon proves who it is by its token (`is_answering`)."""
    import http.client

    if not daemon.tls:
        return http.client.HTTPConnection(daemon.address, daemon.port, timeout=timeout)
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(daemon.address, daemon.port, timeout=timeout, context=context)


def ask(daemon: Daemon, method: str, path: str, *, key: str = "", body: Any = None, timeout: float = 5.0) -> Answer:
    """Send JSON, unless `body` is None, and read JSON.

    Raises:
        NoAnswer: the connection fails or times out, or the response is not JSON.
    """
    headers = {"accept": "application/json"}
    payload = None
    if body is not None:
        headers["content-type"] = "application/json"
        payload = msgspec.json.encode(body)
    found = send(daemon, method, path, payload, headers, key=key, timeout=timeout)
    try:
        return Answer(found.status, msgspec.json.decode(found.body) if found.body else None)
    except UNREADABLE:
        raise NoAnswer(f"{daemon.url} does not answer as bm does") from None


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
    later = runtime.read(paths.runtime)
    if later and later.token != daemon.token and is_answering(later, timeout):
        # It has handed over just now.
        return Found(later, answers=True)
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

"""Whether a daemon runs, by its own word and the system's."""

from __future__ import annotations

import msgspec

from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.client import NoAnswer, ask
from bm.daemon.runtime import Daemon

PATIENCE = 2.0
"""Seconds a health check may take."""


class Found(msgspec.Struct, frozen=True):
    """A daemon that exists. One that does not answer is starting, ending or stuck."""

    daemon: Daemon
    answers: bool


def find(paths: Paths, timeout: float = PATIENCE) -> Found | None:
    """The daemon of these paths; a daemon.json that a crash or a reboot left behind is not taken for one."""
    daemon = runtime.read(paths.runtime)
    if daemon is None:
        return None
    if is_answering(daemon, timeout):
        return Found(daemon, answers=True)
    return Found(daemon, answers=False) if runtime.same_process(daemon) else None


def is_answering(daemon: Daemon, timeout: float = PATIENCE) -> bool:
    """Whether this very run answers on its port; another server there, even another bm, does not count."""
    try:
        answer = ask(daemon, "GET", "/healthz", timeout=timeout)
    except NoAnswer:
        return False
    return isinstance(answer.body, dict) and answer.body.get("instance") == daemon.fingerprint

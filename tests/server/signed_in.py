"""A browser signed in to the dashboard, as an HTTP client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.daemon import Daemon


@contextmanager
def stranger(daemon: Daemon) -> Iterator[httpx.Client]:
    """A client without a key."""
    with httpx.Client(base_url=daemon.url, timeout=20, trust_env=False, verify=False) as http:
        yield http


@contextmanager
def signed_in(daemon: Daemon, **shown: Any) -> Iterator[httpx.Client]:
    """A client with a session, opened by the key or by `shown`."""
    with stranger(daemon) as http:
        answer = http.post("/admin/session", json=shown or {"key": daemon.key})
        assert answer.status_code == 200, answer.text
        http.headers["x-bm-session"] = answer.json()["session"]
        yield http


def cookie_of(http: httpx.Client) -> dict[str, str]:
    """The browser's half of the session, for another client."""
    return {"cookie": "; ".join(f"{name}={value}" for name, value in http.cookies.items())}


def new_code(daemon: Daemon) -> str:
    """A code, as `bm dashboard` requests it."""
    with stranger(daemon) as http:
        code: str = http.post("/admin/session/code", headers={"x-api-key": daemon.key}).json()["code"]
    return code

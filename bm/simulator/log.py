"""What the simulator received, and how far it came with the answer."""

from __future__ import annotations

from typing import Any

import msgspec

_SECRET = ("authorization", "x-api-key", "x-goog-api-key", "proxy-authorization", "cookie")
TAIL = 6
"""How many characters of a key name its account."""


class Record(msgspec.Struct, kw_only=True):
    """One request. Times are seconds since the simulator started.

    `events` counts what was sent of the stream (a whole body counts as one); `aborted` means that the client
    left before the end; `duration` is None while the answer is under way.
    """

    number: int
    t: float
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    account: str
    body: Any
    api: str = ""
    operation: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    refusal: str = ""
    events: int = 0
    aborted: bool = False
    duration: float | None = None


def masked(headers: dict[str, str]) -> dict[str, str]:
    """`headers` without any credential."""
    return {name: "***" if name in _SECRET else value for name, value in headers.items()}


def tail(key: str) -> str:
    """The end of a key, by which an account is named in the log."""
    return key[-TAIL:]

"""What usage can be told by."""

from __future__ import annotations

from typing import Literal

import msgspec

By = Literal["provider", "model", "account", "day"]
"""`model` is the one that answered, `day` one of local time."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Its fields up to `dropped` are the columns of `requests`.

    `at` is Unix time; `first_content` and `took` are seconds since the request came in, the former None when no
    content came. `provider`, `account` and `upstream_model` are those that answered, or were tried last when none
    did; empty when none was tried. `failure` is the kind of failure, empty for a request that was answered. `cost`
    is in US dollars at list price, None when no price is known. `dropped` names the fields of the request that the
    target could not take, with commas. `decision` is a JSON document.
    """

    id: str
    at: float
    protocol: str
    operation: str
    model: str
    provider: str
    account: str
    upstream_model: str
    stream: bool
    status: int
    finish: str
    failure: str
    attempts: int
    first_content: float | None
    took: float
    input: int
    cache_read: int
    cache_write: int
    output: int
    thinking: int
    cost: float | None
    passed_through: bool
    dropped: str
    decision: bytes = b""


COLUMNS = tuple(name for name in Entry.__struct_fields__ if name != "decision")
"""The columns of `requests`."""

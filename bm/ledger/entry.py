"""An entry of the ledger: one request, and the decisions behind its response."""

from __future__ import annotations

import msgspec

from bm.names import MAIN_KEY


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One request. Its fields up to `tool` are the columns of `requests`.

    `at` is Unix time. `first_content` and `took` are seconds since the request arrived; `first_content` is None if
    there was no content. `provider`, `account` and `upstream_model` name the target that answered, else the last one
    tried; they are empty if none was tried. `failure` is the kind of failure, empty for an answered request. `cost`
    is in US dollars at list price, None if the price is unknown. `dropped` is a comma-separated list of the request's
    fields that the target does not support. `key` is the name of the client's key, `tool` is what the client's user
    agent names, empty if it names nothing. `decision` is a JSON document.
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
    key: str = MAIN_KEY
    tool: str = ""
    decision: bytes = b""


LARGEST = 2**63 - 1
"""The largest number that the ledger stores: counts of services may be anything."""

COLUMNS = tuple(name for name in Entry.__struct_fields__ if name != "decision")
"""The columns of `requests`."""

FLAGS = ("stream", "passed_through")
"""Those that SQLite keeps as numbers."""

"""Ledger entries for tests."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.ledger.entry import Entry

_PLAIN = Entry(
    id="req_1",
    at=2_000_000_000.0,
    protocol="anthropic",
    operation="generate",
    model="claude-sonnet-5",
    provider="gemini",
    account="main",
    upstream_model="gemini-3.8-flash",
    stream=True,
    status=200,
    finish="stop",
    failure="",
    attempts=1,
    first_content=0.5,
    took=1.5,
    input=10,
    cache_read=4,
    cache_write=2,
    output=20,
    thinking=5,
    cost=0.25,
    passed_through=False,
    dropped="",
    decision=b'{"id":"req_1"}',
)


def entry(**fields: Any) -> Entry:
    """An answered request, changed by `fields`."""
    decision = {"decision": msgspec.json.encode({"id": fields["id"]})} if "id" in fields else {}
    return msgspec.structs.replace(_PLAIN, **(decision | fields))

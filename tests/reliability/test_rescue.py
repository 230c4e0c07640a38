"""The stream of one call over several targets: what is asked of the next one, and what the client is told."""

from __future__ import annotations

import json
from typing import Any

from bm.accounts.access import Access
from bm.chat.parts import Json
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.lane import Lane
from bm.gateway.rescue import Rescue
from tests.gateway.matrix import providers
from tests.gateway.test_lane import lanes

OTHER = Target("gemini", "two", "gemini-3.8-flash", "gemini")
"""Another model of the pool, which takes no beginning of an answer, as the first."""
CUT = Failure(kind="truncated", message="the connection broke")
REFUSED = Failure(kind="bad_request", message="This model does not support assistant message prefill.")
HELLO = {"model": "asked", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], "stream": True}
PREFIX = Target("gemini", "one", "gemini-2.5-flash", "gemini")


def rescue(body: Json | None = None, *, on: bool = True, **more: Any) -> Rescue:
    given = lanes(body=json.dumps(body or HELLO).encode(), **({"stream": True} | more))
    return Rescue(given, on=on)


def prepared(given: Rescue, target: Target, **options: bool) -> Lane:
    return given.prepare(target, providers()[target.provider], Access(key="upstream-key"), **options)

"""What the log tells, and what it keeps to itself."""

from __future__ import annotations

import httpx
import pytest

from bm.simulator import Simulator
from bm.simulator.log import masked, tail

SECRET = "a-very-secret-key-123456"


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"x-api-key": SECRET}, {}),
        ({"authorization": f"Bearer {SECRET}"}, {}),
        ({"x-goog-api-key": SECRET}, {}),
        ({}, {"key": SECRET}),
    ],
)
def test_a_key_shows_only_its_tail(sim: Simulator, headers: dict[str, str], query: dict[str, str]) -> None:
    httpx.post(f"{sim.url}/v1beta/models/gemini-2.5-flash:countTokens", headers=headers, params=query, json={})
    log = httpx.get(f"{sim.url}/__sim/log")
    assert SECRET not in log.text
    assert log.json()[0]["account"] == "123456"


def test_other_headers_are_shown() -> None:
    assert masked({"user-agent": "a", "cookie": "b"}) == {"user-agent": "a", "cookie": "***"}


def test_a_short_key_is_its_own_tail() -> None:
    assert tail("abc") == "abc"

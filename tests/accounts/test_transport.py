"""Requests of google-auth go through the daemon's loop, and end when it does."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest
from google.auth.exceptions import TransportError

from bm.accounts.transport import Fetched, FetchRequest, Transport
from bm.errors import Failure

URL = "https://example.invalid/token"


async def test_an_answer_and_what_it_tells_of_clocks() -> None:
    seen: list[FetchRequest] = []

    async def fetch(request: FetchRequest) -> Fetched:
        seen.append(request)
        return Fetched(status=418, headers={"date": formatdate(1_000_090, usegmt=True)}, body=b"tea")

    transport = Transport(fetch, asyncio.get_running_loop(), wall=lambda: 1_000_000.0)
    answer = await asyncio.to_thread(transport, URL, "POST", b"planted", {"a": "b"})
    assert (answer.status, answer.data, transport.status, transport.skew) == (418, b"tea", 418, 90.0)
    assert (seen[0].method, seen[0].url, seen[0].body) == ("POST", URL, b"planted")
    assert "planted" not in repr(seen[0])


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_without_a_date_clocks_agree(date: str) -> None:
    async def fetch(request: FetchRequest) -> Fetched:
        return Fetched(status=200, headers={"date": date}, body=b"")

    transport = Transport(fetch, asyncio.get_running_loop())
    await asyncio.to_thread(transport, URL)
    assert transport.skew == 0.0


async def test_no_answer_is_google_auths_own_error() -> None:
    async def fetch(request: FetchRequest) -> Failure:
        return Failure(kind="connection", message="no way")

    transport = Transport(fetch, asyncio.get_running_loop())
    with pytest.raises(TransportError, match="no way"):
        await asyncio.to_thread(transport, URL)
    assert transport.failure == Failure(kind="connection", message="no way")


async def silent(request: FetchRequest) -> Fetched:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits that long")


async def test_silence_has_a_limit() -> None:
    transport = Transport(silent, asyncio.get_running_loop())
    with pytest.raises(TransportError, match="no answer within"):
        await asyncio.to_thread(lambda: transport(URL, timeout=0.05))


async def test_stopping_ends_the_wait() -> None:
    transport = Transport(silent, asyncio.get_running_loop())
    waiting = asyncio.ensure_future(asyncio.to_thread(transport, URL))
    await asyncio.sleep(0.05)
    transport.stop()
    with pytest.raises(TransportError, match="stopping"):
        await waiting
    with pytest.raises(TransportError, match="stopping"):
        await asyncio.to_thread(transport, URL)

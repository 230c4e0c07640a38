"""Access tokens by google-auth, and its requests through the daemon's event loop."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from pathlib import Path

import pytest
from google.auth.exceptions import TransportError

from bm.accounts.account import Account
from bm.accounts.google import (
    CLOUD,
    RETRIEVER,
    Fetch,
    Fetched,
    FetchRequest,
    Grant,
    TokenError,
    Transport,
    obtain,
    scopes_of,
)
from bm.errors import Failure
from bm.simulator import OAuth, Simulator
from tests.support.google import person, robot


async def obtained(account: Account, fetch: Fetch) -> Grant:
    transport = Transport(fetch, asyncio.get_running_loop())
    return await asyncio.to_thread(obtain, account, transport, {})


async def failure_of(account: Account, fetch: Fetch) -> Failure:
    with pytest.raises(TokenError) as caught:
        await obtained(account, fetch)
    return caught.value.failure


def test_vertex_needs_less_than_the_gemini_api() -> None:
    assert (scopes_of("global"), scopes_of("")) == ((CLOUD,), (CLOUD, RETRIEVER))


async def test_a_grant(sim: Simulator, fetch: Fetch) -> None:
    grant = await obtained(person(sim), fetch)
    assert 3500 < grant.lifetime <= 3599
    assert (grant.billed, grant.refresh_token) == ("project-one", "")
    assert grant.token not in repr(grant)


async def test_a_replaced_refresh_token_is_part_of_it(sim: Simulator, fetch: Fetch) -> None:
    sim.script(oauth=OAuth(rotate=True))
    account = person(sim)
    grant = await obtained(account, fetch)
    assert grant.refresh_token not in ("", account.key)


async def test_failures_of_the_endpoint_and_of_the_account_are_distinguished(
    sim: Simulator, fetch: Fetch, tmp_path: Path
) -> None:
    account = person(sim)
    sim.script(oauth=OAuth(fault="down"))
    assert (await failure_of(account, fetch)).kind == "connection"
    sim.script(oauth=OAuth(fault="invalid_grant"))
    assert (await failure_of(account, fetch)).kind == "upstream_auth"
    assert "bm accounts verify robot" in (await failure_of(robot(tmp_path / "k", sim), fetch)).message


async def test_an_unresolved_client_secret_is_the_accounts_fault(sim: Simulator, fetch: Fetch) -> None:
    account = person(sim)
    assert account.client is not None
    gone = Account(
        name="me", kind="google_oauth", key=account.key, client=type(account.client)(id="c", secret="env:NOT_SET")
    )
    failure = await failure_of(gone, fetch)
    assert failure.kind == "upstream_auth" and "NOT_SET" in failure.message


PAGE = b"<html>Log in to this network</html>"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((status, PAGE) for status in (200, 302, 403, 511)),
        (200, b""),
        (200, b"\xff\xfe"),
        (200, b"[]"),
        (200, b'"token"'),
        (200, b"{}"),
        (200, b'{"access_token": null}'),
        (200, b'{"access_token": ""}'),
        (200, b'{"access_token": 5}'),
        (200, b'{"access_token": "a\\r\\nx-evil: 1"}'),
        (200, b'{"access_token": "a", "expires_in": "soon"}'),
        (200, b'{"access_token": "a", "expires_in": 1e30}'),
        (200, b'{"access_token": "a", "expires_in": 1e400}'),
        (200, b'{"access_token": "a", "expires_in": {}}'),
    ],
)
async def test_a_response_that_is_not_oauth_is_not_the_accounts_fault(
    sim: Simulator, tmp_path: Path, status: int, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(request: FetchRequest) -> Fetched:
        return Fetched(status=status, headers={}, body=body)

    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    for account in (person(sim), robot(tmp_path / "key.json", sim)):
        failure = await failure_of(account, page)
        assert failure.kind == "connection", failure
        assert status >= 500 or "not in terms of OAuth" in failure.message


URL = "https://example.invalid/token"


async def test_a_response_and_the_skew_of_its_clock() -> None:
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
async def test_without_a_date_there_is_no_skew(date: str) -> None:
    async def fetch(request: FetchRequest) -> Fetched:
        return Fetched(status=200, headers={"date": date}, body=b"")

    transport = Transport(fetch, asyncio.get_running_loop())
    await asyncio.to_thread(transport, URL)
    assert transport.skew == 0.0


async def test_no_response_is_a_transport_error_of_google_auth() -> None:
    async def fetch(request: FetchRequest) -> Failure:
        return Failure(kind="connection", message="no way")

    transport = Transport(fetch, asyncio.get_running_loop())
    with pytest.raises(TransportError, match="no way"):
        await asyncio.to_thread(transport, URL)
    assert transport.failure == Failure(kind="connection", message="no way")


async def silent(request: FetchRequest) -> Fetched:
    await asyncio.sleep(60)
    raise AssertionError("it is cancelled before")


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

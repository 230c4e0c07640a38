"""What google-auth raises becomes a failure with a cure; what it gives becomes a grant."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bm.accounts.account import Account
from bm.accounts.google import CLOUD, RETRIEVER, Grant, TokenError, obtain, scopes_of
from bm.accounts.transport import Fetch, Fetched, FetchRequest, Transport
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


async def test_the_kinds_of_trouble_are_told_apart(sim: Simulator, fetch: Fetch, tmp_path: Path) -> None:
    account = person(sim)
    sim.script(oauth=OAuth(fault="down"))
    assert (await failure_of(account, fetch)).kind == "connection"
    sim.script(oauth=OAuth(fault="invalid_grant"))
    assert (await failure_of(account, fetch)).kind == "upstream_auth"
    assert "bm accounts verify robot" in (await failure_of(robot(tmp_path / "k", sim), fetch)).message


async def test_a_client_secret_that_is_not_there_is_the_accounts_trouble(sim: Simulator, fetch: Fetch) -> None:
    account = person(sim)
    assert account.client is not None
    gone = Account(
        name="me", kind="google_oauth", key=account.key, client=type(account.client)(id="c", secret="env:NOT_SET")
    )
    failure = await failure_of(gone, fetch)
    assert failure.kind == "upstream_auth" and "NOT_SET" in failure.message


@pytest.mark.parametrize("status", [200, 302, 403, 511])
@pytest.mark.parametrize("body", [b"<html>log in to this network</html>", b"\xff\xfe", b"[]", b'"text"', b"{}"])
async def test_a_page_of_somebody_else_is_not_the_accounts_trouble(
    sim: Simulator, tmp_path: Path, status: int, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def page(request: FetchRequest) -> Fetched:
        return Fetched(status=status, headers={}, body=body)

    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    for account in (person(sim), robot(tmp_path / "key.json", sim)):
        failure = await failure_of(account, page)
        assert failure.kind == "connection", failure

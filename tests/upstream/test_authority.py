"""Requests for tokens keep to the proxy and the limits of the configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bm.accounts.google import Fetched, FetchRequest
from bm.config.schema import Config, Timeouts, UpstreamProxy
from bm.errors import Failure
from bm.simulator import OAuth, Simulator
from bm.upstream.authority import fetcher
from bm.upstream.client import UpstreamClient, UpstreamRequest, UpstreamResponse


@pytest.fixture
async def client() -> AsyncIterator[UpstreamClient]:
    made = UpstreamClient()
    yield made
    await made.close()


def request(url: str) -> FetchRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return FetchRequest(method="POST", url=url, headers=headers, body=b"grant_type=x")


async def test_an_answer_of_any_status(client: UpstreamClient) -> None:
    with Simulator() as sim:
        found = await fetcher(client, Config)(request(f"{sim.url}/oauth/token"))
    assert isinstance(found, Fetched)
    assert found.status == 400 and b"unsupported_grant_type" in found.body and found.headers["date"]


async def test_what_keeps_it_from_being_answered_is_a_value(client: UpstreamClient) -> None:
    with Simulator() as sim:
        sim.script(oauth=OAuth(fault="down"))
        found = await fetcher(client, Config)(request(f"{sim.url}/oauth/token"))
    assert isinstance(found, Failure) and found.kind == "connection"


async def test_a_bundle_that_cannot_be_read_is_no_crash(client: UpstreamClient, tmp_path: object) -> None:
    config = Config(upstream_proxy=UpstreamProxy(ca_bundle=f"{tmp_path}/none.pem"))
    found = await fetcher(client, lambda: config)(request("https://example.invalid/token"))
    assert isinstance(found, Failure) and "none.pem" in found.message


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://oauth2.googleapis.com/token", "http://proxy.invalid:1"),
        ("http://169.254.169.254/computeMetadata/v1/", "direct"),
        ("http://metadata.google.internal/computeMetadata/v1/", "direct"),
    ],
)
async def test_a_proxy_is_for_all_but_the_own_machines_metadata(
    client: UpstreamClient, monkeypatch: pytest.MonkeyPatch, url: str, proxy: str
) -> None:
    seen: list[str] = []

    async def refuse(sent: UpstreamRequest, timeouts: Timeouts, through: UpstreamProxy) -> UpstreamResponse:
        seen.append(through.url)
        raise OSError

    monkeypatch.setattr(client, "open", refuse)
    config = Config(upstream_proxy=UpstreamProxy(url="http://proxy.invalid:1"))
    with pytest.raises(OSError):
        await fetcher(client, lambda: config)(request(url))
    assert seen == [proxy]

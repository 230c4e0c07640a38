"""Trust: a private authority, names, sessions that are taken up again."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from bm.config.schema import Timeouts, UpstreamProxy
from bm.upstream.client import UpstreamClient, UpstreamError, UpstreamRequest
from bm.upstream.tls import tls_context
from tests.upstream.certificates import Authority
from tests.upstream.wire import Exchange, serving

PATIENT = Timeouts(connect=5, first_byte=5, idle=5)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


async def ok(exchange: Exchange) -> None:
    await exchange.answer(200, b"fine")


async def fetched(client: UpstreamClient, url: str, bundle: Path | str = "") -> bytes:
    settings = UpstreamProxy(url="direct", ca_bundle=str(bundle))
    return (await client.fetch(UpstreamRequest("acme", "POST", url, []), PATIENT, settings, limit=100)).body


async def test_a_private_authority_is_trusted_only_where_it_is_configured(
    client: UpstreamClient, authority: Authority
) -> None:
    async with serving(ok, authority.server("localhost")) as server:
        url = f"https://localhost:{server.port}"
        assert await fetched(client, url, authority.bundle) == b"fine"
        assert await fetched(client, url, authority.bundle) == b"fine"
        assert server.connections == 1
        with pytest.raises(UpstreamError) as caught:
            await fetched(client, url)
    assert (caught.value.failure.kind, caught.value.failure.code) == ("connection", "tls")
    assert "unable to get local issuer certificate (if it is your company's proxy" in caught.value.failure.message


async def test_a_certificate_of_another_name_is_refused(client: UpstreamClient, authority: Authority) -> None:
    async with serving(ok, authority.server("elsewhere.example")) as server:
        with pytest.raises(UpstreamError) as caught:
            await fetched(client, f"https://localhost:{server.port}", authority.bundle)
    assert caught.value.failure.code == "tls" and "localhost" in caught.value.failure.message


async def test_the_server_learns_the_name_that_is_asked_for(client: UpstreamClient, authority: Authority) -> None:
    names: list[str | None] = []
    context = authority.server("localhost")
    context.sni_callback = lambda _, name, __: names.append(name)
    async with serving(ok, context) as server:
        await fetched(client, f"https://localhost:{server.port}", authority.bundle)
    assert names == ["localhost"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_is_taken_up_again(authority: Authority, version: ssl.TLSVersion) -> None:
    context = authority.server("localhost")
    context.maximum_version = version
    resumed: list[bool] = []

    async def handler(exchange: Exchange) -> None:
        resumed.append(exchange.writer.get_extra_info("ssl_object").session_reused)
        await exchange.answer(200, b"fine", "connection: keep-alive")

    tls_context.cache_clear()
    async with serving(handler, context) as server:
        for _ in range(3):
            client = UpstreamClient()
            assert await fetched(client, f"https://localhost:{server.port}", authority.bundle) == b"fine"
            await client.close()
    assert resumed == [False, True, True]


async def test_large_bodies_go_both_ways(client: UpstreamClient, authority: Authority) -> None:
    body = bytes(range(256)) * 16 * 1024

    async def echo(exchange: Exchange) -> None:
        await exchange.answer(200, exchange.body)

    async with serving(echo, authority.server("localhost")) as server:
        request = UpstreamRequest("acme", "POST", f"https://localhost:{server.port}", [], body)
        settings = UpstreamProxy(url="direct", ca_bundle=str(authority.bundle))
        response = await client.open(request, PATIENT, settings)
        await asyncio.sleep(0.05)
        assert await response.read(len(body)) == body
        response.close()


@pytest.mark.parametrize("framing", ["content-length: 9\r\n", "transfer-encoding: chunked\r\n"])
async def test_an_end_without_notice_is_no_end_of_a_response(
    client: UpstreamClient, authority: Authority, framing: str
) -> None:
    async def cut(exchange: Exchange) -> None:
        await exchange.raw(f"HTTP/1.1 200 X\r\n{framing}\r\n", "3\r\nabc\r\n")
        await asyncio.sleep(0.02)
        exchange.reset()

    async with serving(cut, authority.server("localhost")) as server:
        with pytest.raises(UpstreamError) as caught:
            await fetched(client, f"https://localhost:{server.port}", authority.bundle)
    assert caught.value.failure.kind == "truncated"


def test_contexts_are_shared_and_check_certificates(authority: Authority) -> None:
    context = tls_context(str(authority.bundle))
    assert context is tls_context(str(authority.bundle)) and context is not tls_context("")
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert context.verify_flags == ssl.create_default_context().verify_flags
    assert context.minimum_version == ssl.create_default_context().minimum_version
    assert context.options == ssl.create_default_context().options

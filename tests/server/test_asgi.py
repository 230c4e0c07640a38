"""Request bodies within their limit, responses over ASGI, and the headers of JSON responses."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence

import pytest
from starlette.types import Message

from bm.errors import RequestError
from bm.server.asgi import AsgiClient, ClientGone, read_body
from tests.gateway.world import World
from tests.support.zstd import zstd

MIB = 1024 * 1024


async def read(pieces: Sequence[bytes], **headers: str) -> bytes:
    """Read a body that arrives in these chunks."""
    left = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]
    left.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return left.pop(0)

    return await read_body(receive, {name.replace("_", "-"): value for name, value in headers.items()}, 1)


async def failure(pieces: Sequence[bytes], **headers: str) -> tuple[str, int, str]:
    with pytest.raises(RequestError) as caught:
        await read(pieces, **headers)
    found = caught.value.failure
    return found.kind, found.http_status, found.message


@pytest.mark.parametrize("pieces", [[b""], [b"one"], [b"one", b" two", b" three"]])
async def test_chunks_are_joined(pieces: list[bytes]) -> None:
    assert await read(pieces) == b"".join(pieces)


async def test_a_body_of_the_limit_is_accepted() -> None:
    assert len(await read([b"x" * MIB])) == MIB


@pytest.mark.parametrize("pieces", [[b"x" * (MIB + 1)], [b"x" * MIB, b"x"]])
async def test_a_larger_body_is_refused(pieces: list[bytes]) -> None:
    kind, status, message = await failure(pieces)
    assert (kind, status) == ("too_large", 413) and "1 MiB" in message and "server.max_body_mb" in message


async def test_a_larger_declared_length_is_refused_without_reading() -> None:
    with pytest.raises(RequestError):
        await read([], content_length=str(MIB + 1))


@pytest.mark.parametrize("length", ["", "x", "-5", "3"])
async def test_other_declared_lengths_are_ignored(length: str) -> None:
    assert await read([b"abc"], content_length=length) == b"abc"


@pytest.mark.parametrize("encoding", ["identity", "gzip", "GZIP ", "deflate"])
async def test_encodings(encoding: str) -> None:
    body = {"gzip": gzip.compress(b"plain"), "deflate": zlib.compress(b"plain")}.get(encoding.strip().lower(), b"plain")
    assert await read([body], content_encoding=encoding) == b"plain"


async def test_several_zstd_frames_are_one_body() -> None:
    assert await read([zstd.compress(b"pl"), zstd.compress(b"ain")], content_encoding="zstd") == b"plain"


async def test_the_limit_applies_to_the_decompressed_body() -> None:
    assert len(await read([zstd.compress(b"x" * MIB)], content_encoding="zstd")) == MIB
    kind, status, _ = await failure([zstd.compress(b"x" * (MIB + 1))], content_encoding="zstd")
    assert (kind, status) == ("too_large", 413)
    assert len(await read([gzip.compress(b"x" * MIB)], content_encoding="gzip")) == MIB
    kind, status, _ = await failure([gzip.compress(b"x" * (MIB + 1))], content_encoding="gzip")
    assert (kind, status) == ("too_large", 413)


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        pytest.param(b"plain", "gzip", 400, id="plain"),
        pytest.param(gzip.compress(b"plain", mtime=0)[:-1], "gzip", 400, id="cut"),
        pytest.param(b"", "gzip", 400, id="empty"),
        pytest.param(b"x", "zstd", 400, id="no-zstd"),
        pytest.param(zstd.compress(b"plain")[:-1], "zstd", 400, id="cut-zstd"),
        pytest.param(b"x", "br", 415, id="unknown-encoding"),
    ],
)
async def test_a_body_that_cannot_be_decompressed(body: bytes, encoding: str, status: int) -> None:
    kind, found, message = await failure([body], content_encoding=encoding)
    assert (kind, found) == ("bad_request", status) and encoding in message


async def test_a_disconnect() -> None:
    left: list[Message] = [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return left.pop(0)

    with pytest.raises(ClientGone):
        await read_body(receive, {}, 1)


async def _never() -> Message:
    """Wait for a message that does not come."""
    await asyncio.Event().wait()
    raise AssertionError


class Wire:
    """Collects sent messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)


async def test_a_stream() -> None:
    wire = Wire()
    client = AsgiClient(_never, wire)
    assert client.status == 0
    await client.start(200, [("content-type", "text/event-stream")])
    await client.send(b"one")
    await client.send(b"two")
    await client.end()
    assert client.status == 200
    assert wire.messages == [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]},
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]


async def test_a_complete_response_has_its_length() -> None:
    wire = Wire()
    await AsgiClient(_never, wire).respond(404, [("a", "b")], b"gone")
    assert wire.messages[0]["headers"] == [(b"a", b"b"), (b"content-length", b"4")]
    assert wire.messages[1] == {"type": "http.response.body", "body": b"gone", "more_body": False}


@pytest.mark.parametrize(("value", "sent"), [("naïve", b"na\xefve"), ("模型", b"\\u6a21\\u578b")])
async def test_any_name_can_be_a_header_value(value: str, sent: bytes) -> None:
    wire = Wire()
    await AsgiClient(_never, wire).start(200, [("x-bm-model", value)])
    assert wire.messages[0]["headers"] == [(b"x-bm-model", sent)]


async def test_a_response_is_cut_by_omitting_its_end() -> None:
    wire = Wire()
    client = AsgiClient(_never, wire)
    await client.start(200, [])
    await client.cut()
    assert (client.is_cut, len(wire.messages)) == (True, 1)


@pytest.mark.parametrize("path", ["/healthz", "/admin/status", "/admin/nothing", "/admin/requests?limit=0"])
def test_json_responses_are_not_cached_or_sniffed(world: World, path: str) -> None:
    headers = world.http.get(path).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "application/json"
    assert "access-control-allow-origin" not in headers

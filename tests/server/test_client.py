"""The way back to a caller."""

from __future__ import annotations

import pytest
from starlette.types import Message

from bm.server.client import AsgiClient, Cut


class Wire:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)


async def test_a_stream() -> None:
    wire = Wire()
    client = AsgiClient(wire)
    assert client.status == 0
    await client.start(200, [("content-type", "text/event-stream")])
    await client.send(b"one")
    await client.send(b"two")
    await client.end()
    assert (client.status, client.sent) == (200, 6)
    assert wire.messages == [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]},
        {"type": "http.response.body", "body": b"one", "more_body": True},
        {"type": "http.response.body", "body": b"two", "more_body": True},
        {"type": "http.response.body", "body": b"", "more_body": False},
    ]


async def test_a_whole_answer_tells_its_length() -> None:
    wire = Wire()
    await AsgiClient(wire).whole(404, [("a", "b")], b"gone")
    assert wire.messages[0]["headers"] == [(b"a", b"b"), (b"content-length", b"4")]
    assert wire.messages[1] == {"type": "http.response.body", "body": b"gone", "more_body": False}


@pytest.mark.parametrize(("value", "sent"), [("naïve", b"na\xefve"), ("模型", b"\\u6a21\\u578b")])
async def test_any_name_can_be_a_headers_value(value: str, sent: bytes) -> None:
    wire = Wire()
    await AsgiClient(wire).start(200, [("x-bm-model", value)])
    assert wire.messages[0]["headers"] == [(b"x-bm-model", sent)]


async def test_an_answer_is_cut_by_leaving_its_end_out() -> None:
    wire = Wire()
    client = AsgiClient(wire)
    await client.start(200, [])
    with pytest.raises(Cut):
        await client.cut()
    assert len(wire.messages) == 1

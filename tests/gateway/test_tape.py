"""A tape passes everything on and keeps a copy, within its bound."""

from __future__ import annotations

import pytest

from bm.gateway import tape as room
from bm.gateway.call import Call
from bm.gateway.tape import Tape
from bm.upstream.client import UpstreamRequest
from bm.upstream.headers import Headers

CALL = Call(
    id="req_1", protocol="anthropic", operation="generate", headers=[], body=b"{}", model="claude-x", stream=True
)


class Reader:
    """A client that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    async def start(self, status: int, headers: Headers) -> None:
        self.told.append((status, headers))

    async def send(self, data: bytes) -> None:
        self.told.append(data)

    async def end(self, rest: bytes = b"") -> None:
        self.told += [rest, "end"] if rest else ["end"]

    async def cut(self) -> None:
        self.told.append("cut")


async def test_the_client_gets_everything_and_so_does_the_tape() -> None:
    reader = Reader()
    tape = Tape(CALL, reader)
    tape.asked(UpstreamRequest("gemini", "POST", "https://example.com", []))
    await tape.start(200, [("a", "b")])
    await tape.send(b"one")
    await tape.send(b"two")
    await tape.end(b"last")
    assert reader.told == [(200, [("a", "b")]), b"one", b"two", b"last", "end"]
    assert (tape.status, tape.headers, bytes(tape.answer)) == (200, [("a", "b")], b"onetwolast")
    assert tape.ended and tape.whole and [request.url for request in tape.requests] == ["https://example.com"]


async def test_a_broken_answer_is_known_as_one() -> None:
    reader = Reader()
    tape = Tape(CALL, reader)
    await tape.start(200, [])
    await tape.cut()
    assert reader.told[-1] == "cut" and not tape.ended


async def test_beyond_its_bound_only_the_client_gets_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "LONGEST", 5)
    reader = Reader()
    tape = Tape(CALL, reader)
    await tape.send(b"four")
    assert tape.whole
    await tape.send(b"more")
    await tape.send(b"still more")
    assert (bytes(tape.answer), tape.whole) == (b"fourm", False)
    assert reader.told == [b"four", b"more", b"still more"]

"""Streams that are decoded, filtered and encoded."""

from __future__ import annotations

from bm import sse
from bm.chat.events import PartEnd, PartStart
from bm.chat.request import ChatRequest
from bm.errors import Failure
from bm.protocols.registry import CODECS
from bm.protocols.translate import EventFilter, Translation
from tests.protocols.test_passthrough import IDS, PIECES


def translating() -> Translation:
    request = ChatRequest(protocol="anthropic", model="m", turns=(), stream=True)
    encoder = CODECS["anthropic"].stream_encoder(request, IDS, model="m")
    return Translation(sse.Parser(), CODECS["openai-chat"].stream_decoder(IDS), encoder, EventFilter({}))


def test_a_stream_without_its_end_ends_in_an_error() -> None:
    cut = translating()
    out = cut.feed("".join(PIECES[:4]).encode()) + cut.close()
    assert cut.watch.failure is not None and cut.watch.failure.kind == "truncated"
    assert cut.ended and b"event: error" in out and b"message_stop" not in out


def test_an_abort_is_reported_in_the_stream() -> None:
    failure = Failure(kind="timeout", message="nothing further")
    aborted = translating()
    aborted.feed("".join(PIECES[:3]).encode())
    assert b"nothing further" in aborted.abort(failure)
    assert aborted.watch.failure == failure


def test_a_response_has_begun_with_its_first_content() -> None:
    pipe = translating()
    pipe.feed("".join(PIECES[:2]).encode())
    before = pipe.watch.begun
    pipe.feed(PIECES[2].encode())
    assert (before, pipe.watch.begun, pipe.watch.model) == (False, True, "their-model")


def test_tool_names_are_restored_and_surplus_calls_dropped() -> None:
    kept = EventFilter({"a_b": "a/b"}, single_call=True).through(
        [PartStart(0, "tool_call", id="1", name="a_b"), PartEnd(0), PartStart(1, "tool_call", id="2", name="a_b")]
    )
    assert kept == [PartStart(0, "tool_call", id="1", name="a/b"), PartEnd(0)]


def test_a_stream_is_finished_once_it_has_said_how_the_response_ends() -> None:
    pipe = translating()
    pipe.feed("".join(PIECES[:4]).encode())
    before = pipe.finished
    pipe.feed(PIECES[4].encode())
    assert (before, pipe.finished, pipe.watch.complete) == (False, True, False)
    assert b"message_stop" in pipe.close() and pipe.watch.complete

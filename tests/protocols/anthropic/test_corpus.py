"""Recorded exchanges through the codec: every one is read, and written again as a legal one that says the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from bm import sse
from bm.chat.capabilities import Capabilities
from bm.chat.events import Event
from bm.chat.parts import Json, Opaque, Text, Thinking, ToolCall
from bm.chat.request import ChatRequest, Reasoning, Turn
from bm.protocols.anthropic.codec import CODEC
from bm.protocols.codec import IdFactory
from bm.protocols.errors import decode_error
from tests.support.events import check
from tests.support.folding import ChatResponse, fold
from tests.support.grammar_anthropic import check as check_stream
from tests.support.shared import SHARED, Case, corpus_cases, each_case, needs_corpus, validators

pytestmark = [pytest.mark.corpus, needs_corpus]

CAPABILITIES = Capabilities(thinking="adaptive", levels=("low", "medium", "high", "xhigh", "max"), system_turns=True)
IDS = IdFactory(new_id=lambda prefix: f"{prefix}0123456789abcdef")
ASKS = ChatRequest(
    protocol="anthropic",
    model="claude",
    turns=(Turn("user", (Text("Hi"),)),),
    reasoning=Reasoning(level="auto", visible=True),
)

CASES = corpus_cases("anthropic.messages")
REQUESTS = [case for case in CASES if isinstance(case.request_body, dict)]
COUNTS = [case for case in corpus_cases("anthropic.count_tokens") if isinstance(case.request_body, dict)]
STREAMS = [case for case in CASES if case.sse]
MESSAGES = [case for case in CASES if not case.sse and case.status == 200]


def captured() -> list[Any]:
    """The requests that real coding tools sent."""
    if SHARED is None:
        return []
    files = sorted((SHARED / "clients" / "captures").glob("*/*.json"))
    rows = [(file, json.loads(file.read_bytes())) for file in files]
    return [
        pytest.param(row["body"], id=f"{file.parent.name}-{file.stem}")
        for file, row in rows
        if "/messages" in row["path"] and isinstance(row["body"], dict)
    ]


UNTYPED = {"fx-anthropic-fallback": "the official types do not know the block of a server-side fallback"}
RESTATED = {
    "fx-anthropic-programmatic-tool-calling-1": "holds calls made by code and ends in end_turn; calls make it tool_use"
}


def among(case: Case, exceptions: Mapping[str, str]) -> bool:
    return any(name in case.id for name in exceptions)


def faults(result: Any) -> list[str]:
    """What the official types say against it."""
    return list(result.errors)


@each_case([*REQUESTS, *COUNTS])
def test_a_recorded_request_is_read_and_written_again(case: Case) -> None:
    body = case.request_body
    encoded = CODEC.encode_request(CODEC.decode_request(body), CAPABILITIES, model=body["model"])
    assert faults(validators().validate_request("anthropic.messages", encoded.body)) == []


@pytest.mark.parametrize("body", captured())
def test_a_captured_request_is_read_and_written_again(body: Json) -> None:
    encoded = CODEC.encode_request(CODEC.decode_request(body), CAPABILITIES, model=body["model"])
    assert faults(validators().validate_request("anthropic.messages", encoded.body)) == []
    again = CODEC.encode_request(CODEC.decode_request(encoded.body), CAPABILITIES, model=body["model"])
    assert again.body == encoded.body


def decoded(text: str) -> list[Event]:
    parser, decoder = sse.Parser(), CODEC.stream_decoder(IDS)
    events = [event for raw in parser.feed(text.encode()) for event in decoder.feed(raw)]
    events += [event for raw in parser.close() for event in decoder.feed(raw)]
    return [*events, *decoder.close()]


def reported(answer: ChatResponse) -> list[Any]:
    """What an answer says, apart from how it was cut into pieces."""
    (choice,) = answer.choices or (None,)
    parts = choice.parts if choice is not None else ()
    assert choice is None or choice.finish is not None
    return [
        [part.text for part in parts if isinstance(part, Text) and part.text],
        [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)],
        [part.text for part in parts if isinstance(part, Thinking)],
        [part.raw for part in parts if isinstance(part, Opaque)],
        choice.finish.reason if choice is not None and choice.finish is not None else None,
        answer.tokens,
    ]


@each_case(STREAMS)
def test_a_recorded_stream_is_read_and_written_again(case: Case) -> None:
    events = decoded(case.body_text)
    check(events)
    encoder = CODEC.stream_encoder(ASKS, IDS, model="")
    stream = b"".join(map(encoder.feed, events))
    if fold(events).failure is not None:
        assert check_stream(stream).error is not None
        return
    check_stream(stream)
    assert faults(validators().validate_response("anthropic.messages", stream.decode(), compat=False)) == []
    assert reported(fold(decoded(stream.decode()))) == reported(fold(events))


@each_case(STREAMS[::5])
def test_the_official_client_reads_what_is_written(case: Case) -> None:
    encoder = CODEC.stream_encoder(ASKS, IDS, model="")
    stream = b"".join(map(encoder.feed, decoded(case.body_text)))
    assert validators().sdk_parse("anthropic.messages", stream.decode()).errors == []


@each_case(MESSAGES)
def test_a_recorded_answer_is_read_and_written_again(case: Case) -> None:
    events = CODEC.decode_response(json.loads(case.body_text), IDS)
    check(events)
    body = CODEC.encode_response(events, ASKS, IDS, model="")
    known = not among(case, UNTYPED)
    assert not known or faults(validators().validate_response("anthropic.messages", body, compat=False)) == []
    if among(case, RESTATED):
        return
    assert reported(fold(CODEC.decode_response(body, IDS))) == reported(fold(events))
    encoder = CODEC.stream_encoder(ASKS, IDS, model="")
    assert reported(fold(decoded(b"".join(map(encoder.feed, events)).decode()))) == reported(fold(events))


@each_case([case for case in CASES if case.status >= 400])
def test_a_recorded_error_is_read(case: Case) -> None:
    failure = decode_error(case.status, {}, case.body_text.encode())
    said = json.loads(case.body_text)["error"]
    assert failure.message == said["message"]
    assert failure.upstream_status == case.status
    status, body = CODEC.encode_error(failure, "req_1")
    assert body["error"]["message"] == said["message"]
    assert status == (400 if case.status == 401 else case.status)

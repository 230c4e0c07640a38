"""Recorded exchanges: every request is read and written again, every answer read, shown to a client and read again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bm import sse
from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.events import Event, Failed
from bm.chat.parts import Text, Thinking, ToolCall
from bm.chat.request import ChatRequest
from bm.errors import RequestError
from bm.protocols.errors import decode_error
from bm.protocols.openai_chat.codec import CODEC
from tests.protocols.openai_chat.kit import client_request, ids
from tests.support.events import check
from tests.support.folding import fold
from tests.support.grammar_openai_chat import check_stream
from tests.support.shared import SHARED, Case, corpus_cases, each_case, needs_corpus, validators

pytestmark = [pytest.mark.corpus, needs_corpus]

CASES = corpus_cases("openai.chat")
REQUESTS = [case for case in CASES if case.kind == "traffic"]
ANSWERS = [case for case in CASES if case.status < 400]
ERRORS = [case for case in CASES if case.status >= 400]
GENEROUS = Capabilities(
    thinking="effort",
    levels=("minimal", "low", "medium", "high"),
    thinking_off="say",
    audio=True,
    video=True,
    dialect=Dialect(takes=frozenset({"top_k", "video_url", "document_url", "extra_content"})),
)
NOT_OPENAIS = ("openrouter:", "video_url", "document_url", "file_url")
"""Tools and parts of services' own that the validator, which knows OpenAI's types, refuses in the original too."""
SEEING = client_request(reasoning={"enabled": True}, stream_options={"include_usage": True})


@each_case(REQUESTS)
def test_a_request_is_read_and_written_again(case: Case) -> None:
    body = case.request_body
    try:
        request = CODEC.decode_request(body)
    except RequestError:
        assert case.status == 400, "the service took it"
        return
    encoded = CODEC.encode_request(request, GENEROUS, model=request.model)
    written = json.loads(msgspec.json.encode(encoded.body))
    found = validators().validate_request("openai.chat", written, compat=True)
    strange = [error for error in found.errors if not any(word in error for word in NOT_OPENAIS)]
    assert strange == [] or any(word in json.dumps(written) for word in NOT_OPENAIS)
    assert [loss.field for loss in encoded.losses if not loss.field.startswith("messages[")] in (
        [],
        ["top_k"],
        ["thinking"],
    )


def reported(case: Case) -> list[Event]:
    """The events of a recorded answer."""
    if not case.sse:
        return list(CODEC.decode_response(json.loads(case.body_text), ids()))
    return streamed(case.body_text.encode())


def streamed(raw: bytes) -> list[Event]:
    parser, decoder = sse.Parser(), CODEC.stream_decoder(ids())
    events: list[Event] = []
    for event in [*parser.feed(raw), *parser.close()]:
        events += decoder.feed(event)
    return [*events, *decoder.close()]


@each_case(ANSWERS)
def test_an_answer_is_read_shown_and_read_again(case: Case) -> None:
    events = reported(case)
    check(events)
    if isinstance(events[-1], Failed):
        assert '"error"' in case.body_text or '"choices"' not in case.body_text, events[-1].failure.message
        return
    if case.sse:
        encoder = CODEC.stream_encoder(SEEING, ids(), model="m")
        raw = b"".join(map(encoder.feed, events))
        check_stream(raw, usage=True)
        found, again = validators().validate_response("openai.chat", raw.decode(), compat=False), streamed(raw)
        assert validators().sdk_parse("openai.chat", raw.decode()).errors == [], "the official client stumbles"
    else:
        body = msgspec.json.encode(CODEC.encode_response(events, SEEING, ids(), model="m"))
        found = validators().validate_response("openai.chat", body.decode(), compat=False)
        again = list(CODEC.decode_response(msgspec.json.decode(body), ids()))
    assert (found.errors, found.warnings) == ([], [])
    check(again)
    assert gist(again) == gist(events)


def gist(events: Iterable[Event]) -> Any:
    """What must not change on the way: text, thinking, calls, finish reasons and usage."""
    answer = fold(events)
    choices = [
        (
            "".join(part.text for part in choice.parts if isinstance(part, Text)),
            "".join(part.text for part in choice.parts if isinstance(part, Thinking)),
            [(part.id, part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)],
            choice.finish and choice.finish.reason,
        )
        for choice in answer.choices
    ]
    return choices, answer.tokens


@each_case(ERRORS)
def test_an_error_is_understood(case: Case) -> None:
    failure = decode_error(case.status, {}, case.body_text.encode())
    expected = {401: {"upstream_auth"}, 404: {"not_found"}, 400: {"bad_request", "context_too_long", "malformed"}}
    assert failure.kind in expected[case.status]
    assert "no explanation" not in failure.message
    words = ("context", "prompt too long", "too many", "total length")
    assert (failure.kind == "context_too_long") == any(word in failure.message.lower() for word in words)
    _, body = CODEC.encode_error(failure, "req_1")
    assert validators().validate_response("openai.chat", json.dumps(body), status=case.status).errors == []


def captured() -> list[Path]:
    """What real clients sent to `/chat/completions`."""
    if SHARED is None:
        return []
    files = sorted((SHARED / "clients" / "captures").glob("*/*.json"))
    return [file for file in files if b"/chat/completions" in file.read_bytes()[:400]]


@pytest.mark.parametrize("file", captured(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_what_a_real_client_sent_is_read_without_loss(file: Path) -> None:
    capture = json.loads(file.read_bytes())
    request: ChatRequest = CODEC.decode_request(capture["body"])
    encoded = CODEC.encode_request(request, GENEROUS, model=request.model)
    written = json.loads(msgspec.json.encode(encoded.body))
    assert encoded.losses == ()
    assert validators().validate_request("openai.chat", written, compat=False).errors == []
    assert len(written.get("tools", ())) == len(capture["body"].get("tools") or ())

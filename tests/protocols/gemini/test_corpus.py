"""Recorded traffic of the Gemini API and Vertex AI: every request and answer is read, written again and compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bm import sse
from bm.chat.capabilities import Capabilities
from bm.chat.events import Event, Failed
from bm.chat.parts import Text, Thinking, ToolCall
from bm.chat.request import ChatRequest, Reasoning
from bm.protocols.errors import decode_error
from bm.protocols.gemini.array import ArraySplitter
from bm.protocols.gemini.codec import CODEC
from tests.protocols.gemini.ids import ids
from tests.support import grammar_gemini
from tests.support.events import check
from tests.support.folding import ChatResponse, fold
from tests.support.shared import Case, corpus_cases, each_case, needs_corpus, validators

pytestmark = [pytest.mark.corpus, needs_corpus]

CASES = [*corpus_cases("gemini.generateContent"), *corpus_cases("gemini.streamGenerateContent")]
REQUESTS = [case for case in CASES if isinstance(case.request_body, dict) and case.status == 200]
ANSWERS = [case for case in CASES if case.status == 200]
ERRORS = [case for case in CASES if case.status >= 400]
CAPABLE = Capabilities(thinking="level", levels=("low", "medium", "high"), signatures_required=True)
PLAIN = Capabilities(thinking="budget", budget=(128, 32768), json_schema=False, media_in_results=False, call_ids=False)
# Requests of Vertex AI, which fetches any URL itself.
FETCHES = "bm could not fetch"


@each_case(REQUESTS)
@pytest.mark.parametrize("capabilities", [CAPABLE, PLAIN], ids=["json-schema", "openapi"])
def test_a_recorded_request_is_written_again(case: Case, capabilities: Capabilities) -> None:
    body = case.request_body
    before = json.dumps(body)
    request = CODEC.decode_request(body, model="gemini-x")
    if any(_fetched(part) for turn in request.turns for part in turn.parts):
        pytest.skip("holds a URL that the gateway fetches first")
    encoded = CODEC.encode_request(request, capabilities, model="gemini-x")
    assert json.dumps(body) == before, "the client's body was changed"
    result = validators().validate_request(case.api, encoded.body)
    assert not result.errors, result.errors


def _fetched(part: Any) -> bool:
    url = getattr(part, "url", "")
    inner = getattr(part, "parts", ())
    ours = ("https://generativelanguage.googleapis.com/", "gs://", "https://www.youtube.com/", "https://youtu.be/")
    return bool(url and not url.startswith(ours)) or any(_fetched(p) for p in inner)


@each_case(ANSWERS)
def test_a_recorded_answer_tells_legal_events_and_is_written_again(case: Case) -> None:
    events = decode(case)
    check(events)
    if isinstance(events[-1], Failed):
        assert events[-1].failure.code in ("UNEXPECTED_TOOL_CALL",) or events[-1].failure.kind == "truncated"
        return
    answer = fold(events)
    request = ChatRequest(protocol="gemini", model="m", turns=(), reasoning=Reasoning(visible=True))
    if case.sse:
        encoder = CODEC.stream_encoder(request, ids(), model="m")
        again: Any = b"".join(encoder.feed(event) for event in events)
        grammar_gemini.check(again, complete=True)
        written = again.decode()
        parser, decoder = sse.Parser(), CODEC.stream_decoder(ids())
        reread = [e for event in parser.feed(again) for e in decoder.feed(event)]
        reread = [*reread, *decoder.close()]
    else:
        again = CODEC.encode_response(events, request, ids(), model="m")
        written = json.dumps(again)
        reread = list(CODEC.decode_response(again, ids()))
    result = validators().validate_response(case.api, written, compat=False)
    assert not result.errors, result.errors
    assert essence(fold(reread)) == essence(answer)


def decode(case: Case) -> list[Event]:
    decoder = CODEC.stream_decoder(ids())
    body = case.body_text.encode()
    if case.sse or case.api == "gemini.streamGenerateContent":
        parser: Any = sse.Parser() if case.sse else ArraySplitter()
        return [*(e for s in [*parser.feed(body), *parser.close()] for e in decoder.feed(s)), *decoder.close()]
    return list(CODEC.decode_response(json.loads(body), ids()))


def essence(answer: ChatResponse) -> Any:
    """What must survive: texts, thinking, calls, signatures, the stop reason, the usage."""
    return [
        (
            "".join(part.text for part in choice.parts if isinstance(part, Text)),
            "".join(part.text for part in choice.parts if isinstance(part, Thinking)),
            [(p.name, p.arguments, p.signature) for p in choice.parts if isinstance(p, ToolCall)],
            [p.signature for p in choice.parts if isinstance(p, Text) and p.signature],
            choice.finish and (choice.finish.reason, choice.finish.native),
        )
        for choice in answer.choices
    ], answer.tokens


@each_case(ERRORS)
def test_a_recorded_error_keeps_the_upstreams_words(case: Case) -> None:
    failure = decode_error(case.status, {}, case.body_text.encode())
    assert failure.message in case.body_text.replace("\\n", "\n")
    assert failure.upstream_status == case.status
    status, body = CODEC.encode_error(failure, "req_1")
    result = validators().validate_response(case.api, json.dumps(body), status=status)
    assert not result.errors, result.errors

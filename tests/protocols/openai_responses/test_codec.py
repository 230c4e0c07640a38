"""The codec against recorded traffic and against the official SDK."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from bm.chat.capabilities import Capabilities
from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Start,
    Usage,
    UsageUpdate,
)
from bm.chat.parts import Part, Thinking
from bm.chat.request import Turn
from bm.errors import Failure, RequestError
from bm.protocols.errors import decode_error
from bm.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.samples import answer, call_part, decoded, encoded, ids, request, text_part, wire
from tests.support.events import check
from tests.support.folding import ChatResponse, fold
from tests.support.grammar_openai_responses import check as check_stream
from tests.support.shared import Case, corpus_cases, each_case, needs_corpus, validators

CAPABILITIES = Capabilities(thinking="effort")
STATE = {"previous_response_id", "conversation", "background", "model"}
"""Members for which a recorded request is refused: what they need only OpenAI keeps. (A request without a model took
it from a prompt template.)"""


def events_of(case: Case) -> list[Event]:
    if case.sse:
        return decoded(case.body_text.encode())
    return list(CODEC.decode_response(json.loads(case.body_text), ids()))


def reported(response: ChatResponse) -> object:
    """What must survive a translation: content, usage, how it ended."""
    ended = [choice.finish.reason if choice.finish else None for choice in response.choices]
    failed = response.failure.kind if response.failure is not None else None
    return [choice.parts for choice in response.choices], response.tokens, ended, failed


@pytest.mark.corpus
@needs_corpus
@each_case([c for c in corpus_cases("openai.responses") if c.kind == "traffic"])
def test_a_recorded_request_is_read_and_written_again(case: Case) -> None:
    body = case.request_body
    if not isinstance(body, dict):
        return
    try:
        asked = CODEC.decode_request(body)
    except RequestError as error:
        assert error.failure.param in STATE
        return
    written = CODEC.encode_request(asked, CAPABILITIES, model=asked.model)
    assert written.losses == ()
    result = validators().validate_request("openai.responses", wire(written.body), compat=False)
    assert result.errors == []
    again = CODEC.decode_request(wire(written.body))
    for field in ("system", "tools", "hosted_tools", "tool_choice", "sampling", "reasoning", "output", "max_tokens"):
        assert getattr(again, field) == getattr(asked, field), field
    assert again.turns == tuple(Turn(turn.role, tuple(filter(_kept, turn.parts))) for turn in asked.turns)


def _kept(part: Part) -> bool:
    """Unsigned thinking belongs to no model."""
    return not isinstance(part, Thinking) or part.signature is not None


@pytest.mark.corpus
@needs_corpus
@each_case([c for c in corpus_cases("openai.responses") if c.status < 400])
def test_a_recorded_answer_survives_the_way_to_a_client(case: Case) -> None:
    events = events_of(case)
    check(events)
    try:
        asked = CODEC.decode_request(case.request_body or {})
    except RequestError:
        asked = request()
    raw = encoded(events, asked)
    check_stream(raw)
    result = validators().validate_response("openai.responses", raw.decode(), compat=False)
    assert result.errors == [] and result.warnings == []
    assert reported(fold(decoded(raw))) == reported(fold(events))
    if isinstance(events[-1], End):
        whole = wire(CODEC.encode_response(events, asked, ids(), model="m"))
        result = validators().validate_response("openai.responses", whole, compat=False)
        assert result.errors == [] and result.warnings == []


@pytest.mark.corpus
@needs_corpus
@each_case([c for c in corpus_cases("openai.responses") if c.status >= 400])
def test_a_recorded_error_has_a_kind_and_the_upstreams_words(case: Case) -> None:
    failure = decode_error(case.status, {}, case.body_text.encode())
    assert failure.kind in {400: ("bad_request", "context_too_long", "not_found"), 401: ("upstream_auth",)}[case.status]
    assert failure.message and failure.message in case.body_text.replace("\\n", "\n").replace('\\"', '"')


@contextmanager
def served(body: bytes, kind: str = "text/event-stream", status: int = 200) -> Iterator[openai.OpenAI]:
    """The official SDK, pointed at a server on loopback that answers everything with `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        with openai.OpenAI(api_key="none", base_url=url, max_retries=0) as client:
            yield client
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_sdks_stream_takes_interleaved_parts_and_ends_with_the_whole_answer() -> None:
    events: list[Event] = [
        Start(),
        PartStart(0, "thinking"),
        PartDelta(0, "Hm"),
        PartStart(1, "text"),
        PartStart(2, "tool_call", id="call_a", name="look"),
        PartDelta(2, '{"at":'),
        PartDelta(1, "Let me "),
        PartEnd(0),
        PartDelta(2, '"x"}'),
        PartDelta(1, "see."),
        PartEnd(2),
        PartEnd(1),
        UsageUpdate(Usage(input=7, cache_read=2, output=5, thinking=1)),
        Finish("tool_calls"),
        End(),
    ]
    with served(encoded(events)) as client, client.responses.stream(model="m", input="x") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[-1] == "response.completed"
    assert [item.type for item in final.output] == ["reasoning", "message", "function_call"]
    assert final.output_text == "Let me see."
    call = final.output[2]
    assert call.type == "function_call" and (call.call_id, call.name, call.arguments) == (
        "call_a",
        "look",
        '{"at":"x"}',
    )
    assert final.usage is not None and (final.usage.input_tokens, final.usage.total_tokens) == (9, 14)
    assert final.usage.input_tokens_details.cached_tokens == 2


def test_the_sdk_parses_a_structured_answer() -> None:
    class Point(BaseModel):
        x: int

    raw = encoded(answer(text_part(0, '{"x"', ":1}")))
    with served(raw) as client, client.responses.stream(model="m", input="x", text_format=Point) as stream:
        assert stream.get_final_response().output_parsed == Point(x=1)


def test_the_sdk_reads_a_whole_answer() -> None:
    events = answer(text_part(0, "a", "b"), call_part(1, "look", "{}"))
    body = CODEC.encode_response(events, request(), ids(), model="shown")
    with served(json.dumps(wire(body)).encode(), "application/json") as client:
        response = client.responses.create(model="m", input="x")
    assert response.output_text == "ab" and response.status == "completed" and response.model == "shown"


def test_the_sdk_does_not_take_a_cut_answer_for_a_whole_one() -> None:
    failed = Failed(Failure(kind="truncated", message="the upstream went away"))
    raw = encoded([Start(), *text_part(0, "half"), failed])
    incomplete = pytest.raises(RuntimeError, match=r"response\.completed")
    with served(raw) as client, client.responses.stream(model="m", input="x") as stream, incomplete:
        stream.get_final_response()


def test_the_sdk_raises_the_error_that_the_codec_writes() -> None:
    status, body = CODEC.encode_error(Failure(kind="rate_limited", message="slow down"), "req_1")
    limited = pytest.raises(openai.RateLimitError, match="slow down")
    with served(json.dumps(body).encode(), "application/json", status) as client, limited:
        client.responses.create(model="m", input="x")

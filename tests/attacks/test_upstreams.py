"""An upstream that answers what no API answers: clients get another target's answer, or an error in their own form."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from functools import partial

import psutil
import pytest

from bm.chat.repair import RETRY_HINT
from tests.attacks.stage import PAUSE, Asked, Stage, answered
from tests.gateway.test_bad_input import SHAPES
from tests.gateway.world import MODELS, PROTOCOLS, path_of
from tests.simulator.streams import body_of
from tests.support.zstd import zstd

ODD_ANSWERS: dict[str, bytes] = {
    "an error as a text under 200": answered(b'{"error": "the backend is gone"}'),
    "an error object under 200": answered(b'{"error": {"message": "the backend is gone"}}'),
    "an error with a code that is no status": answered(b'{"error": {"code": 7, "message": "gone", "status": ["x"]}}'),
    "a detail under 200": answered(b'{"detail": "the backend is gone"}'),
    "a detail as a list under 200": answered(b'{"detail": [{"loc": [], "msg": {}}]}'),
    "an error that is true": answered(b'{"error": true}'),
    "an empty object": answered(b"{}"),
    "an empty body": answered(b""),
    "null": answered(b"null"),
    "a number": answered(b"5"),
    "a list": answered(b"[[]]"),
    "a text": answered(b'"ok"'),
    "a page": answered(b"<html><title>Sign in</title></html>", "text/html"),
    "deep nesting": answered(b'{"choices": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "a huge number": answered(b'{"id": ' + b"9" * 5000 + b"}"),
    "bytes that are no text": answered(b"\x00\xff\xfe" * 10),
    "members of the wrong type": answered(
        b'{"choices": 5, "content": {"a": 1}, "candidates": "x", "output": [7], "usage": [], "id": {}, "model": 1}'
    ),
    "status 0": answered(b"{}", status="000 Nothing"),
    "status 99": answered(b"{}", status="99 Less"),
    "status 600": answered(b'{"error": {"message": "beyond"}}', status="600 Beyond"),
    "status 999": answered(b'{"error": "no"}', status="999 Denied"),
    "status 204": answered(b"", status="204 No Content"),
    "status 304": answered(b"", status="304 Not Modified"),
    "a redirect to metadata": answered(b"", "text/plain", "302 Found", "location: http://169.254.169.254/latest/"),
    "a status that is no number": answered(b"{}", status="abc OK"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\ncontent-ty",
    "a head of 200 kB": answered(b"{}", "application/json", "200 OK", f"x-long: {'a' * 200_000}"),
    "a length that is no number": b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n{}",
    "a chunk of no length": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a body that breaks off": b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{",
    "no gzip": answered(b"{}", "application/json", "200 OK", "content-encoding: gzip"),
    "half a gzip": answered(gzip.compress(b"{}" * 999)[:-9], "application/json", "200 OK", "content-encoding: gzip"),
    "an error that unpacks to 64 MB": answered(
        zlib.compress(b"\x00" * 64_000_000), "application/json", "500 Oh", "content-encoding: deflate"
    ),
    "an unknown encoding": answered(b"{}", "application/json", "200 OK", "content-encoding: snappy"),
    "a line break in a header": b"HTTP/1.1 200 OK\r\nx-a: b\rset-cookie: c\r\ncontent-length: 2\r\n\r\n{}",
    "a NUL in a header": b"HTTP/1.1 200 OK\r\nx-a: b\x00c\r\ncontent-length: 2\r\n\r\n{}",
}
BEGUN = {
    "anthropic": b'event: message_start\ndata: {"type": "message_start", "message": []}\n\n',
    "openai-chat": b'data: {"choices": [{"delta": 5}]}\n\n',
    "openai-responses": b'event: response.created\ndata: {"type": "response.created", "response": 5}\n\n',
    "gemini": b'data: {"candidates": {"content": 5}}\n\n',
}
ODD_STREAMS: dict[str, bytes] = {
    "an error as a text": b'data: {"error": "the backend is gone"}\n\n',
    "an error event of no type": b'event: error\ndata: {"a": 1}\n\n',
    "an error event that is no JSON": b"event: error\ndata: gone\n\n",
    "no JSON": b"data: hello\n\n",
    "a list": b"data: [[]]\n\n",
    "a number": b"data: 5\n\n",
    "deep nesting": b"data: " + b"[" * 5000 + b"\n\n",
    "the end alone": b"data: [DONE]\n\n",
    "comments alone": b": hello\n\n" * 9,
    "a type that is an object": b'data: {"type": {"a": 1}, "choices": {}, "candidates": 1}\n\n',
    "half an event": b'data: {"type": "mess',
    "bytes that are no text": b"data: \xff\xfe\x00\n\n",
}


MEGABYTES = 70
"""What a small answer unpacks to: more than bm reads of one event."""
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": partial(gzip.compress, mtime=0),
    "deflate": zlib.compress,
    "br": lambda plain: b"\x0b\x02\x80{}\x03",
    "zstd": zstd.compress,
}
UNPACKED = {
    "a whole answer": (b'{"id": "', b"0", b'"}', "application/json"),
    "an event": (b"data: {", b" ", b"}\n\n", "text/event-stream"),
    "comments": (b"", b":" + b" " * 998 + b"\n", b"\n", "text/event-stream"),
}


@pytest.fixture(scope="module")
def bombs() -> dict[tuple[str, str], bytes]:
    """Successful answers that are small and unpack to much."""
    plain = {
        name: begin + much * (MEGABYTES * 1_000_000 // len(much)) + end
        for name, (begin, much, end, _) in UNPACKED.items()
    }
    return {(name, encoding): pack(plain[name]) for name in UNPACKED for encoding, pack in PACKERS.items()}


@pytest.mark.parametrize("encoding", PACKERS)
@pytest.mark.parametrize("name", UNPACKED)
def test_an_answer_that_unpacks_to_too_much_is_one_failed_attempt(
    stage: Stage, bombs: dict[tuple[str, str], bytes], name: str, encoding: str
) -> None:
    at = list(UNPACKED).index(name) + list(PACKERS).index(encoding)
    body, kind = bombs[name, encoding], UNPACKED[name][3]
    assert len(body) < 400_000
    stage.hostile.says = lambda asked: answered(body, kind, "200 OK", f"content-encoding: {encoding}")
    stage.set_up(PROTOCOLS[at % 4])
    before = psutil.Process(stage.daemon.process.pid).memory_info().rss
    answer = stage.ask(PROTOCOLS[(at // 2) % 4], stream=name != "a whole answer")
    assert answer.complete and answer.bm("provider") == "together", (answer, stage.daemon.log()[-2000:])
    grown = (psutil.Process(stage.daemon.process.pid).memory_info().rss - before) / 1e6
    assert grown < 2 * MEGABYTES, f"{grown:.0f} MB more are in use"


STREAMED = 240
"""Megabytes of a stream that does not end by itself: more than is kept of any."""


@pytest.mark.parametrize("client", ["openai-chat", "anthropic"])
def test_what_a_long_stream_needs_beside_it_is_bounded(stage: Stage, client: str) -> None:
    """Passed through, and translated, to a client that reads as fast as it can."""
    piece = b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % (b"word " * 6000)
    body = piece * (STREAMED * 1_000_000 // len(piece))
    stage.hostile.says = lambda asked: answered(body, "text/event-stream")
    stage.set_up("openai-chat", rescued=False)
    daemon, read, most = psutil.Process(stage.daemon.process.pid), 0, 0
    before = daemon.memory_info().rss
    path, request = path_of(client, MODELS[client], stream=True), body_of(client, stream=True)
    with stage.http.stream("POST", path, json=request) as response:
        for received in response.iter_raw():
            read += len(received)
            most = max(most, daemon.memory_info().rss)
    assert read > len(body) * 0.9
    assert (most - before) / 1e6 < STREAMED / 2, f"{(most - before) / 1e6:.0f} MB more were in use"


def is_own_error(protocol: str, status: int, document: object) -> bool:
    """Whether a client of the protocol gets an error that it can read, and no internal one of bm."""
    return 400 <= status <= 599 and SHAPES[protocol](document) and "internal error" not in json.dumps(document)


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_odd_answer_is_one_failed_attempt(stage: Stage, name: str) -> None:
    at = list(ODD_ANSWERS).index(name)
    upstream, client = PROTOCOLS[at % 4], PROTOCOLS[(at // 4) % 4]
    stage.hostile.says = lambda asked: ODD_ANSWERS[name]
    stage.set_up(upstream)
    answer = stage.ask(client, stream=bool(at % 2))
    assert answer.complete and answer.bm("provider") == "together", (answer, stage.daemon.log()[-2000:])
    assert stage.hostile.asked
    stage.set_up(upstream, rescued=False)
    answer = stage.ask(client, stream=not at % 2)
    assert is_own_error(client, answer.status, answer.json), (answer, stage.daemon.log()[-2000:])


@pytest.mark.parametrize("name", ODD_STREAMS)
@pytest.mark.parametrize("turn", [0, 2])
def test_an_odd_stream_is_one_failed_attempt(stage: Stage, turn: int, name: str) -> None:
    """Passed through, and translated for the client of another protocol."""
    at = list(ODD_STREAMS).index(name)
    upstream, client = PROTOCOLS[at % 4], PROTOCOLS[(at + turn) % 4]
    stage.hostile.says = lambda asked: answered(ODD_STREAMS[name], "text/event-stream")
    stage.set_up(upstream)
    answer = stage.ask(client, stream=True)
    assert answer.complete and answer.bm("provider") == "together", (answer, stage.daemon.log()[-2000:])


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_a_stream_that_begins_oddly_ends_for_its_client(stage: Stage, upstream: str, client: str) -> None:
    stage.set_up(upstream)
    stage.hostile.says = lambda asked: answered(BEGUN[upstream] + b"data: {oh\n\n", "text/event-stream")
    answer = stage.ask(client, stream=True)
    assert answer.complete and answer.bm("provider") == "together", answer


def test_a_redirect_is_followed_nowhere(stage: Stage) -> None:
    stage.set_up("anthropic")

    def elsewhere(asked: Asked) -> bytes:
        return answered(b"", "text/plain", "307 Temporary Redirect", f"location: {stage.hostile.url}/v1/stolen")

    stage.hostile.says = elsewhere
    assert stage.ask("anthropic").bm("provider") == "together"
    assert [asked.head.split(" ")[1] for asked in stage.hostile.asked] == ["/v1/messages"]


def call(asked: Asked, arguments: str) -> bytes:
    """A whole answer of OpenAI's that calls a tool, by the API that was asked."""
    function = {"name": "look", "arguments": arguments}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }
    item = {"type": "function_call", "id": "fc_1", "call_id": "c1", "status": "completed", **function}
    upstream = "openai-responses" if "/responses" in asked.head.split("\r\n")[0] else "openai-chat"
    documents: dict[str, object] = {
        "openai-chat": {
            "id": "a",
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        },
        "openai-responses": {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "model": "m",
            "output": [item],
        },
    }
    return answered(json.dumps(documents[upstream]).encode())


BROKEN = ['{"at": "Ber', "Berlin", "[1]", '"x"']


@pytest.mark.parametrize(
    ("upstream", "arguments"), [*zip(["openai-chat", "openai-responses"] * 2, BROKEN, strict=True)]
)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_a_broken_call_is_asked_for_again(stage: Stage, upstream: str, client: str, arguments: str) -> None:
    stage.set_up(upstream, rescued=False)
    stage.hostile.says = lambda asked: call(asked, arguments if len(stage.hostile.asked) < 2 else '{"at": "Bern"}')
    answer = stage.ask(client)
    assert answer.complete and b"Bern" in answer.body and len(stage.hostile.asked) == 2
    assert RETRY_HINT.encode() in stage.hostile.asked[1].body
    stage.hostile.asked.clear()
    stage.hostile.says = lambda asked: call(asked, arguments)
    answer = stage.ask(client)
    assert is_own_error(client, answer.status, answer.json) and len(stage.hostile.asked) == 2


def calling(asked: Asked) -> bytes:
    """A stream that calls a tool with arguments that break off, and ends as if all was well."""
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": CUT}}
    item = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": ""}
    block = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    place = {"output_index": 0, "item_id": "fc_1"}
    done = [{**item, "arguments": CUT}]
    streams: dict[str, list[dict[str, object]]] = {
        "/chat/completions": [
            {"id": "a", "model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]},
            {"id": "a", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        ],
        "/messages": [
            {"type": "message_start", "message": {"id": "msg_1", "model": "m", "role": "assistant"}},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": CUT}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
            {"type": "message_stop"},
        ],
        "/responses": [
            {"type": "response.created", "response": {"id": "r", "model": "m", "output": []}},
            {"type": "response.output_item.added", "output_index": 0, "item": item},
            {"type": "response.function_call_arguments.delta", **place, "delta": CUT},
            {"type": "response.output_item.done", "output_index": 0, "item": done[0]},
            {
                "type": "response.completed",
                "response": {"id": "r", "model": "m", "status": "completed", "output": done},
            },
        ],
    }
    events = next(events for path, events in streams.items() if f"{path} " in asked.head)
    lines = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    return answered(b"".join(lines[:-1]) + PAUSE + lines[-1] + b"data: [DONE]\n\n", "text/event-stream")


CUT = '{"at": "Ber'
ENDS = {
    "anthropic": b"message_stop",
    "openai-chat": b"[DONE]",
    "openai-responses": b"response.completed",
    "gemini": b"functionCall",
}
"""What only a complete response has."""


@pytest.mark.parametrize("upstream", ["openai-chat", "anthropic", "openai-responses"])
@pytest.mark.parametrize("client", PROTOCOLS)
def test_a_stream_with_a_broken_call_is_not_complete(stage: Stage, upstream: str, client: str) -> None:
    stage.set_up(upstream)
    stage.hostile.says = calling
    answer = stage.ask(client, stream=True)
    assert b"no whole JSON object" in answer.body and ENDS[client] not in answer.body
    assert bool(answer.broken) is (client == "gemini")

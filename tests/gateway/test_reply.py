"""The headers of a response, complete bodies, and errors."""

from __future__ import annotations

import json

import pytest

from bm.chat.request import Loss
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.call import Call
from bm.gateway.record import AttemptRecord, Record
from bm.gateway.reply import Reply, error_headers
from bm.gateway.upstream_call import UpstreamCall
from bm.names import ProtocolName
from bm.protocols.registry import CODECS
from bm.upstream.client import UpstreamRequest
from tests.gateway.build import Reader

TARGET = Target("gemini", "main", "gemini-3-flash-preview", "gemini")


class Sent:
    """A reply with its reader and its record."""

    def __init__(self, protocol: ProtocolName = "anthropic", attempts: int = 1) -> None:
        self.reader = Reader()
        call = Call(
            id="req_1", protocol=protocol, operation="generate", headers=[], body=b"{}", model="m", stream=False
        )
        tried = [AttemptRecord(target=TARGET, reason="first") for _ in range(attempts)]
        self.record = Record(id="req_1", at=0.0, protocol=protocol, model="m", stream=False, attempts=tried)
        self.reply = Reply(call, self.reader, self.record)


async def test_an_answer_has_its_length_and_its_bytes() -> None:
    sent = Sent()
    await sent.reply.complete(200, [("content-type", "application/json")], b'{"a": 1}')
    await sent.reply.client.close()
    assert (sent.reader.status, sent.reader.body) == (200, b'{"a": 1}')
    assert sent.reader.headers == {"content-type": "application/json", "content-length": "8"}


@pytest.mark.parametrize("protocol", ["anthropic", "openai-chat", "openai-responses", "gemini"])
async def test_a_failure_is_sent_in_the_clients_protocol_with_the_attempts(protocol: ProtocolName) -> None:
    sent = Sent(protocol, attempts=2)
    failure = Failure(kind="overloaded", message="come back later", retry_after=7.0)
    await sent.reply.fail(failure)
    await sent.reply.client.close()
    assert "come back later" in json.dumps(json.loads(sent.reader.body)["error"])
    assert sent.record.failure is failure and sent.record.status == sent.reader.status >= 500
    expected = {"x-bm-request-id": "req_1", "x-bm-attempts": "2", "x-bm-account": "main", "retry-after": "7"}
    assert expected.items() <= sent.reader.headers.items()
    assert ("request-id" in sent.reader.headers) is (protocol == "anthropic")


async def test_an_error_of_the_clients_protocol_is_sent_unchanged() -> None:
    sent = Sent()
    words = b'{"type": "error", "unheard_of": 1}'
    await sent.reply.fail(Failure(kind="bad_request", message="no", upstream_status=422, upstream_body=words))
    await sent.reply.client.close()
    assert (sent.reader.status, sent.reader.body) == (422, words)


@pytest.mark.parametrize(("protocol", "end"), [("anthropic", "end"), ("gemini", "cut")])
async def test_a_stream_that_breaks_off_ends_so_that_the_clients_sdks_notice(protocol: ProtocolName, end: str) -> None:
    sent = Sent(protocol)
    await sent.reply.break_off(b"an error")
    await sent.reply.client.close()
    assert sent.reader.sent == [b"an error", end]


async def test_the_end_of_a_response_is_sent_when_the_exchange_is_over() -> None:
    sent = Sent()
    await sent.reply.client.start(200, [])
    await sent.reply.client.end(b"the rest")
    assert sent.reader.body == b""
    await sent.reply.client.close()
    assert sent.reader.sent[-2:] == [b"the rest", "end"]


async def test_an_estimate_is_marked_as_one() -> None:
    sent = Sent()
    await sent.reply.estimate(77)
    await sent.reply.client.close()
    assert json.loads(sent.reader.body) == {"input_tokens": 77}
    assert sent.reader.headers["x-bm-estimate"] == "true"
    assert (sent.record.status, sent.record.finish) == (200, "estimated")


@pytest.mark.parametrize(
    ("names", "passed", "types"),
    [(None, {"retry-after": "3"}, "text/event-stream; charset=utf-8"), ({}, {}, "text/event-stream")],
    ids=["passing", "translating"],
)
def test_the_head_of_an_answer(names: dict[str, str] | None, passed: dict[str, str], types: str) -> None:
    request = UpstreamRequest("gemini", "POST", "https://example.com", [])
    upstream = UpstreamCall(
        TARGET, request, CODECS["gemini"], (Loss("top_k", "unknown"), Loss("user", "unknown")), names
    )
    received = [("content-type", "text/event-stream; charset=utf-8"), ("retry-after", "3"), ("set-cookie", "a=b")]
    head = dict(Sent().reply.head(upstream, received, "text/event-stream"))
    assert passed.items() <= head.items() and head["content-type"] == types and "set-cookie" not in head
    assert (head["x-bm-model"], head["x-bm-dropped"], head["request-id"]) == (TARGET.model, "top_k, user", "req_1")


@pytest.mark.parametrize(
    ("failure", "headers"),
    [
        (Failure(kind="server", message=""), {}),
        (Failure(kind="rate_limited", message="", retry_after=20.0), {"retry-after": "20"}),
        (Failure(kind="rate_limited", message="", retry_after=20.1), {"retry-after": "21"}),
        (Failure(kind="rate_limited", message="", retry_after=0.0), {"retry-after": "1"}),
        (Failure(kind="server", message="", should_retry=True), {"x-should-retry": "true"}),
        (Failure(kind="server", message="", should_retry=False), {"x-should-retry": "false"}),
        (Failure(kind="method", message="", code="POST"), {"allow": "POST"}),
    ],
)
def test_headers_by_which_sdks_decide(failure: Failure, headers: dict[str, str]) -> None:
    assert dict(error_headers(failure)) == headers

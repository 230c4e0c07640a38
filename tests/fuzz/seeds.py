"""What mutation starts from: recorded exchanges where there are some, and what bm's own tests have."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import msgspec

from bm.chat import events
from bm.chat.events import Event
from bm.chat.parts import Citation, Media, Opaque, Source, Thinking
from bm.chat.request import ChatRequest, Reasoning
from bm.chat.signature import Signature
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.codec import IdFactory
from bm.protocols.registry import CODECS
from tests.fuzz.mutation import Words
from tests.gateway import rich_requests
from tests.gateway.features import FEATURES
from tests.gateway.matrix import APIS
from tests.support.shared import Case, corpus_cases

MAX_BYTES = 16_000
"""Larger recordings are left out: they hold the same members many times."""
MAX_CASES = 400
"""Of one API."""


class Error(msgspec.Struct, frozen=True):
    """A refusal as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class Seeds(msgspec.Struct, frozen=True):
    """By protocol, but for the errors, which are those of all services."""

    requests: dict[ProtocolName, list[Any]]
    answers: dict[ProtocolName, list[Any]]
    streams: dict[ProtocolName, list[bytes]]
    errors: list[Error]
    words: Words


@cache
def seeds() -> Seeds:
    """All seeds, without the recordings where these are not at hand."""
    requests, answers, streams = _own_requests(), _own_answers(), _own_streams()
    errors = list(_OWN_ERRORS)
    for api, protocol in APIS.items():
        for case in corpus_cases(api)[:MAX_CASES] if corpus_cases(api) else ():
            _add(case, protocol, requests, answers, streams, errors)
    documents = (*itertools.chain(*requests.values()), *itertools.chain(*answers.values()))
    return Seeds(requests, answers, streams, errors, Words(documents))


def _add(
    case: Case,
    protocol: ProtocolName,
    requests: dict[ProtocolName, list[Any]],
    answers: dict[ProtocolName, list[Any]],
    streams: dict[ProtocolName, list[bytes]],
    errors: list[Error],
) -> None:
    body, text = case.request_body, case.body_text
    if isinstance(body, dict) and len(json.dumps(body)) < MAX_BYTES:
        requests[protocol].append(body)
    if len(text) > MAX_BYTES:
        return
    if case.status >= 400:
        errors.append(
            Error(case.status, {k.lower(): str(v) for k, v in case.response["headers"].items()}, text.encode())
        )
    elif text.lstrip().startswith("{"):
        answers[protocol].append(json.loads(text))
    else:
        streams[protocol].append(text.encode())


def _own_requests() -> dict[ProtocolName, list[Any]]:
    rich: dict[ProtocolName, Any] = {
        "anthropic": rich_requests.ANTHROPIC,
        "openai-chat": rich_requests.CHAT,
        "openai-responses": rich_requests.RESPONSES,
        "gemini": rich_requests.GEMINI,
    }
    found: dict[ProtocolName, list[Any]] = {protocol: [rich[protocol]] for protocol in PROTOCOLS}
    for protocol, body in FEATURES.values():
        found[protocol].append(body)
    return found


def _part(index: int, kind: Any, *pieces: str, signature: Signature | None = None, **more: Any) -> list[Event]:
    deltas = [events.PartDelta(index, piece) for piece in pieces]
    signed = [events.PartSignature(index, signature)] if signature else []
    return [events.PartStart(index, kind, **more), *deltas, *signed, events.PartEnd(index)]


_SEARCHED = Opaque(
    "anthropic", "server_tool_use", {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
)
_RESPONSE: list[Event] = [
    events.Start("up", "model"),
    *_part(0, "thinking", "Let me ", "see.", signature=Signature("gemini", "c2ln")),
    events.PartWhole(1, Thinking("", Signature("anthropic", "eA=="), redacted=True)),
    *_part(2, "text", "It is ", "fine 😀."),
    *_part(3, "tool_call", '{"city":', '"Bern"}', id="call_1", name="weather", signature=Signature("gemini", "c2ln")),
    *_part(4, "tool_call", "free text", id="call_2", name="patch", tool_kind="custom"),
    events.PartWhole(5, Media("image", mime="image/png", data="QUJD")),
    events.PartWhole(6, _SEARCHED),
    events.PartStart(7, "text"),
    events.PartDelta(7, "cited"),
    events.PartAnnotation(7, Citation("anthropic", {}, (Source("https://a.example", "A"),))),
    events.PartEnd(7),
    *_part(8, "refusal", "No."),
    events.UsageUpdate(events.Usage(10, 2, 3, 4, 1)),
    events.Finish("tool_calls"),
    events.End(),
]
"""Everything that a response can hold."""


def _asked(protocol: ProtocolName) -> ChatRequest:
    visible = Reasoning(level="high", visible=True)
    return ChatRequest(protocol=protocol, model="m", turns=(), stream=True, stream_usage=True, reasoning=visible)


def _ids() -> IdFactory:
    numbers = itertools.count(1)
    return IdFactory(lambda prefix: f"{prefix}{next(numbers):016d}", now=1_700_000_000)


def _own_answers() -> dict[ProtocolName, list[Any]]:
    return {
        protocol: [
            json.loads(msgspec.json.encode(codec.encode_response(_RESPONSE, _asked(protocol), _ids(), model="m")))
        ]
        for protocol, codec in CODECS.items()
    }


def _own_streams() -> dict[ProtocolName, list[bytes]]:
    found: dict[ProtocolName, list[bytes]] = {}
    for protocol, codec in CODECS.items():
        encoder = codec.stream_encoder(_asked(protocol), _ids(), model="m")
        found[protocol] = [b"".join(map(encoder.feed, _RESPONSE))]
    return found


_QUOTA = b"""{"error": {"code": 429, "message": "Quota exceeded, limit: 15. Please retry in 20.04s.", "status":
"RESOURCE_EXHAUSTED", "details": [{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId":
"GenerateRequestsPerMinutePerProjectPerModel", "quotaValue": "15"}]}, {"retryDelay": "20.04s"}]}}"""
_BEHIND = b"""{"error": {"code": 400, "message": "Provider returned error", "metadata": {"provider_name": "x", "raw":
"{\\"error\\": {\\"message\\": \\"maximum context length is 8192 tokens\\", \\"type\\": \\"BadRequest\\"}}"}}}"""
_OWN_ERRORS = (
    Error(429, {"retry-after": "7", "x-ratelimit-remaining-requests": "0"}, _QUOTA),
    Error(400, {"content-type": "application/json"}, _BEHIND),
    Error(400, {}, b'{"type": "error", "error": {"type": "invalid_request_error", "message": "tools.0.name: bad"}}'),
    Error(422, {}, b'{"detail": [{"loc": ["body", "tools", 0, "strict"], "msg": "extra fields not permitted"}]}'),
    Error(500, {"content-type": "text/html"}, b"<html><title>Bad</title><script>x</script></html>"),
    Error(400, {}, b'{"object": "error", "message": "Unknown parameter: temperature", "code": 40001, "param": null}'),
    Error(404, {}, b'{"error": "model \'x\' not found, try pulling it first"}'),
    Error(
        400, {}, b'[{"error": {"code": 400, "message": "Invalid JSON payload received. Unknown name", "details": []}}]'
    ),
)

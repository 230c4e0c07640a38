"""Responses that are not streams: the client's body, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bm.chat.estimate import tokens_in
from bm.chat.events import Event, PartStart, Usage
from bm.chat.parts import Json
from bm.errors import Failure
from bm.gateway.call import Call
from bm.gateway.upstream_call import UpstreamCall
from bm.names import ProtocolName
from bm.protocols import embeddings
from bm.protocols.answer_repair import AnswerRepair
from bm.protocols.counting import count_response, read_count
from bm.protocols.passthrough import Watch

JSON_TYPE = "application/json"
EVENT_STREAM = "text/event-stream"


class FullResponse(msgspec.Struct, frozen=True):
    """A response that is not a stream: the body for the client, or (in `watch.failure`) why there is none.

    `content_type` is empty where the upstream's own applies.
    """

    watch: Watch
    body: bytes = b""
    content_type: str = ""


def embedded(call: Call, upstream: UpstreamCall, answer: Json, body: bytes) -> FullResponse:
    """The vectors of an upstream's answer. Where it does not say what it has used, that is an estimate."""
    watch, target = Watch(), upstream.target
    watch.usage = embeddings.usage_of(answer) or Usage(input=tokens_in(len(call.body)))
    if upstream.embedding is None:
        return FullResponse(watch, body)
    try:
        vectors = embeddings.encode_response(call.protocol, upstream.embedding, answer, target.model)
    except ValueError as error:
        return malformed(f"{target.provider}: {error}")
    return FullResponse(watch, msgspec.json.encode(vectors), JSON_TYPE)


def counted(protocol: ProtocolName, answer: Json, body: bytes, provider: str) -> FullResponse:
    """The number of tokens in an upstream's answer, for a client of another protocol."""
    tokens = read_count(answer)
    if tokens is None:
        return malformed(f"{provider} sent no count: {start_of(body)}")
    return FullResponse(Watch(), count_response(protocol, tokens), JSON_TYPE)


def own(events: Sequence[Event], answer: Json, body: bytes) -> FullResponse:
    """The upstream's own body, also where it holds no answer yet, such as a response that is still queued.

    A call whose arguments are no JSON is a failure, after which the model is asked again.
    """
    watch = Watch()
    watch.said = []
    if any(isinstance(event, PartStart) and event.kind == "tool_call" for event in events):
        check = AnswerRepair(passing=True)
        events = [seen for event in events for seen in check.through(event)]
    for event in events:
        watch.see(event)
    if watch.failure is not None and watch.failure.kind == "server" and not answer.get("error"):
        watch.failure = None
    return FullResponse(watch, body, JSON_TYPE)


def malformed(message: str) -> FullResponse:
    """No response, since the upstream's could not be read."""
    watch = Watch()
    watch.failure = Failure(kind="malformed", message=message)
    return FullResponse(watch)


def start_of(body: bytes) -> str:
    """The beginning of an answer, to be shown in a message."""
    return body[:200].decode("utf-8", "replace").strip() or "an empty body"

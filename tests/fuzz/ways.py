"""The ways of requests and responses, each as a function of the bytes that come from outside."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import msgspec

from bm import sse
from bm.accounts.account import Access
from bm.chat.capabilities import Capabilities
from bm.chat.estimate import countable, estimate
from bm.chat.repair import without_media
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.adapter import Adapter, Unable
from bm.gateway.call import Call, conversation_of, json_object, read_head
from bm.gateway.media import urls_to_fetch
from bm.gateway.requirements import requirements_of
from bm.gateway.rescue import Rescue
from bm.gateway.settings import Rules
from bm.gateway.stores import ResponseStore, SignatureStore
from bm.gateway.traits import traits_of
from bm.gateway.upstream_call import UpstreamCall
from bm.names import PROTOCOLS, ROUTE_KINDS, Operation, ProtocolName
from bm.protocols import interactions
from bm.protocols.context_length import answer_room, context_in_text
from bm.protocols.errors import decode_error, in_band
from bm.protocols.limits import allowances_in_body, allowances_in_headers, with_delay
from bm.protocols.reading import json_of, object_of
from bm.protocols.registry import CODECS
from bm.protocols.words import words_of
from bm.remedies.apply import treated
from bm.remedies.find import remedies_for
from bm.surrogates import without_halves
from tests.fuzz.mutation import ODD, mutated, pieces_of, scrambled, written
from tests.fuzz.seeds import seeds
from tests.fuzz.surface import Surface, changed, sendable
from tests.gateway.matrix import providers
from tests.remedies.test_rows import CASES as REFUSALS

TARGETS: tuple[Target, ...] = (
    Target("anthropic", "one", "claude-sonnet-4-5", "anthropic"),
    Target("anthropic", "one", "claude-opus-5-5", "anthropic"),
    Target("gemini", "one", "gemini-3-flash-preview", "gemini"),
    Target("gemini", "one", "gemini-2.5-flash", "gemini"),
    Target("openai", "one", "gpt-5", "openai-responses"),
    Target("openai", "one", "gpt-4.1", "openai-chat"),
    Target("xai", "one", "grok-4", "openai-responses"),
    Target("groq", "one", "openai/gpt-oss-120b", "openai-chat"),
    Target("mistral", "one", "mistral-large-latest", "openai-chat"),
    Target("deepseek", "one", "deepseek-chat", "openai-chat"),
    Target("openrouter", "one", "moonshotai/kimi-k2.6", "openai-chat"),
    Target("together", "one", "Qwen/Qwen3-235B-A22B", "openai-chat"),
    Target("ollama", "one", "llama3.2", "openai-chat"),
)
"""Every wire protocol, and the dialects that differ most."""
_KEY = Access(key="key")
_GONE = Failure(kind="timeout", message="silence")


def call_of(
    protocol: ProtocolName, body: bytes, *, stream: bool, operation: Operation = "generate", array: bool = False
) -> Call:
    """A client's call with this body."""
    return Call(
        id="req_1",
        protocol=protocol,
        operation=operation,
        headers=[("x-api-key", "bm-key")],
        body=body,
        model="asked",
        stream=stream,
        array=array,
    )


def _request(protocol: ProtocolName, chance: random.Random) -> bytes:
    return changed(chance.choice(seeds().requests[protocol]), chance)


_OPERATIONS: dict[ProtocolName, tuple[Operation, ...]] = {
    "anthropic": ("count_tokens",),
    "openai-chat": ("embed",),
    "openai-responses": ("compact", "count_tokens"),
    "gemini": ("count_tokens", "embed", "batch_embed"),
}


def _play_request(protocol: ProtocolName, body: bytes, chance: random.Random) -> None:
    """The walk of a request up to what is sent to a few targets."""
    body = without_halves(body)
    head = read_head(body, needs_model=False)
    conversation_of(head, {})
    requirements_of(body, protocol, words_of(body))
    operation: Operation = "generate" if chance.random() < 0.9 else chance.choice(_OPERATIONS[protocol])
    call = call_of(protocol, body, stream=bool(head.stream), operation=operation)
    traits_of(call, ROUTE_KINDS)
    store = ResponseStore()
    store.keep(_FIRST_TURN, _FIRST_RESPONSE)
    adapter = Adapter(store.complete(call), SignatureStore(), Rules(echo_asked=chance.random() < 0.5))
    for target in chance.sample(TARGETS, 3):
        provider = providers()[target.provider]
        without = frozenset(("images",)) if chance.random() < 0.1 else frozenset[str]()
        attempt = Attempt(target=target, without=without, retry_hint=chance.random() < 0.1)
        try:
            upstream = adapter.prepare(attempt, provider, _KEY)
        except Unable:
            continue
        upstream.changed((), protocol, strict=False)
        if target.protocol != protocol and operation == "generate":
            sent, _ = without_media(adapter.chat, attempt.without)
            urls_to_fetch(sent, target.protocol, adapter.capabilities(target, provider))
    if operation == "generate":
        countable(adapter.chat)
        estimate(adapter.chat)


_FIRST_TURN = b'{"model": "m", "input": "hi"}'
_FIRST_RESPONSE = {"id": "resp_1", "output": [{"type": "message", "role": "assistant", "content": []}]}


@cache
def _asking(protocol: ProtocolName) -> bytes:
    """A client that wants to see and carry all there is."""
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("weather", "f")]
    bodies: dict[ProtocolName, Any] = {
        "anthropic": {"max_tokens": 9, "thinking": {"type": "adaptive"}, "tools": tools},
        "openai-chat": {"reasoning": {"enabled": True}, "stream_options": {"include_usage": True}},
        "openai-responses": {
            "include": ["reasoning.encrypted_content"],
            "input": "hi",
            "reasoning": {"summary": "auto"},
        },
        "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
    }
    contents = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    messages = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    return msgspec.json.encode(bodies[protocol] | (contents if protocol == "gemini" else messages))


def _way_back(protocol: ProtocolName, chance: random.Random, *, stream: bool) -> tuple[Adapter, UpstreamCall]:
    """A client of any protocol, and an upstream of this one that is to answer it."""
    client = chance.choice(PROTOCOLS)
    array = client == "gemini" and stream and chance.random() < 0.3
    call = call_of(client, _asking(client), stream=stream, array=array)
    adapter = Adapter(call, SignatureStore(), Rules(echo_asked=chance.random() < 0.3))
    target = chance.choice([each for each in TARGETS if each.protocol == protocol])
    return adapter, adapter.prepare(Attempt(target=target), providers()[target.provider], _KEY)


def _answer(protocol: ProtocolName, chance: random.Random) -> bytes:
    return changed(chance.choice(seeds().answers[protocol]), chance)


def _play_answer(protocol: ProtocolName, body: bytes, chance: random.Random) -> None:
    """A whole answer, for a client that wants it whole or as a stream."""
    adapter, upstream = _way_back(protocol, chance, stream=chance.random() < 0.3)
    full = adapter.read(upstream, body)
    assert full.watch.failure is not None or full.body
    if response := adapter.response(upstream):
        ResponseStore().keep(adapter.call.body, response)
    if adapter.call.protocol == "gemini" and not adapter.call.stream:
        _interaction([full.body])


def _stream(protocol: ProtocolName, chance: random.Random) -> bytes:
    seed = chance.choice(seeds().streams[protocol])
    if chance.random() < 0.15:
        return scrambled(seed, chance)
    mark = b"\r\n\r\n" if b"\r\n\r\n" in seed else b"\n\n"
    events = [event for event in seed.split(mark) if event]
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(events))
        match chance.randrange(8):
            case 0:
                del events[at]
            case 1:
                events.insert(at, events[at])
            case 2:
                other = chance.randrange(len(events))
                events[at], events[other] = events[other], events[at]
            case 3:
                events[at] = scrambled(events[at], chance)
            case _:
                events[at] = _mutated_event(events[at], chance)
        if not events:
            return b""
    return mark.join(events) + mark * (chance.random() < 0.8)


def _mutated_event(event: bytes, chance: random.Random) -> bytes:
    head, data, text = event.partition(b"data:")
    try:
        return head + data + b" " + written(mutated(msgspec.json.decode(text), chance, seeds().words))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return scrambled(event, chance)


def _play_stream(protocol: ProtocolName, body: bytes, chance: random.Random) -> None:
    """A stream in pieces, which ends by itself or is given up; with and without a rescue."""
    adapter, upstream = _way_back(protocol, chance, stream=True)
    rescue = Rescue(adapter) if chance.random() < 0.4 else None
    pipe = (rescue or adapter).pipe(upstream)
    for piece in pieces_of(body, chance):
        written_out = pipe.feed(piece)
        if pipe.watch.failure is not None:
            break
        if adapter.call.protocol == "gemini" and not adapter.call.array:
            _interaction([written_out])
    if chance.random() < 0.2:
        pipe.abort(_GONE)
        return
    if pipe.watch.failure is None:
        pipe.close()
        assert pipe.watch.complete != (pipe.watch.failure is not None), "an end and a failure, or neither"
    failure = pipe.watch.failure
    if rescue is not None and failure is not None and pipe.resumable:
        rescue.broken(failure, pipe)
        assert rescue.error(failure)
    if response := adapter.response(upstream):
        ResponseStore().keep(adapter.call.body, response)


def _interaction(pieces: list[bytes]) -> None:
    """What the Interactions API makes of a response for a Gemini client."""
    writer = interactions.Writer("int_1", "m")
    for piece in pieces:
        for item in sse.Parser().feed(piece) if piece.startswith(b"data:") else [sse.Event(piece)]:
            msgspec.json.encode(list(writer.feed(object_of(json_of(item.data)))))
    msgspec.json.encode(list(writer.end()))


def _play_interaction(body: bytes, chance: random.Random) -> None:
    asked = interactions.decode(json_object(without_halves(body)), [])
    _play_request("gemini", msgspec.json.encode(asked.body), chance)


_INTERACTIONS: tuple[Any, ...] = (
    {
        "model": "gemini-3-flash-preview",
        "system_instruction": "Be brief.",
        "input": [
            {
                "type": "user_input",
                "content": [{"type": "text", "text": "hi"}, {"type": "image", "uri": "gs://a/b.png"}],
            },
            {"type": "thought", "summary": [{"type": "text", "text": "hm"}], "signature": "c2ln"},
            {"type": "function_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
            {"type": "function_result", "call_id": "c1", "result": [{"type": "text", "text": "ok"}], "is_error": False},
            {"role": "model", "content": "well"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "google_search"}],
        "generation_config": {
            "thinking_level": "low",
            "tool_choice": {"allowed_tools": {"mode": "any", "tools": ["f"]}},
        },
        "response_format": {"type": "text", "mime_type": "application/json", "schema": {"type": "object"}},
        "response_modalities": ["text"],
    },
    {"model": "m", "input": "hi"},
    {
        "model": "m",
        "input": [{"type": "text", "text": "a"}, {"type": "audio", "data": "QQ==", "mime_type": "audio/wav"}],
    },
)


def _error(chance: random.Random) -> bytes:
    """A status, headers and the body of a refusal, as one document."""
    error = chance.choice(seeds().errors)
    if chance.random() < 0.4:
        _, message, *_ = chance.choice(list(REFUSALS.values()))
        message = scrambled(message.encode(), chance).decode("utf-8", "replace") if chance.random() < 0.5 else message
        body = written({"error": {"message": message, "type": "invalid_request_error", "param": chance.choice(ODD)}})
    else:
        try:
            body = changed(msgspec.json.decode(error.body), chance)
        except (msgspec.DecodeError, UnicodeDecodeError):
            body = scrambled(error.body, chance)
    status = (
        error.status if chance.random() < 0.7 else chance.choice((0, 200, 204, 302, 400, 404, 422, 429, 500, 600, 999))
    )
    headers = error.headers | {chance.choice(_DELAYS): str(chance.choice(ODD))[:5000]}
    head = msgspec.json.encode((status, {name: sendable(value) for name, value in headers.items()}))
    return head + b"\n" + body


_DELAYS = (
    "retry-after",
    "retry-after-ms",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "date",
    "content-type",
)


_HEAD = msgspec.json.Decoder(tuple[int, dict[str, str]])


def _play_error(data: bytes, chance: random.Random) -> None:
    """A refusal is read, classified, written for each client; what it names as the reason is remedied."""
    head, _, body = data.partition(b"\n")
    try:
        status, headers = _HEAD.decode(head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status, headers = 400, {}
    failure = with_delay(decode_error(status, headers, body), headers, 1_700_000_000.0)
    allowances_in_headers(headers, 1_700_000_000.0, "groq")
    allowances_in_body(body, failure.retry_after)
    context_in_text(failure.message)
    answer_room(failure.message)
    for each in (failure, in_band(json_of(body))):
        classify(each)
        for codec in CODECS.values():
            status, written_error = codec.encode_error(each, "req_1")
            assert 100 <= status <= 599, f"a status that no client knows: {status}"
            msgspec.json.encode(written_error)
    protocol = chance.choice(PROTOCOLS)
    sent = msgspec.json.encode(chance.choice(seeds().requests[protocol]))
    for group in remedies_for(failure, sent, protocol, Capabilities() if chance.random() < 0.2 else None):
        treated(sent, group, protocol)


def _refused_body(chance: random.Random) -> bytes:
    protocol, message, body, _ = chance.choice(list(REFUSALS.values()))
    return msgspec.json.encode((protocol, message)) + b"\n" + changed(body, chance)


_REFUSAL = msgspec.json.Decoder(tuple[ProtocolName, str])


def _play_refused_body(data: bytes, chance: random.Random) -> None:
    """A remedy meets a body that is not as the refusal says."""
    head, _, body = data.partition(b"\n")
    protocol, message = _REFUSAL.decode(head)
    body = without_halves(body)
    read_head(body, needs_model=False)
    failure = decode_error(400, {}, msgspec.json.encode({"error": {"message": message}}))
    for group in remedies_for(failure, body, protocol):
        treated(body, group, protocol)


def _each(
    make: Callable[[ProtocolName, random.Random], bytes],
    play: Callable[[ProtocolName, bytes, random.Random], None],
    name: str,
    declared: tuple[type[Exception], ...],
    weight: int,
) -> Iterator[tuple[str, Surface]]:
    for protocol in PROTOCOLS:
        yield f"{name} of {protocol}", Surface(partial(make, protocol), partial(play, protocol), declared, weight)


# A response that is nested too deeply is a failed attempt: see `bm.gateway.fault`.
WAYS: dict[str, Surface] = {
    **dict(_each(_request, _play_request, "request", (RequestError,), 6)),
    **dict(_each(_answer, _play_answer, "answer", (RecursionError,), 4)),
    **dict(_each(_stream, _play_stream, "stream", (sse.EventTooLarge, RecursionError), 5)),
    "interaction": Surface(
        lambda chance: changed(chance.choice(_INTERACTIONS), chance), _play_interaction, (RequestError,), 3
    ),
    "refusal": Surface(_error, _play_error, (), 8),
    "refused body": Surface(_refused_body, _play_refused_body, (RequestError,), 6),
}

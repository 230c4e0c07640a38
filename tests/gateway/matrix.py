"""Recorded exchanges carried to every other protocol through the gateway's own adapter."""

from __future__ import annotations

import json
import zlib
from functools import cache

import httpx
import msgspec
from google import genai
from google.genai import errors
from google.genai.types import HttpOptions

from bm import sse
from bm.accounts.account import Access
from bm.chat.events import Event
from bm.chat.request import ChatRequest, Reasoning
from bm.config.schema import Config
from bm.dispatch.failover import Attempt
from bm.dispatch.target import Target
from bm.gateway.adapter import Adapter
from bm.gateway.call import Call
from bm.gateway.settings import Rules
from bm.gateway.stores import SignatureStore
from bm.gateway.upstream_call import UpstreamCall
from bm.names import PROTOCOLS, ProtocolName
from bm.protocols.codec import Codec, IdFactory
from bm.protocols.gemini.array import ArraySplitter
from bm.protocols.registry import CODECS, upstream_codec
from bm.providers.catalog import COMPATIBLE
from bm.providers.provider import Provider, effective
from bm.upstream.client import UpstreamRequest
from bm.upstream.fetch import FetchedMedia
from tests.support.shared import Case, corpus_cases, validators

APIS: dict[str, ProtocolName] = {
    "anthropic.messages": "anthropic",
    "openai.chat": "openai-chat",
    "openai.responses": "openai-responses",
    "gemini.generateContent": "gemini",
    "gemini.streamGenerateContent": "gemini",
}
"""The APIs that generate, and whose protocol they are."""

PAIRS = [(api, other) for api, own in APIS.items() for other in PROTOCOLS if other != own]

MODELS: dict[ProtocolName, tuple[str, tuple[str, ...]]] = {
    "anthropic": ("anthropic", ("claude-sonnet-4-5", "claude-opus-4-8", "claude-haiku-4-5")),
    "openai-chat": ("openai", ("gpt-5.4", "gpt-4.1", "gpt-4o")),
    "openai-responses": ("openai", ("gpt-5.4", "gpt-4.1", "gpt-5-mini")),
    "gemini": ("gemini", ("gemini-3.8-flash", "gemini-2.5-flash", "gemini-3.1-pro-preview")),
}
"""The provider that stands for a protocol, and models of different generations; a case's id chooses among them."""


@cache
def providers() -> dict[str, Provider]:
    """The providers as the catalog has them."""
    return {provider.name: provider for provider in effective(Config())}


def target_for(protocol: ProtocolName, id: str) -> Target:
    """The target of a case."""
    provider, models = MODELS[protocol]
    return Target(provider, "one", models[zlib.crc32(id.encode()) % len(models)], protocol)


def api_of(protocol: ProtocolName, *, stream: bool) -> str:
    """The API by whose rules a body is judged."""
    if protocol == "gemini":
        return "gemini.streamGenerateContent" if stream else "gemini.generateContent"
    return {"anthropic": "anthropic.messages", "openai-chat": "openai.chat"}.get(protocol, "openai.responses")


def call_of(case: Case) -> Call:
    """A recorded request as a client's call."""
    protocol, request = APIS[case.api], case.request
    body = case.request_body
    stream = case.api == "gemini.streamGenerateContent" or bool(protocol != "gemini" and body.get("stream"))
    path_model = request["path"].rpartition("/")[2].partition(":")[0]
    return Call(
        id="req_1",
        protocol=protocol,
        operation="generate",
        headers=[],
        body=json.dumps(body).encode(),
        model=path_model if protocol == "gemini" else str(body.get("model") or "m"),
        stream=stream,
    )


async def translated_request(case: Case, protocol: ProtocolName) -> tuple[UpstreamCall, list[str]]:
    """A recorded request for a target of another protocol, and the problems that the official types report.

    Raises:
        Unable: the target cannot serve it.
        RequestError: no target can.
    """
    target = target_for(protocol, case.id)
    provider = providers()[target.provider]
    adapter, attempt = Adapter(call_of(case), SignatureStore(), Rules()), Attempt(target=target)
    await adapter.fetch_missing(attempt, provider, _fetched)
    upstream = adapter.prepare(attempt, provider, Access(key="key"))
    body = json.loads(upstream.request.body)
    found = validators().validate_request(api_of(protocol, stream=adapter.call.stream), body, compat=False)
    return upstream, [*found.errors, *(text for text in found.warnings if not text.startswith(TAKEN))]


TAKEN = "legacy field"
"""The validator's warning about `temperature`, `top_p` and `top_k`, which the newest Claude models no longer take. They
are written for older ones only."""


async def _fetched(url: str) -> FetchedMedia:
    """The content of any URL."""
    ending = url.rpartition(".")[2].partition("?")[0].lower()
    return FetchedMedia(
        {"pdf": "application/pdf", "mp3": "audio/mp3", "mp4": "video/mp4"}.get(ending, "image/png"), b"data"
    )


def _new_id(prefix: str) -> str:
    return f"{prefix}{'0' * 23}1"


def upstream_of(case: Case) -> Codec:
    """The codec that reads a recorded answer, in the dialect of the service that gave it."""
    provider = providers().get(case.provider)
    return upstream_codec(APIS[case.api], provider.dialect if provider else COMPATIBLE)


def recorded_events(case: Case) -> list[Event]:
    """The events of a recorded answer."""
    if case.body_text.lstrip().startswith("{"):
        return list(upstream_of(case).decode_response(json.loads(case.body_text), IdFactory(_new_id)))
    return _streamed(upstream_of(case), case.body_text.encode())


def _streamed(codec: Codec, raw: bytes) -> list[Event]:
    decoder = codec.stream_decoder(IdFactory(_new_id))
    parser: sse.Parser | ArraySplitter = ArraySplitter() if raw.lstrip().startswith(b"[") else sse.Parser()
    events: list[Event] = []
    for item in [*parser.feed(raw), *parser.close()]:
        events += decoder.feed(item)
    return [*events, *decoder.close()]


def answer_for(case: Case, client: ProtocolName) -> bytes:
    """A recorded answer as a client of another protocol gets it."""
    body = case.body_text.strip().encode()
    adapter, upstream = _way_back(case, client, stream=not body.startswith(b"{"))
    if body.startswith(b"{"):
        full = adapter.read(upstream, body)
        assert full.watch.failure is None, f"no answer: {full.watch.failure.message}"
        return full.body
    if body.startswith(b"["):
        # Translating, bm asks for a stream: the recorded chunks are what it would have got.
        body = b"".join(b"data: " + msgspec.json.encode(chunk) + b"\r\n\r\n" for chunk in msgspec.json.decode(body))
    pipe, body = adapter.pipe(upstream), body + b"\n\n"
    reported = b"".join([pipe.feed(body[at : at + 997]) for at in range(0, len(body), 997)]) + pipe.close()
    assert pipe.watch.failure is None, f"no answer: {pipe.watch.failure.message}"
    return reported


def _way_back(case: Case, client: ProtocolName, *, stream: bool) -> tuple[Adapter, UpstreamCall]:
    """What adapts an answer for a client that wants to see everything."""
    call = Call(id="req_1", protocol=client, operation="generate", headers=[], body=b"{}", model="asked", stream=stream)
    adapter = Adapter(call, SignatureStore(), Rules())
    adapter.chat = ChatRequest(
        protocol=client,
        model="asked",
        turns=(),
        stream=stream,
        stream_usage=True,
        reasoning=Reasoning(level="high", visible=True),
    )
    nothing = UpstreamRequest("upstream", "POST", "http://127.0.0.1", [], b"")
    target = Target("upstream", "one", "answering", APIS[case.api])
    return adapter, UpstreamCall(target, nothing, upstream_of(case), names={})


def reported_events(client: ProtocolName, raw: bytes) -> list[Event]:
    """The events that a client reads from an answer."""
    if raw.startswith(b"{"):
        return list(CODECS[client].decode_response(json.loads(raw), IdFactory(_new_id)))
    return _streamed(CODECS[client], raw)


def faults_of(client: ProtocolName, raw: bytes) -> list[str]:
    """The problems that the official types and the official SDK report in an answer."""
    stream = not raw.startswith(b"{")
    api, text = api_of(client, stream=stream), raw.decode()
    found = validators().validate_response(api, text, compat=False)
    parsed = gemini_faults(raw, stream=stream) if client == "gemini" else _sdk_faults(api, text)
    return [*found.errors, *found.warnings, *parsed]


def _sdk_faults(api: str, text: str) -> list[str]:
    parsed = validators().sdk_parse(api, text)
    return [*parsed.errors, *parsed.warnings]


_BODY = [b""]


@cache
def _gemini_sdk() -> genai.Client:
    """One client for all, since it takes long to make; it reads what `_BODY` holds."""

    def answer(request: httpx.Request) -> httpx.Response:
        kind = "application/json" if _BODY[0].startswith(b"{") else "text/event-stream"
        return httpx.Response(200, headers={"content-type": kind}, content=_BODY[0])

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return genai.Client(api_key="key", http_options=HttpOptions(base_url="http://127.0.0.1", httpx_client=client))


def gemini_faults(raw: bytes, *, stream: bool) -> list[str]:
    """The problems that google-genai reports in an answer."""
    _BODY[0] = raw
    try:
        if stream:
            list(_gemini_sdk().models.generate_content_stream(model="m", contents="x"))
        else:
            _gemini_sdk().models.generate_content(model="m", contents="x")
    except (ValueError, TypeError, AttributeError, errors.APIError) as error:
        return [f"the SDK fails: {error!r}"]
    return []


def answered(api: str) -> list[Case]:
    """The cases of an API with a good answer."""
    return [case for case in corpus_cases(api) if case.status < 400]

"""Embeddings for a target that speaks another protocol than the client."""

from __future__ import annotations

import msgspec

from bm.accounts.account import Access
from bm.chat.parts import Json
from bm.dispatch.target import Target
from bm.gateway.call import Call, json_object
from bm.gateway.lane import JSON_TYPE, Lane, Whole, failed
from bm.names import ProtocolName
from bm.protocols.embeddings import (
    answer_gemini,
    answer_openai,
    from_gemini,
    from_openai,
    to_gemini,
    to_openai,
    vectors,
)
from bm.protocols.passthrough import Watch
from bm.protocols.registry import upstream_codec
from bm.providers.provider import Provider
from bm.upstream.client import UpstreamRequest
from bm.upstream.endpoint import Operation, own_headers, url

EMBEDDING: frozenset[Operation] = frozenset({"embed", "batch_embed"})
GEMINI_EMBEDDING = "gemini-embedding-001"
"""What embeds on Gemini when the client names another vendor's model."""


def operation_of(call: Call, target: Target) -> Operation:
    """The call's operation in the target's words."""
    if call.operation not in EMBEDDING or target.protocol == call.protocol:
        return call.operation
    return "batch_embed" if target.protocol == "gemini" else "embed"


def embedding_lane(call: Call, target: Target, provider: Provider, access: Access) -> Lane:
    """The request for a target, written anew.

    Raises:
        RequestError: the body is not a request of its protocol.
    """
    body = json_object(call.body)
    request = from_gemini(body) if call.protocol == "gemini" else from_openai(body)
    gemini = target.protocol == "gemini"
    if gemini and "embed" not in target.model:
        target = msgspec.structs.replace(target, model=GEMINI_EMBEDDING)
    document = to_gemini(request, target.model) if gemini else to_openai(request, target.model)
    address = url(provider, target, operation_of(call, target), access, stream=False)
    headers = own_headers(provider, access)
    upstream = UpstreamRequest(provider.name, "POST", address, headers, msgspec.json.encode(document))
    return Lane(target, upstream, upstream_codec(target.protocol, provider.dialect), embedding=request)


def embedded(protocol: ProtocolName, lane: Lane, answer: Json) -> Whole:
    """The answer in the client's protocol."""
    assert lane.embedding is not None
    try:
        found, tokens = vectors(answer)
    except ValueError as error:
        return failed(f"{lane.target.provider}: {error}")
    if protocol == "gemini":
        document = answer_gemini(lane.embedding, found)
    else:
        document = answer_openai(lane.embedding, found, tokens, lane.target.model)
    return Whole(Watch(), msgspec.json.encode(document), JSON_TYPE)

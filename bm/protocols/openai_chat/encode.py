"""A request in canonical form, written for an upstream that speaks Chat Completions."""

from __future__ import annotations

import re

import msgspec

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Loss, OutputFormat
from bm.chat.thinking import takes_sampling
from bm.names import CHAT
from bm.protocols.codec import Encoded
from bm.protocols.openai.formats import openai_format
from bm.protocols.openai_chat.thinking import encode_reasoning, wanted_level
from bm.protocols.openai_chat.tools import encode_tools
from bm.protocols.openai_chat.turns import Writer
from bm.protocols.parameters import (
    SAMPLING,
    drop_refused,
    field_name,
    max_tokens,
    own_extras,
    sampling,
    short,
    stop_sequences,
)
from bm.protocols.reading import refuse

MAX_USER = 128
MAX_CACHE_KEY = 64
"""Longer values are answered with 400 (OpenAI's API reference, `safety_identifier` and `prompt_cache_key`)."""

_IGNORABLE = frozenset(
    {"stream_options", "reasoning_format", "user", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"}
)
"""Fields without which an answer is the same: those that bm adds, identities, and what `SingleCall` sees to."""

_FORMAT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write a request for `model`.

    Raises:
        RequestError: the model does not take the user's media or gives one answer where several are asked for, or an
            answer of no tokens is.
    """
    dialect = capabilities.dialect
    losses: list[Loss] = []
    level, _ = wanted_level(request, capabilities)
    capabilities = msgspec.structs.replace(capabilities, sampling=takes_sampling(level, capabilities))
    if request.choices > 1 and ("n" in dialect.refuses or not capabilities.choices):
        raise refuse("n", "the model gives one answer a request", code="unsupported_value")
    body: Json = {"model": model, "messages": []}
    tools = encode_tools(request, capabilities, losses)
    form = openai_format(request, capabilities, losses)
    writer = Writer(capabilities, losses)
    writer.write(request, form.instruction)
    body["messages"] = writer.messages
    body |= tools
    if form.kind != "text":
        body["response_format"] = _format(request.output) if form.kind == "schema" else {"type": "json_object"}
    known = SAMPLING if "top_k" in dialect.takes else [name for name in SAMPLING if name != "top_k"]
    body |= sampling(request, capabilities, losses, protocol=CHAT, known=known)
    body |= encode_reasoning(request, capabilities, losses)
    if (tokens := max_tokens(request, capabilities.max_output)) is not None:
        body[capabilities.max_tokens_field or dialect.max_tokens_field] = tokens
    if request.stop and not capabilities.stop:
        losses.append(Loss(field_name(request, "stop"), "the model takes no stop sequences"))
    elif stop := stop_sequences(request, capabilities.max_stop or dialect.max_stop, losses):
        body["stop"] = stop
    if request.choices > 1:
        body["n"] = request.choices
    body |= _identity(request, dialect)
    if request.stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    for extra in own_extras(request, CHAT, losses):
        body.setdefault(extra.field, extra.value)
    for name, own in dialect.renames:
        if name in body:
            body[own] = body.pop(name)
    refused = dialect.refuses | (body.keys() - dialect.only if dialect.only else set())
    drop_refused(body, refused, _IGNORABLE, losses)
    return Encoded(body, tuple(losses))


def _identity(request: ChatRequest, dialect: Dialect) -> Json:
    members: Json = {}
    if request.user:
        members["safety_identifier" if dialect.name == "openai" else "user"] = short(request.user, MAX_USER)
    if request.cache_key and dialect.name == "openai":
        members["prompt_cache_key"] = short(request.cache_key, MAX_CACHE_KEY)
    return members


def _format(output: OutputFormat) -> Json:
    inner: Json = {"name": _FORMAT_NAME.sub("_", output.name)[:64] or "response", "schema": output.schema or {}}
    if output.description:
        inner["description"] = output.description
    if output.strict is not None:
        inner["strict"] = output.strict
    return {"type": "json_schema", "json_schema": inner}

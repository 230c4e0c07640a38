"""A request in canonical form, written for an upstream that speaks Chat Completions."""

from __future__ import annotations

import hashlib
import re

import msgspec

from bm.chat.capabilities import Capabilities, Dialect
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Loss, OutputFormat
from bm.chat.thinking import takes_sampling
from bm.protocols.codec import Encoded
from bm.protocols.ignorable_fields import is_loss, is_sampling_loss
from bm.protocols.openai_chat.content import PROTOCOL
from bm.protocols.openai_chat.thinking import encode_reasoning, wanted_level
from bm.protocols.openai_chat.tools import encode_tools
from bm.protocols.openai_chat.turns import Writer
from bm.protocols.reading import refuse

MAX_USER = 128
MAX_CACHE_KEY = 64
"""Longer values are answered with 400 (OpenAI's API reference, `safety_identifier` and `prompt_cache_key`)."""

_SPARED = frozenset(
    {"stream_options", "reasoning_format", "user", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"}
)
"""Members without which an answer is the same: bm's own wishes, identities, and what `SingleCall` sees to."""

_FORMAT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write a request for `model`.

    Raises:
        RequestError: the user's media are none that the model takes, several answers of a model that gives one, or an
            answer of no tokens.
    """
    dialect = capabilities.dialect
    level, _ = wanted_level(request, capabilities)
    capabilities = msgspec.structs.replace(capabilities, sampling=takes_sampling(level, capabilities))
    body: Json = {"model": model, "messages": []}
    tools, losses = encode_tools(request, capabilities)
    output, instruction = _output(request, capabilities, losses)
    writer = Writer(capabilities)
    writer.write(request, instruction)
    body["messages"] = writer.messages
    losses += writer.losses
    body |= tools | output
    body |= _sampling(request, capabilities, losses)
    thinking, thinking_losses = encode_reasoning(request, capabilities)
    body |= thinking
    losses += thinking_losses
    body |= _limits(request, capabilities, losses)
    body |= _identity(request, dialect.name == "openai")
    if request.stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    _write_extras(request, body, losses)
    _fit_members(body, dialect, losses)
    return Encoded(body, tuple(losses))


_SAMPLING = (
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logprobs",
    "top_logprobs",
)


def _sampling(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    members: Json = {}
    for key in _SAMPLING:
        value = getattr(request.sampling, key)
        if value is None:
            continue
        reason = _unsampled(key, request, capabilities, members)
        if not reason:
            members[key] = value
        elif is_sampling_loss(request, key):
            losses.append(Loss(key, reason))
    return members


def _unsampled(key: str, request: ChatRequest, capabilities: Capabilities, members: Json) -> str:
    """Why a parameter cannot be sent; empty when it can."""
    if not capabilities.sampling and key in ("temperature", "top_p", "top_k"):
        return "the model takes no sampling parameters"
    if not capabilities.penalties and key.endswith("_penalty"):
        return "the model takes no penalties"
    if key == "top_k" and key not in capabilities.dialect.takes:
        return "Chat Completions has no such member"
    if key.endswith("logprobs") and request.protocol != PROTOCOL:
        return "the answer's probabilities have no place in the canonical form"
    if key == "top_p" and capabilities.temperature_or_top_p and "temperature" in members:
        return "the model takes either temperature or top_p"
    return ""


def _limits(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    dialect = capabilities.dialect
    members: Json = {}
    if request.max_tokens == 0:
        raise refuse("max_tokens", "an answer of no tokens only warms Anthropic's cache")
    if request.max_tokens is not None:
        # Agents ask for their own model's maximum; what this one can not give is no loss.
        most = capabilities.max_output or request.max_tokens
        members[capabilities.max_tokens_field or dialect.max_tokens_field] = min(request.max_tokens, most)
    if request.stop and not capabilities.stop:
        losses.append(Loss("stop", "the model takes no stop sequences"))
    elif request.stop:
        most = capabilities.max_stop or dialect.max_stop or len(request.stop)
        members["stop"] = list(request.stop[:most])
        if len(request.stop) > most:
            losses.append(Loss(f"stop[{most}:]", f"the service takes {most} stop sequences"))
    if request.choices > 1:
        if "n" in dialect.refuses or not capabilities.choices:
            raise refuse("n", "the model gives one answer a request", code="unsupported_value")
        members["n"] = request.choices
    return members


def _output(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> tuple[Json, str]:
    """`response_format`, and an instruction in words for what the service has no format for."""
    output = request.output
    if output.kind == "text":
        return {}, ""
    able = capabilities.structured_output
    if request.tools and not capabilities.structured_with_tools:
        able = "none"
    if output.kind == "schema" and able == "schema":
        inner: Json = {"name": _FORMAT_NAME.sub("_", output.name)[:64] or "response", "schema": output.schema or {}}
        if output.description:
            inner["description"] = output.description
        if output.strict is not None:
            inner["strict"] = output.strict
        return {"response_format": {"type": "json_schema", "json_schema": inner}}, ""
    form: Json = {} if able == "none" else {"response_format": {"type": "json_object"}}
    if form and output.kind == "json":
        return form, ""
    losses.append(Loss("response_format", "the model is asked in words: it takes no such format here"))
    return form, _in_words(output)


def _in_words(output: OutputFormat) -> str:
    if output.kind == "json" or not output.schema:
        return "Answer with a single JSON object and nothing else."
    schema = msgspec.json.encode(output.schema).decode()
    return f"Answer with a single JSON value and nothing else. It must fit this JSON Schema:\n{schema}"


def _identity(request: ChatRequest, openai: bool) -> Json:
    members: Json = {}
    if request.user:
        members["safety_identifier" if openai else "user"] = _short(request.user, MAX_USER)
    if request.cache_key and openai:
        members["prompt_cache_key"] = _short(request.cache_key, MAX_CACHE_KEY)
    return members


def _short(text: str, most: int) -> str:
    """The text, or a digest of it that still tells one user or conversation from another."""
    return text if len(text) <= most else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:most]


def _write_extras(request: ChatRequest, body: Json, losses: list[Loss]) -> None:
    for extra in request.extras:
        if extra.protocol == PROTOCOL and "[" not in extra.field:
            body.setdefault(extra.field, extra.value)
        elif is_loss(extra):
            losses.append(Loss(extra.field, "Chat Completions has no such member"))


def _fit_members(body: Json, dialect: Dialect, losses: list[Loss]) -> None:
    """Rename members the service calls otherwise, and take out those it refuses. A refused default is no loss."""
    for name, own in dialect.renames:
        if name in body:
            body[own] = body.pop(name)
    refused = dialect.refuses & body.keys()
    if dialect.only:
        refused |= body.keys() - dialect.only
    for key in sorted(refused):
        value = body.pop(key)
        harmless = key in _SPARED or (key == "logprobs" and value is False)
        if not harmless:
            losses.append(Loss(key, "the service refuses it"))

"""A request in canonical form, written for the Responses API."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.repair import with_call_in_words
from bm.chat.request import ChatRequest, Loss
from bm.chat.thinking import asks_in_words
from bm.names import CHAT, RESPONSES
from bm.protocols.codec import Encoded
from bm.protocols.openai.parameters import encode_schema, identity, openai_format
from bm.protocols.openai_responses.portable import portable
from bm.protocols.openai_responses.thinking import encode_reasoning
from bm.protocols.openai_responses.tools import by_name, encode_choice, encode_tools
from bm.protocols.openai_responses.turns import TurnWriter
from bm.protocols.parameters import drop_refused, drop_values, field_name, max_tokens, own_extras, put, sampling
from bm.protocols.reading import refuse, strings

ENCRYPTED = "reasoning.encrypted_content"
LEAST_OUTPUT = 16
"""OpenAI answers 400 to a smaller `max_output_tokens`."""
_LOGPROBS = "message.output_text.logprobs"
_SETTLED = frozenset({"client_metadata"})
"""Client fields that OpenAI would refuse."""
_IGNORABLE = frozenset({"store", "include"})
"""Fields that bm adds: without them an answer is the same."""

_SAME_IN_CHAT = {
    "metadata": "metadata",
    "service_tier": "service_tier",
    "verbosity": "text.verbosity",
    "prompt_cache_retention": "prompt_cache_retention",
}
"""Fields of OpenAI's Chat API that mean the same here, and where they stand."""

_SERVICE_TIERS = ("auto", "default", "flex", "scale", "priority", "fast")
"""OpenAI's own; other services with a Chat API have tiers of other names."""


def encode_request(request: ChatRequest, capabilities: Capabilities, *, model: str) -> Encoded:
    """Write the request. Nothing is stored upstream, so reasoning comes back encrypted and is sent along.

    Raises:
        RequestError: several answers are wanted, or the request has media that no Responses model takes.
    """
    if request.choices > 1:
        raise refuse("n", "the Responses API gives one answer")
    losses: list[Loss] = []
    if capabilities.dialect.name != "openai":
        request = portable(request, capabilities.dialect.name, losses)
    form = openai_format(request, capabilities, losses)
    request = with_call_in_words(request, capabilities)
    history = TurnWriter(request, capabilities, losses, form.instruction)
    body: Json = {"model": model, **history.head(), "input": history.items}
    body |= _tools(request, capabilities, losses)
    known = ("temperature", "top_p", "logprobs", "top_logprobs")
    body |= sampling(request, capabilities, losses, protocol=RESPONSES, known=known)
    include = {_LOGPROBS} if body.pop("logprobs", False) else set()
    if request.stop:
        losses.append(Loss(field_name(request, "stop"), "the Responses API has no stop sequences"))
    if (tokens := max_tokens(request, capabilities.max_output)) is not None:
        body["max_output_tokens"] = max(tokens, LEAST_OUTPUT)
    body |= encode_reasoning(request, capabilities, losses)
    if form.kind != "text":
        schema = {"type": "json_schema", **encode_schema(request.output)}
        body["text"] = {"format": schema if form.kind == "schema" else {"type": "json_object"}}
    body |= {"stream": request.stream, "store": False, **identity(request)}
    _write_extras(body, request, losses)
    if capabilities.thinking != "none" or history.encrypted:
        include.add(ENCRYPTED)
    if include := include | set(strings(body, "include")):
        body["include"] = sorted(include)
    drop_refused(body, capabilities.dialect.refuses, _IGNORABLE, losses)
    drop_values(body, capabilities.refuses, losses)
    return Encoded(body, tuple(losses))


def _tools(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    if not (tools := encode_tools(request, losses)):
        return {}
    choice = request.tool_choice
    members: Json = {"tools": tools, "tool_choice": encode_choice(choice, by_name(request))}
    if asks_in_words(request, capabilities):
        losses.append(Loss("tool_choice", "the model does not let a call be forced; it is asked for one"))
        members["tool_choice"] = "auto"
    if choice.parallel is not None:
        members["parallel_tool_calls"] = choice.parallel
    return members


def _write_extras(body: Json, request: ChatRequest, losses: list[Loss]) -> None:
    for extra in own_extras(request, RESPONSES, losses):
        if extra.field not in _SETTLED:
            put(body, extra.field, extra.value)
    for extra in request.extras:
        if extra.protocol != CHAT or extra.field not in _SAME_IN_CHAT:
            continue
        if extra.field == "service_tier" and extra.value not in _SERVICE_TIERS:
            losses.append(Loss(extra.field, f"OpenAI has no tier {extra.value!r}"))
        else:
            put(body, _SAME_IN_CHAT[extra.field], extra.value)

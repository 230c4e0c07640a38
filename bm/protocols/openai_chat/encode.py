"""A request in canonical form, written for Chat Completions."""

from __future__ import annotations

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.repair import with_call_in_words
from bm.chat.request import ChatRequest, Loss
from bm.chat.thinking import takes_sampling
from bm.names import CHAT
from bm.protocols import parameters
from bm.protocols.codec import Encoded
from bm.protocols.openai.parameters import encode_schema, identity, openai_format
from bm.protocols.openai_chat.thinking import encode_reasoning, wanted_level
from bm.protocols.openai_chat.tools import encode_tools
from bm.protocols.openai_chat.turns import TurnWriter
from bm.protocols.reading import refuse

_IGNORABLE = frozenset(
    {"stream_options", "reasoning_format", "user", "safety_identifier", "prompt_cache_key", "parallel_tool_calls"}
)
"""Fields without which an answer is the same: those that bm adds, identities, and what `SingleCall` sees to."""


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
    request = with_call_in_words(request, capabilities)
    writer = TurnWriter(capabilities, losses)
    writer.write(request, form.instruction)
    body["messages"] = writer.messages
    body |= tools
    if form.kind != "text":
        schema = {"type": "json_schema", "json_schema": encode_schema(request.output)}
        body["response_format"] = schema if form.kind == "schema" else {"type": "json_object"}
    unknown = () if "top_k" in dialect.takes else ("top_k",)
    known = [name for name in parameters.SAMPLING if name not in unknown]
    body |= parameters.sampling(request, capabilities, losses, protocol=CHAT, known=known)
    body |= encode_reasoning(request, capabilities, losses)
    if (tokens := parameters.max_tokens(request, capabilities.max_output)) is not None:
        body[capabilities.max_tokens_field or dialect.max_tokens_field] = tokens
    if request.stop and not capabilities.stop:
        losses.append(Loss(parameters.field_name(request, "stop"), "the model takes no stop sequences"))
    elif stop := parameters.stop_sequences(request, capabilities.max_stop or dialect.max_stop, losses):
        body["stop"] = stop
    if request.choices > 1:
        body["n"] = request.choices
    body |= identity(request, openai=dialect.name == "openai")
    if request.stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    for extra in parameters.own_extras(request, CHAT, losses):
        body.setdefault(extra.field, extra.value)
    for name, own in dialect.renames:
        if name in body:
            body[own] = body.pop(name)
    refused = dialect.refuses | (body.keys() - dialect.only if dialect.only else set())
    parameters.drop_refused(body, refused, _IGNORABLE, losses)
    parameters.drop_values(body, capabilities.refuses, losses)
    return Encoded(body, tuple(losses))

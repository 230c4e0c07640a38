"""A canonical request as a generateContent body."""

from __future__ import annotations

from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.request import ChatRequest, Extra, Loss
from bm.protocols.codec import Encoded
from bm.protocols.gemini.thinking import encode_thinking, unheard
from bm.protocols.gemini.tools import encode_tools, schema_member
from bm.protocols.gemini.turns import ContentWriter, check_parts
from bm.protocols.ignorable_fields import is_loss, is_sampling_loss
from bm.protocols.reading import refuse

MAX_OUTPUT = 65_536
"""The most that any current model answers; a larger `maxOutputTokens` is a 400, and Claude Code asks for 128000."""
MAX_STOP = 5
_INT32 = 2**31

# Claude Code's first system block changes with every request; it is no instruction and would break the cached prefix.
_BILLING = "x-anthropic-billing-header"

_REFUSED: dict[str, str] = {
    "container": "a container lives at its own vendor",
    "compaction": "only its own vendor compacts a conversation",
    "thread": "a thread lives at its own vendor",
    "previous_response_id": "the earlier response lives at its own vendor",
    "conversation": "the conversation lives at its own vendor",
    "background": "Gemini answers at once",
    "audio": "Gemini does not speak through this API",
}


def encode_request(request: ChatRequest, capabilities: Capabilities) -> Encoded:
    """Write the request for Gemini. The model stands in the path, not in the body.

    Raises:
        RequestError: the request would mean something else without what Gemini cannot take.
    """
    losses = list(check_parts(request, capabilities))
    body: Json = {"contents": ContentWriter(capabilities).contents(request.turns)}
    system = [{"text": t.text} for t in request.system if t.text and not t.text.startswith(_BILLING)]
    if system:
        body["systemInstruction"] = {"parts": system}
    body |= encode_tools(request, capabilities, losses)
    config = _generation(request, capabilities, losses)
    if config:
        body["generationConfig"] = config
    for extra in request.extras:
        _write_extra(body, extra, losses)
    return Encoded(body, tuple(losses))


def _generation(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    config: Json = {}
    if request.max_tokens is not None:
        if request.max_tokens < 1:
            raise refuse("max_tokens", "Gemini cannot be asked for no tokens at all")
        config["maxOutputTokens"] = min(request.max_tokens, capabilities.max_output or MAX_OUTPUT)
    stop = [text for text in request.stop if text]
    if stop:
        most = capabilities.max_stop or MAX_STOP
        config["stopSequences"] = stop[:most]
        if len(stop) > most:
            losses.append(Loss(_stop_field(request), f"Gemini takes the first {most} of {len(stop)}"))
    if request.choices > 1:
        config["candidateCount"] = request.choices
    _write_sampling(request, capabilities, config, losses)
    _write_output(request, capabilities, config, losses)
    thinking = encode_thinking(request, capabilities, config.get("maxOutputTokens"))
    if thinking is not None:
        config["thinkingConfig"] = thinking
    elif unheard(request, capabilities):
        losses.append(Loss(_thinking_field(request), "this model does not think"))
    return config


def _stop_field(request: ChatRequest) -> str:
    return {"anthropic": "stop_sequences", "gemini": "generationConfig.stopSequences"}.get(request.protocol, "stop")


def _thinking_field(request: ChatRequest) -> str:
    return {"openai-chat": "reasoning_effort", "openai-responses": "reasoning"}.get(request.protocol, "thinking")


def _write_sampling(request: ChatRequest, capabilities: Capabilities, config: Json, losses: list[Loss]) -> None:
    asked = request.sampling
    members: Json = {
        "temperature": None if asked.temperature is None else min(max(asked.temperature, 0.0), 2.0),
        "topP": asked.top_p,
        "topK": asked.top_k,
    }
    names = {"temperature": "temperature", "topP": "top_p", "topK": "top_k"}
    for name, value in members.items():
        if value is not None and capabilities.sampling:
            config[name] = value
        elif is_sampling_loss(request, names[name]):
            losses.append(Loss(names[name], "this model samples in its own way"))
    for name, field, value in (
        ("presencePenalty", "presence_penalty", asked.presence_penalty),
        ("frequencyPenalty", "frequency_penalty", asked.frequency_penalty),
    ):
        if value and capabilities.penalties:
            config[name] = value
        elif value:
            losses.append(Loss(field, "this model takes no penalties"))
    if asked.seed is not None:
        config["seed"] = (asked.seed + _INT32) % (2 * _INT32) - _INT32
    if asked.logprobs and request.protocol != "gemini":
        losses.append(Loss("logprobs", "log probabilities do not cross from one protocol to another"))
    elif asked.logprobs:
        config["responseLogprobs"] = True
        if asked.top_logprobs:
            config["logprobs"] = asked.top_logprobs


def _write_output(request: ChatRequest, capabilities: Capabilities, config: Json, losses: list[Loss]) -> None:
    output = request.output
    if output.kind == "text":
        return
    field = "output_config.format" if request.protocol == "anthropic" else "response_format"
    if request.tools and not capabilities.structured_with_tools:
        losses.append(Loss(field, "this model does not combine it with tools"))
    elif capabilities.structured_output == "none":
        losses.append(Loss(field, "this model has no structured output"))
    else:
        config["responseMimeType"] = "application/json"
        if output.kind == "schema" and output.schema is not None:
            if capabilities.structured_output == "schema":
                config |= schema_member("responseSchema", output.schema, capabilities)
            else:
                losses.append(Loss(f"{field}.schema", "this model only promises JSON"))


def _write_extra(body: Json, extra: Extra, losses: list[Loss]) -> None:
    if extra.protocol == "gemini":
        if extra.field.startswith("contents"):
            losses.append(Loss(extra.field, "kept only where the request passes through"))
        else:
            _put(body, extra.field.split("."), extra.value)
    elif extra.field in _REFUSED and extra.value not in (None, False):
        raise refuse(extra.field, f"cannot be served by Gemini: {_REFUSED[extra.field]}")
    elif is_loss(extra):
        losses.append(Loss(extra.field, "Gemini has no such option"))


def _put(body: Json, path: list[str], value: Any) -> None:
    """Set a member below others. Only objects that this codec made are written into."""
    here = body
    for name in path[:-1]:
        here = here.setdefault(name, {})
    here[path[-1]] = value

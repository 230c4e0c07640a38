"""Sampling, stop sequences and output formats, written as far as the model takes them."""

from __future__ import annotations

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, Loss, OutputFormat
from bm.protocols.ignorable_fields import is_sampling_loss
from bm.protocols.json_schema.subsets import closed_schema

MIN_TOP_P_WITH_THINKING = 0.95
_ABSENT = ("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")


def encode_sampling(request: ChatRequest, capabilities: Capabilities, *, thinking: bool) -> tuple[Json, list[Loss]]:
    """`temperature`, `top_p` and `top_k`, within the model's rules."""
    sampling = request.sampling
    losses = [Loss(name, "Anthropic has no such parameter") for name in _ABSENT if getattr(sampling, name)]
    body: Json = {}
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(sampling, name)
        if value is None:
            continue
        reason = _refusal(name, value, body, capabilities, thinking)
        if not reason:
            body[name] = value
        elif is_sampling_loss(request, name):
            losses.append(Loss(name, reason))
    if body.get("temperature", 0) > 1:
        body["temperature"] = 1
        losses.append(Loss("temperature", "lowered to 1, the most that Claude takes"))
    return body, losses


def _refusal(name: str, value: float, body: Json, capabilities: Capabilities, thinking: bool) -> str:
    """Why a parameter cannot be sent; empty when it can."""
    if not capabilities.sampling:
        return "the model refuses sampling parameters"
    if name == "temperature":
        return "must be 1 while the model thinks" if thinking and value != 1 else ""
    if name == "top_k":
        return "cannot be set while the model thinks" if thinking else ""
    if capabilities.temperature_or_top_p and "temperature" in body:
        return "the model takes temperature or top_p, not both"
    if thinking and value < MIN_TOP_P_WITH_THINKING:
        return f"must be at least {MIN_TOP_P_WITH_THINKING} while the model thinks"
    return ""


def encode_stop(stop: tuple[str, ...], capabilities: Capabilities) -> tuple[Json, list[Loss]]:
    """`stop_sequences`; those of white space alone are refused upstream."""
    kept = [text for text in stop if text.strip()]
    losses = [Loss("stop", "a stop sequence of white space is refused")] if len(kept) < len(stop) else []
    if capabilities.max_stop and len(kept) > capabilities.max_stop:
        kept = kept[: capabilities.max_stop]
        losses.append(Loss("stop", f"the model takes {capabilities.max_stop} stop sequences"))
    return ({"stop_sequences": kept} if kept else {}), losses


def encode_output(output: OutputFormat, capabilities: Capabilities) -> tuple[Json, tuple[Text, ...], list[Loss]]:
    """The `output_config` for a format, or the instruction that stands for it."""
    if output.kind == "text":
        return {}, (), []
    if output.kind == "schema" and output.schema is not None and capabilities.structured_output == "schema":
        return {"format": {"type": "json_schema", "schema": closed_schema(output.schema)}}, (), []
    lost = [Loss("response_format", "asked for in the prompt, not enforced")]
    return {}, (Text(_instruction(output)),), lost


def _instruction(output: OutputFormat) -> str:
    text = "Answer with one JSON object and nothing else: no explanation, no code fence."
    if output.schema is None:
        return text
    return f"{text} It must fit this JSON Schema:\n{_spelled(output.schema)}"


def _spelled(schema: Json) -> str:
    return msgspec.json.encode(schema).decode()

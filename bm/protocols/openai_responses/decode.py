"""A client's request read into canonical form."""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, Extra, OutputFormat, Reasoning, Sampling, ToolChoice
from bm.names import Level
from bm.protocols.openai_responses.citations import PROTOCOL
from bm.protocols.openai_responses.errors import bad_request
from bm.protocols.openai_responses.tools import decode_choice, decode_tools
from bm.protocols.openai_responses.turns import Conversation

LEVELS: dict[str, Level] = {
    "none": "off",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
"""OpenAI's words for the levels of thinking."""

_MAPPED = {
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p",
    "top_logprobs", "max_output_tokens", "stream", "text", "reasoning", "prompt_cache_key", "user",
    "safety_identifier", "background", "conversation", "previous_response_id",
}  # fmt: skip

_STATEFUL = {
    "conversation": "conversations are kept at OpenAI; send the whole input instead",
    "background": "answers in the background are not supported",
}


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a request.

    An `item_reference` or a `previous_response_id` that is still there refers to nothing: `state.continued` resolves
    them beforehand. A message's `phase` and its id have no place in the canonical form.

    Raises:
        RequestError: the body is not a request, or needs state that only OpenAI has.
    """
    _refuse_state(body)
    named = model or body.get("model")
    if not isinstance(named, str) or not named:
        raise bad_request("expected the name of a model", "model")
    conversation = _conversation(body)
    functions, hosted = decode_tools(body.get("tools"))
    choice = decode_choice(body.get("tool_choice"), body.get("parallel_tool_calls"))
    output, extras = _output(body.get("text"))
    reasoning, more = _reasoning(body.get("reasoning"))
    extras += more + [Extra(PROTOCOL, name, value) for name, value in body.items() if name not in _MAPPED]
    if choice is None:
        extras.append(Extra(PROTOCOL, "tool_choice", body["tool_choice"]))
        choice = ToolChoice("auto", parallel=_typed(body, "parallel_tool_calls", bool))
    known = {tool.name for tool in functions}
    return ChatRequest(
        protocol=PROTOCOL,
        model=named,
        turns=conversation.turns,
        system=tuple(conversation.system),
        tools=(*functions, *(tool for tool in conversation.tools if tool.name not in known)),
        hosted_tools=tuple(hosted),
        tool_choice=choice,
        sampling=_sampling(body),
        reasoning=reasoning,
        output=output,
        max_tokens=_typed(body, "max_output_tokens", int),
        stream=bool(body.get("stream")) if stream is None else stream,
        stream_usage=True,
        user=_typed(body, "safety_identifier", str) or _typed(body, "user", str) or "",
        cache_key=_typed(body, "prompt_cache_key", str) or "",
        extras=tuple(extras),
    )


def _refuse_state(body: Json) -> None:
    earlier = body.get("previous_response_id")
    if earlier:
        message = f"Previous response with id '{earlier}' not found."
        raise bad_request(message, "previous_response_id", "previous_response_not_found")
    for field, reason in _STATEFUL.items():
        if body.get(field):
            raise bad_request(reason, field)


def _conversation(body: Json) -> Conversation:
    conversation = Conversation()
    match body.get("instructions"):
        case None | "":
            pass
        case str(text):
            conversation.system.append(Text(text))
        case list(items):
            for i, item in enumerate(items):
                conversation.add(item, f"instructions[{i}]")
        case _:
            raise bad_request("expected a string", "instructions")
    match body.get("input"):
        case str(text):
            conversation.add({"role": "user", "content": text}, "input")
        case list(items):
            for i, item in enumerate(items):
                conversation.add(item, f"input[{i}]")
        case None if body.get("prompt"):
            pass
        case _:
            raise bad_request("expected a string or a list of items", "input")
    return conversation


def _output(text: Any) -> tuple[OutputFormat, list[Extra]]:
    if text is None:
        return OutputFormat(), []
    if not isinstance(text, dict):
        raise bad_request("expected an object", "text")
    extras = [Extra(PROTOCOL, f"text.{name}", value) for name, value in text.items() if name != "format"]
    match text.get("format"):
        case None | {"type": "text"}:
            return OutputFormat(), extras
        case {"type": "json_object"}:
            return OutputFormat("json"), extras
        case {"type": "json_schema", "schema": dict(schema)} as wire:
            name, description = wire.get("name") or "", wire.get("description") or ""
            return OutputFormat("schema", schema, name, description, wire.get("strict")), extras
        case _:
            raise bad_request("expected the format text, json_object or json_schema", "text.format")


def _reasoning(reasoning: Any) -> tuple[Reasoning, list[Extra]]:
    if reasoning is None:
        return Reasoning(), []
    if not isinstance(reasoning, dict):
        raise bad_request("expected an object", "reasoning")
    effort = reasoning.get("effort")
    if effort is not None and effort not in LEVELS:
        raise bad_request(f"expected one of {', '.join(LEVELS)}", "reasoning.effort")
    summary = reasoning.get("summary") or reasoning.get("generate_summary")
    plain = {"effort"} | ({"summary"} if summary in (None, "auto") else set())
    extras = [Extra(PROTOCOL, f"reasoning.{name}", value) for name, value in reasoning.items() if name not in plain]
    visible = True if isinstance(summary, str) and summary != "none" else None
    return Reasoning(level=LEVELS[effort] if effort else None, visible=visible), extras


def _sampling(body: Json) -> Sampling:
    include = body.get("include")
    logprobs = isinstance(include, list) and "message.output_text.logprobs" in include
    return Sampling(
        temperature=_typed(body, "temperature", float),
        top_p=_typed(body, "top_p", float),
        logprobs=logprobs or None,
        top_logprobs=_typed(body, "top_logprobs", int),
    )


def _typed(body: Json, field: str, kind: type) -> Any:
    """The value of a member that must be of a type if it is there; a whole number is also a `float`."""
    value = body.get(field)
    if value is None:
        return None
    right = isinstance(value, int | float if kind is float else kind)
    if not right or (isinstance(value, bool) and kind is not bool):
        raise bad_request(f"expected {'a number' if kind in (int, float) else kind.__name__}", field)
    return value

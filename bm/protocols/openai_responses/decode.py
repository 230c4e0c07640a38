"""A client's Responses request, read into canonical form."""

from __future__ import annotations

import msgspec

from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, OutputFormat, Sampling, ToolChoice
from bm.names import RESPONSES
from bm.protocols import reading
from bm.protocols.compaction import asks_to_compact
from bm.protocols.openai.parameters import decode_format
from bm.protocols.openai.tools import decode_choice
from bm.protocols.openai_responses.thinking import decode_reasoning
from bm.protocols.openai_responses.tools import Names, declared_tools
from bm.protocols.openai_responses.turns import TurnReader, not_found

_MAPPED = {
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p",
    "top_logprobs", "max_output_tokens", "stream", "text", "reasoning", "prompt_cache_key", "user",
    "safety_identifier", "background", "conversation", "previous_response_id",
}  # fmt: skip

_CONFIGURABLE = ("reasoning", "text")
"""Members of a request that an item of type `configuration_update` changes."""

_STATEFUL = {
    "conversation": "conversations are kept at OpenAI; send the whole input instead",
    "background": "answers in the background are not supported",
}


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a request.

    A remaining `item_reference` or `previous_response_id` refers to nothing: `items.continued` resolves them
    beforehand. The id of a message has no place in the canonical form.

    Raises:
        RequestError: the body is not a request, or needs state that only OpenAI has.
    """
    _refuse_state(body)
    unread = reading.Unread(RESPONSES)
    unread.rest(body, _MAPPED)
    tools, hosted, names = declared_tools(body)
    conversation = _conversation(body, names)
    body = _configured(body)
    parallel = reading.boolean(body, "parallel_tool_calls")
    choice = decode_choice(body.get("tool_choice"), parallel)
    if choice is None:
        unread.add("tool_choice", body["tool_choice"])
        choice = ToolChoice("auto", parallel=parallel)
    request = ChatRequest(
        protocol=RESPONSES,
        model=model or reading.filled_string(body, "model", what="the name of a model"),
        turns=conversation.turns,
        system=tuple(conversation.system),
        tools=tuple(tools),
        hosted_tools=tuple(hosted),
        tool_choice=choice,
        sampling=_sampling(body),
        reasoning=decode_reasoning(body, unread),
        output=_output(body, unread),
        max_tokens=reading.integer(body, "max_output_tokens"),
        stream=bool(reading.boolean(body, "stream")) if stream is None else stream,
        stream_usage=True,
        user=reading.string(body, "safety_identifier") or reading.string(body, "user"),
        cache_key=reading.string(body, "prompt_cache_key"),
        extras=tuple(unread.extras),
    )
    if asks_to_compact(request):
        # The summary is plain text, whatever the answers of the conversation are.
        return msgspec.structs.replace(request, tool_choice=ToolChoice("none"), output=OutputFormat())
    return request


def _refuse_state(body: Json) -> None:
    earlier = body.get("previous_response_id")
    if earlier:
        message = f"Previous response with id '{earlier}' not found."
        raise not_found(message, "previous_response_id", "previous_response_not_found")
    for field, reason in _STATEFUL.items():
        if body.get(field):
            raise reading.refuse(field, reason)


def _configured(body: Json) -> Json:
    """The request with what its conversation changes of its own effort and format."""
    for item in reading.objects_of(body.get("input")):
        if item.get("type") == "configuration_update":
            changed = {
                name: {**reading.object_of(body.get(name)), **reading.object_of(item.get(name))}
                for name in _CONFIGURABLE
            }
            body = {**body, **{name: members for name, members in changed.items() if members}}
    return body


def _conversation(body: Json, names: Names) -> TurnReader:
    conversation = TurnReader(names)
    if isinstance(instructions := body.get("instructions"), str):
        conversation.system += [Text(instructions)] if instructions else []
    else:
        for item, place in reading.elements(body, "instructions"):
            conversation.add(item, place)
    match body.get("input"):
        case str(text):
            conversation.add({"role": "user", "content": text}, "input")
        case list():
            for item, place in reading.elements(body, "input"):
                conversation.add(item, place)
        case other if other is not None or not body.get("prompt"):
            raise reading.mismatch("input", "a string or an array of items", other)
    return conversation


def _output(body: Json, unread: reading.Unread) -> OutputFormat:
    text = reading.mapping(body, "text") or {}
    unread.rest(text, {"format"}, "text")
    if (output := decode_format(text, "format", "text")) is None:
        raise reading.refuse("text.format", "expected the format text, json_object or json_schema")
    return output


def _sampling(body: Json) -> Sampling:
    logprobs = "message.output_text.logprobs" in reading.strings(body, "include")
    return Sampling(
        temperature=reading.number(body, "temperature"),
        top_p=reading.number(body, "top_p"),
        logprobs=logprobs or None,
        top_logprobs=reading.integer(body, "top_logprobs"),
    )

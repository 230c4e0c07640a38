"""Whole answers: an upstream's, read as events, and a client's, written from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bm.chat.capabilities import Dialect
from bm.chat.events import End, Event, Failed, Finish, Start, UsageUpdate
from bm.chat.parts import Json, Part, Refusal, Text, Thinking, ToolCall
from bm.chat.request import ChatRequest
from bm.chat.response import Choice, fold
from bm.errors import Failure
from bm.names import CHAT
from bm.protocols.codec import IdFactory
from bm.protocols.openai.citations import encode_citation
from bm.protocols.openai_chat.errors import failed_choice, in_band
from bm.protocols.openai_chat.stream_decoder import ChoiceDecoder, Numbers
from bm.protocols.openai_chat.thinking import write_signature
from bm.protocols.openai_chat.turns import arguments_text
from bm.protocols.openai_chat.usage import decode_usage, encode_usage, finish_word
from bm.protocols.openai_chat.whole import whole_delta


def decode_response(body: Json, ids: IdFactory, dialect: Dialect) -> tuple[Event, ...]:
    """Read an upstream's whole answer. An error under status 200 is a failure like any other."""
    choices = body.get("choices")
    if body.get("error") or body.get("object") == "error":
        return (Failed(in_band(body)),)
    if not isinstance(choices, list) or not choices:
        return (Failed(Failure(kind="malformed", message="the upstream's answer holds no choices")),)
    out: list[Event] = [Start(str(body.get("id") or ""), str(body.get("model") or ""))]
    numbers = Numbers()
    finishes: list[Event] = []
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            return (Failed(Failure(kind="malformed", message="the upstream's answer holds a choice that is none")),)
        if choice.get("finish_reason") == "error" or choice.get("error"):
            return (Failed(failed_choice(choice)),)
        finishes.append(_choice(choice, ChoiceDecoder(position, numbers, ids, dialect), out))
    usage = decode_usage(body.get("usage"))
    if usage is not None:
        out.append(UsageUpdate(usage))
    return (*out, *finishes, End())


def _choice(choice: Json, decoder: ChoiceDecoder, out: list[Event]) -> Finish:
    message: Any = choice.get("message") or choice.get("delta")
    if isinstance(message, dict):
        decoder.delta(message, out)
    decoder.close(out, complete=True)
    decoder.finish = str(choice.get("finish_reason") or "")
    return decoder.end()


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole answer for a client."""
    answer = fold(events)
    body: Json = {
        "id": ids.new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": ids.now,
        "model": model or answer.model,
        "choices": [_encode_choice(choice, number, request, ids) for number, choice in enumerate(answer.choices)],
    }
    if answer.usage is not None:
        body["usage"] = encode_usage(answer.usage)
    return body


def _encode_choice(choice: Choice, number: int, request: ChatRequest, ids: IdFactory) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    calls = [part for part in choice.parts if isinstance(part, ToolCall)]
    if request.legacy_functions:
        # `function_call` has room for one.
        calls = calls[:1]
    _say(choice.parts, message, request)
    if calls and request.legacy_functions:
        message["function_call"] = {"name": calls[0].name, "arguments": _arguments(calls[0])}
    elif calls:
        message["tool_calls"] = [_encode_call(call, request, ids) for call in calls]
    finish = choice.finish or Finish("stop")
    if finish.reason == "refusal":
        message["refusal"] = message["refusal"] or finish.explanation or None
    elif message["content"] is None and message["refusal"] is None and not calls:
        message["content"] = ""
    word = finish_word(finish.reason, calls=bool(calls), legacy=request.legacy_functions)
    return {"index": number, "message": message, "logprobs": None, "finish_reason": word}


def _say(parts: Sequence[Part], message: Json, request: ChatRequest) -> None:
    """Fill in everything of a message but its calls."""
    content: list[str] = []
    annotations: list[Json] = []
    length = 0
    for part in parts:
        match part:
            case Text(text=text, citations=citations):
                content.append(text)
                annotations += [
                    note for each in citations for note in encode_citation(each, CHAT, length, length + len(text))
                ]
                length += len(text)
            case Thinking(text=text) if request.reasoning.visible is True and text:
                message["reasoning_content"] = message.get("reasoning_content", "") + text
            case Refusal(text=text):
                message["refusal"] = (message["refusal"] or "") + text
            case ToolCall() | Thinking():
                pass
            case _:
                delta = whole_delta(part) or {}
                if "images" in delta:
                    message["images"] = message.get("images", []) + delta["images"]
                content.append(delta.get("content", ""))
                length += len(content[-1])
    if any(content):
        message["content"] = "".join(content)
    if annotations:
        message["annotations"] = annotations


def _arguments(call: ToolCall) -> str:
    """The arguments as the model wrote them: a call that was cut off must not look like one without arguments."""
    return call.raw or arguments_text(call)


def _encode_call(call: ToolCall, request: ChatRequest, ids: IdFactory) -> Json:
    head: Json = {"id": call.id or ids.new_id("call_")}
    defined = any(tool.name == call.name and tool.kind == "custom" for tool in request.tools)
    if call.kind == "custom" or defined:
        given = call.raw if call.kind == "custom" else call.arguments.get("input", call.raw)
        return head | {"type": "custom", "custom": {"name": call.name, "input": str(given)}}
    function = {"name": call.name, "arguments": _arguments(call)}
    return head | {"type": "function", "function": function} | write_signature(call.signature)

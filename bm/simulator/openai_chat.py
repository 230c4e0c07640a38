"""OpenAI Chat Completions and its variants at Groq and Together: `data:` chunks and `[DONE]`."""

from __future__ import annotations

import msgspec

from bm import sse
from bm.simulator.answer import Answer, Prompt, Tokens, Tool, compact, count, split
from bm.simulator.faults import Trouble, http_status
from bm.simulator.openai_check import check_chat
from bm.simulator.request import Json, Request
from bm.simulator.rules import ErrorKind, Finish
from bm.simulator.wire import CREATED, Frame, dump, interrupted, items, text_of

check = check_chat

_FINISH: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "stop_sequence": "stop",
    "pause": "stop",
    "context_window": "length",
    "malformed_tool_call": "stop",
    "blocked_prompt": "content_filter",
}
_ERROR: dict[ErrorKind, tuple[str, str | None, str]] = {
    "bad_request": ("invalid_request_error", None, "Invalid request."),
    "invalid_key": ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    "permission": ("invalid_request_error", None, "You are not allowed to sample from this model."),
    "not_found": ("invalid_request_error", "model_not_found", "The model does not exist or you lack access to it."),
    "too_large": ("invalid_request_error", None, "Request too large."),
    "rate_limit": ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    "server": ("server_error", None, "The server had an error while processing your request."),
    "bad_gateway": ("server_error", None, "Bad gateway."),
    "unavailable": ("server_error", None, "The server is currently unavailable."),
    "timeout": ("server_error", None, "The request timed out."),
    "overloaded": ("server_error", None, "The server is currently overloaded with other requests."),
    "context_too_long": (
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 131072 tokens. However, your messages resulted in 250000 tokens."
        " Please reduce the length of the messages.",
    ),
}  # fmt: skip


def prompt(request: Request) -> Prompt:
    """The request in terms common to all APIs. Everything but its last message may be cached."""
    body = request.body
    messages = items(body.get("messages"))
    tools = tuple(
        Tool(str(tool["function"].get("name")), tool["function"].get("parameters"))
        for tool in items(body.get("tools"))
        if isinstance(tool.get("function"), dict)
    )
    begun = text_of(messages[-1].get("content")) if messages and messages[-1].get("prefix") is True else ""
    said = messages[:-1] if begun else messages
    segments = tuple(dump(value) for value in [*([body["tools"]] if tools else []), *messages])
    step, results = _turn(messages)
    style = (body.get("response_format") or {}).get("json_schema") or {}
    choice = body.get("tool_choice")
    named = choice.get("function", {}).get("name", "") if isinstance(choice, dict) else ""
    reasons = body.get("reasoning_effort") not in (None, "none") or body.get("reasoning_format") in ("parsed", "raw")
    return Prompt(
        segments=segments,
        cacheable=max(0, len(segments) - 1),
        last_text=text_of(said[-1].get("content")) if said else "",
        interrupted=interrupted(messages),
        begun=begun,
        step=step,
        results=results,
        tools=tools,
        forced=named or (tools[0].name if choice == "required" and tools else ""),
        schema=style.get("schema"),
        thinks=reasons,
    )


def _turn(messages: list[Json]) -> tuple[int, tuple[str, ...]]:
    """Rounds of tool results since the last message of the user, and the calls answered last."""
    rounds: list[list[str]] = []
    before = ""
    for message in reversed(messages):
        role = message.get("role")
        if role == "user":
            break
        if role == "tool":
            if before != "tool":
                rounds.append([])
            rounds[-1].append(str(message.get("tool_call_id")))
        before = str(role)
    return len(rounds), tuple(reversed(rounds[0])) if rounds else ()


def call_id(request: Request, place: int) -> str:
    """The identifier of a tool call."""
    return f"call_sim{request.number:08d}{place:04d}"


def _usage(request: Request, tokens: Tokens) -> Json:
    usage: Json = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output + tokens.thinking,
        "total_tokens": tokens.input + tokens.output + tokens.thinking,
    }
    if request.flavour != "together":
        usage["prompt_tokens_details"] = {"cached_tokens": tokens.cached}
        usage["completion_tokens_details"] = {"reasoning_tokens": tokens.thinking}
    return usage


def _reasoning_field(request: Request) -> str:
    """The field of thinking; empty for OpenAI, which shows none."""
    if request.flavour == "openai" or request.body.get("reasoning_format") == "hidden":
        return ""
    return "reasoning" if request.flavour in ("groq", "together", "cerebras", "openrouter") else "reasoning_content"


def _finish(answer: Answer) -> str:
    return answer.native_finish or _FINISH[answer.finish]


def _calls(answer: Answer) -> list[Json]:
    return [
        {"id": identifier, "type": "function", "function": {"name": call.name, "arguments": compact(call.arguments)}}
        for identifier, call in answer.calls
    ]


def _head(request: Request, kind: str) -> Json:
    identifier = f"chatcmpl-sim{request.number:08d}"
    return {"id": identifier, "object": kind, "created": CREATED, "model": request.model}


def full_response(request: Request, answer: Answer) -> Json:
    """A `chat.completion` object."""
    message: Json = {"role": "assistant", "content": answer.text if answer.text or not answer.calls else None}
    if request.flavour == "openai":
        message["refusal"] = None
    if answer.thinking and (field := _reasoning_field(request)):
        message[field] = answer.thinking
    if answer.calls:
        message["tool_calls"] = _calls(answer)
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return _head(request, "chat.completion") | {"choices": [choice], "usage": _usage(request, answer.tokens)}


def frames(request: Request, answer: Answer) -> list[Frame]:
    """Chunks up to `[DONE]`."""
    with_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))
    more: Json = {"usage": None} if with_usage and request.flavour == "openai" else {}

    def frame(delta: Json, finish: str | None = None, *, content: bool = False) -> Frame:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = _head(request, "chat.completion.chunk") | {"choices": [choice]} | more
        return Frame(sse.encode(msgspec.json.encode(chunk)), content)

    out = [frame({"role": "assistant", "content": ""})]
    if answer.thinking and (field := _reasoning_field(request)):
        out += [frame({field: piece}, content=True) for piece in split(answer.thinking, 2)]
    out += [frame({"content": piece}, content=True) for piece in answer.pieces]
    for index, call in enumerate(_calls(answer)):
        arguments = call["function"]["arguments"]
        opened = call | {"index": index, "function": call["function"] | {"arguments": ""}}
        out.append(frame({"tool_calls": [opened]}, content=True))
        for fragment in split(arguments, 3):
            part = {"index": index, "function": {"arguments": fragment}}
            out.append(frame({"tool_calls": [part]}, content=True))
    if request.flavour == "groq":
        more["x_groq"] = {"id": f"req_sim{request.number:08d}", "usage": _usage(request, answer.tokens)}
    out.append(frame({}, _finish(answer)))
    if with_usage:
        usage = {"choices": [], "usage": _usage(request, answer.tokens)}
        out.append(Frame(sse.encode(msgspec.json.encode(_head(request, "chat.completion.chunk") | usage))))
    if not answer.no_done:
        out.append(Frame(sse.encode(b"[DONE]")))
    return out


def counted(request: Request, prompt: Prompt) -> Json:
    """A token count; Chat has no operation for it."""
    return {"object": "response.input_tokens", "input_tokens": sum(count(segment) for segment in prompt.segments)}


def in_band(request: Request, trouble: Trouble, sent: int) -> Frame:
    """An error as a chunk."""
    return Frame(sse.encode(msgspec.json.encode(error(request, trouble)[2])))


def headers(request: Request) -> dict[str, str]:
    """The identifier of the request, and at Groq its rate limits."""
    out = {"x-request-id": f"req_sim{request.number:08d}"}
    if request.flavour == "groq":
        out |= {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370"}
    return out


def error_object(trouble: Trouble) -> Json:
    """The object under `error`."""
    kind, code, message = _ERROR[trouble.kind]
    return {
        "message": trouble.message or message,
        "type": kind,
        "param": trouble.param or None,
        "code": trouble.code or code,
    }


def error(request: Request, trouble: Trouble) -> tuple[int, dict[str, str], Json]:
    """Status, headers and body of an error."""
    return (
        http_status(trouble, {"overloaded": 503}),
        headers(request) | trouble.headers,
        {"error": error_object(trouble)},
    )

"""Anthropic Messages in the framing of the service: named events, line feeds, a ping after the start."""

from __future__ import annotations

import msgspec

from bm import sse
from bm.simulator import anthropic_check, signatures
from bm.simulator.answer import Answer, Prompt, Tokens, Tool, compact, count, split
from bm.simulator.anthropic_refusals import turns
from bm.simulator.faults import Trouble, http_status
from bm.simulator.request import Json, Request
from bm.simulator.rules import ErrorKind, Finish
from bm.simulator.wire import Frame, blocks, dump, interrupted, items, text_of

check = anthropic_check.check

_STOP: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
    "pause": "pause_turn",
    "context_window": "model_context_window_exceeded",
    "malformed_tool_call": "end_turn",
    "blocked_prompt": "refusal",
}
_ERROR: dict[ErrorKind, tuple[str, str]] = {
    "bad_request": ("invalid_request_error", "Invalid request"),
    "invalid_key": ("authentication_error", "invalid x-api-key"),
    "permission": ("permission_error", "Your API key does not have permission to use the specified resource."),
    "not_found": ("not_found_error", "Not found"),
    "too_large": ("request_too_large", "Request exceeds the maximum size"),
    "rate_limit": ("rate_limit_error", "This request would exceed your organization's rate limit."),
    "server": ("api_error", "Internal server error"),
    "bad_gateway": ("api_error", "Bad gateway"),
    "unavailable": ("api_error", "Service unavailable"),
    "timeout": ("timeout_error", "Request timed out"),
    "overloaded": ("overloaded_error", "Overloaded"),
    "context_too_long": ("invalid_request_error", "prompt is too long: 250000 tokens > 200000 maximum"),
}


def prompt(request: Request) -> Prompt:
    """The request in terms common to all APIs. What is before the last `cache_control` may be cached."""
    body = request.body
    segments: list[str] = []
    cacheable = 0
    found = [*items(body.get("tools")), *blocks(body.get("system"))]
    for message in items(body.get("messages")):
        found += blocks(message.get("content"))
    for block in found:
        segments.append(dump({name: value for name, value in block.items() if name != "cache_control"}))
        if block.get("cache_control"):
            cacheable = len(segments)
    step, results, last = _turn(body)
    choice = body.get("tool_choice") or {}
    tools = tuple(Tool(str(tool.get("name")), tool.get("input_schema")) for tool in items(body.get("tools")))
    forced = choice.get("name") or (tools[0].name if choice.get("type") == "any" and tools else "")
    style = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    return Prompt(
        segments=tuple(segments),
        cacheable=len(segments) if body.get("cache_control") else cacheable,
        last_text=last,
        interrupted=interrupted(items(body.get("messages"))),
        begun=_begun(items(body.get("messages"))),
        step=step,
        results=results,
        tools=tools,
        forced=forced,
        schema=style.get("schema"),
        thinks=(body.get("thinking") or {}).get("type", "disabled") != "disabled",
    )


def _begun(messages: list[Json]) -> str:
    last = messages[-1] if messages else {}
    return text_of(blocks(last.get("content"))) if last.get("role") == "assistant" else ""


def _turn(body: Json) -> tuple[int, tuple[str, ...], str]:
    """Rounds of results in the current turn, the calls answered last, and the last text."""
    step = 0
    results: tuple[str, ...] = ()
    said = ""
    for _, role, found in reversed(list(turns(items(body.get("messages"))))):
        if role == "assistant":
            continue
        answered = [block for block in found if block.get("type") == "tool_result"]
        if not answered:
            return step, results, said or text_of(found)
        step += 1
        results = results or tuple(str(block.get("tool_use_id")) for block in answered)
        said = said or text_of(answered[-1].get("content"))
    return step, results, said


def call_id(request: Request, place: int) -> str:
    """A `tool_use` identifier."""
    return f"toolu_sim{request.number:08d}{place:04d}"


def _usage(tokens: Tokens) -> Json:
    return {
        "input_tokens": tokens.input - tokens.cached - tokens.written,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "output_tokens": tokens.output + tokens.thinking,
        "output_tokens_details": {"thinking_tokens": tokens.thinking},
    }


def _content(request: Request, answer: Answer) -> list[Json]:
    content: list[Json] = []
    if answer.thinking:
        hidden = (request.body.get("thinking") or {}).get("display") == "omitted"
        thinking = "" if hidden else answer.thinking
        signature = signatures.issue("claude", thinking)
        content.append({"type": "thinking", "thinking": thinking, "signature": signature})
    if answer.text:
        content.append({"type": "text", "text": answer.text, "citations": None})
    for identifier, call in answer.calls:
        content.append({"type": "tool_use", "id": identifier, "name": call.name, "input": call.arguments})
    return content


def _stop(request: Request, answer: Answer) -> Json:
    reason = answer.native_finish or _STOP[answer.finish]
    stops = request.body.get("stop_sequences") or ["\n\n"]
    stop: Json = {"stop_reason": reason, "stop_sequence": stops[0] if reason == "stop_sequence" else None}
    if reason == "refusal":
        stop["stop_details"] = {
            "type": "refusal",
            "category": None,
            "explanation": "The simulator was scripted to refuse.",
        }
    return stop


def _message(request: Request, usage: Json) -> Json:
    return {
        "id": f"msg_sim{request.number:08d}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def full_response(request: Request, answer: Answer) -> Json:
    """A `message` object."""
    content = {"content": _content(request, answer)}
    return _message(request, _usage(answer.tokens)) | content | _stop(request, answer)


def _frame(event: Json, *, content: bool = False) -> Frame:
    return Frame(sse.encode(msgspec.json.encode(event), event["type"]), content)


def frames(request: Request, answer: Answer) -> list[Frame]:
    """`message_start` to `message_stop`."""
    usage = _usage(answer.tokens)
    start = _message(request, usage | {"output_tokens": 1, "output_tokens_details": None})
    out = [_frame({"type": "message_start", "message": start}), _frame({"type": "ping"})]
    for index, block in enumerate(_content(request, answer)):
        out += _block_frames(index, block, answer)
    out.append(_frame({"type": "message_delta", "delta": _stop(request, answer), "usage": usage}))
    if not answer.no_done:
        out.append(_frame({"type": "message_stop"}))
    return out


def _block_frames(index: int, block: Json, answer: Answer) -> list[Frame]:
    empty, deltas = _opened(block, answer)
    out = [_frame({"type": "content_block_start", "index": index, "content_block": empty})]
    for delta in deltas:
        out.append(_frame({"type": "content_block_delta", "index": index, "delta": delta}, content=True))
    out.append(_frame({"type": "content_block_stop", "index": index}))
    return out


def _opened(block: Json, answer: Answer) -> tuple[Json, list[Json]]:
    """A block as it starts, and its deltas."""
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in split(block["thinking"], 2)]
        signature = {"type": "signature_delta", "signature": block["signature"]}
        return block | {"thinking": "", "signature": ""}, [*deltas, signature]
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in answer.pieces]
    fragments = ["", *(split(compact(block["input"]), 3) if block["input"] else ())]
    deltas = [{"type": "input_json_delta", "partial_json": fragment} for fragment in fragments]
    return block | {"input": {}}, deltas


def counted(request: Request, prompt: Prompt) -> Json:
    """The body of `count_tokens`."""
    return {"input_tokens": sum(count(segment) for segment in prompt.segments)}


def headers(request: Request) -> dict[str, str]:
    """The request's identifier."""
    return {"request-id": f"req_sim{request.number:08d}"}


def error(request: Request, trouble: Trouble) -> tuple[int, dict[str, str], Json]:
    """An `error` object."""
    kind, message = _ERROR[trouble.kind]
    body = {
        "type": "error",
        "error": {"type": kind, "message": trouble.message or message},
        "request_id": f"req_sim{request.number:08d}",
    }
    return http_status(trouble), headers(request) | trouble.headers, body


def in_band(request: Request, trouble: Trouble, sent: int) -> Frame:
    """An `error` event."""
    return _frame(error(request, trouble)[2])

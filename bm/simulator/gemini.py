"""Gemini generateContent in the framing of the service: CRLF, no event names, usage in every chunk, no end marker."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.simulator import gemini_check, signatures
from bm.simulator.answer import Answer, Prompt, Tokens, Tool, count, split
from bm.simulator.faults import Trouble, http_status
from bm.simulator.gemini_check import normal
from bm.simulator.gemini_refusals import declarations, signs_calls
from bm.simulator.request import Json, Request
from bm.simulator.rules import ErrorKind, Finish, ToolCall
from bm.simulator.wire import Frame, dump, interrupted, items, text_of

check = gemini_check.check

_FINISH: dict[Finish, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "content_filter": "SAFETY",
    "stop_sequence": "STOP",
    "pause": "CONTINUATION",
    "context_window": "MAX_TOKENS",
    "malformed_tool_call": "MALFORMED_FUNCTION_CALL",
    "blocked_prompt": "SAFETY",
}
_ERROR: dict[ErrorKind, tuple[str, str]] = {
    "bad_request": ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    "invalid_key": ("INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "permission": ("PERMISSION_DENIED", "The caller does not have permission"),
    "not_found": ("NOT_FOUND", "Requested entity was not found."),
    "too_large": ("INVALID_ARGUMENT", "Request payload size exceeds the limit: 20971520 bytes."),
    "rate_limit": ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    "server": ("INTERNAL", "An internal error has occurred. Please retry or report in"
               " https://developers.generativeai.google/guide/troubleshooting"),
    "bad_gateway": ("UNAVAILABLE", "Bad gateway"),
    "unavailable": ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    "timeout": ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
    "overloaded": ("UNAVAILABLE", "The model is overloaded. Please try again later."),
    "context_too_long": ("INVALID_ARGUMENT", "The input token count (1250074) exceeds the maximum number of"
                         " tokens allowed (1048576)."),
}  # fmt: skip
_TYPE = "type.googleapis.com/google.rpc."


def prompt(request: Request) -> Prompt:
    """The request in terms common to all APIs. Everything but its last content may be cached."""
    body = normal(request)
    if isinstance(inner := body.get("generateContentRequest"), dict):
        body = inner
    contents = items(body.get("contents")) or items([body.get("contents")])
    before = [body[name] for name in ("systemInstruction", "tools") if body.get(name)]
    segments = tuple(dump(value) for value in (*before, *contents))
    rounds = [parts for _, role, parts in gemini_check.current_turn(contents) if role == "user"]
    results = items([part.get("functionResponse") for part in rounds[-1]]) if rounds else []
    begun = text_of(contents[-1].get("parts")) if contents and contents[-1].get("role") == "model" else ""
    said = contents[:-1] if begun else contents
    last = text_of(said[-1].get("parts")) if said else ""
    config = body.get("generationConfig") or {}
    tools = _tools(body)
    return Prompt(
        segments=segments,
        cacheable=max(0, len(segments) - 1),
        last_text=dump(results[-1].get("response")) if results else last,
        interrupted=interrupted(contents),
        begun=begun,
        step=len(rounds),
        # Clients invent identifiers for calls of models that send none.
        results=tuple(str(result[by]) for result in results for by in ("id", "name") if result.get(by)),
        tools=tools,
        forced=_forced(body, tools),
        schema=config.get("responseJsonSchema") or config.get("responseSchema"),
        thinks=bool((config.get("thinkingConfig") or {}).get("includeThoughts")),
    )


def _tools(body: Json) -> tuple[Tool, ...]:
    return tuple(
        Tool(str(function.get("name")), function.get("parametersJsonSchema") or function.get("parameters"))
        for function in declarations(body)
    )


def _forced(body: Json, tools: tuple[Tool, ...]) -> str:
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if calling.get("mode") != "ANY" or not tools:
        return ""
    names = calling.get("allowedFunctionNames")
    return str(names[0]) if names else tools[0].name


def call_id(request: Request, place: int) -> str:
    """The identifier of a call; empty before Gemini 3."""
    return f"sim{request.number:06d}{place:02d}" if signs_calls(request.model) else ""


def _usage(tokens: Tokens, *, output: int | None = None) -> Json:
    said = tokens.output if output is None else output
    usage: Json = {"promptTokenCount": tokens.input}
    if said:
        usage["candidatesTokenCount"] = said
    if tokens.cached:
        usage["cachedContentTokenCount"] = tokens.cached
    if tokens.thinking:
        usage["thoughtsTokenCount"] = tokens.thinking
    usage["totalTokenCount"] = tokens.input + said + tokens.thinking
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": tokens.input}]
    return usage


def _call_parts(request: Request, calls: tuple[tuple[str, ToolCall], ...]) -> list[Json]:
    """Calls as parts. Only the first of parallel calls is signed."""
    parts: list[Json] = []
    for identifier, call in calls:
        function: Json = {"name": call.name, "args": call.arguments}
        part: Json = {"functionCall": {"id": identifier} | function if identifier else function}
        if not parts and signs_calls(request.model):
            part["thoughtSignature"] = signatures.issue("gemini", call.name)
        parts.append(part)
    return parts


def _shows_thoughts(request: Request) -> bool:
    config = normal(request).get("generationConfig") or {}
    return bool((config.get("thinkingConfig") or {}).get("includeThoughts"))


def _signed_end(request: Request, answer: Answer) -> str:
    """The signature of an answer without calls; empty if it has none."""
    return signatures.issue("gemini", "") if signs_calls(request.model) and not answer.calls and answer.text else ""


def _chunk(request: Request, parts: list[Json], usage: Json, finish: Json | None = None) -> Json:
    content: Json = {"role": "model"}
    if parts:
        content = {"parts": parts, "role": "model"}
    return {
        "candidates": [{"content": content, **(finish or {}), "index": 0}],
        "usageMetadata": usage,
        "modelVersion": request.model,
        "responseId": f"sim{request.number:08d}",
    }


def _finish(answer: Answer) -> Json:
    reason = answer.native_finish or _FINISH[answer.finish]
    if reason == "MALFORMED_FUNCTION_CALL":
        return {"finishReason": reason, "finishMessage": "Malformed function call: print(default_api.tool("}
    return {"finishReason": reason}


def _blocked(request: Request, answer: Answer) -> Json:
    return {
        "promptFeedback": {"blockReason": answer.native_finish or "PROHIBITED_CONTENT"},
        "usageMetadata": _usage(answer.tokens, output=0),
        "modelVersion": request.model,
        "responseId": f"sim{request.number:08d}",
    }


def full_response(request: Request, answer: Answer) -> Json:
    """A `GenerateContentResponse`."""
    if answer.finish == "blocked_prompt":
        return _blocked(request, answer)
    parts: list[Json] = []
    if answer.thinking and _shows_thoughts(request):
        parts.append({"text": answer.thinking, "thought": True})
    if answer.text:
        parts.append({"text": answer.text})
    if signature := _signed_end(request, answer):
        parts[-1]["thoughtSignature"] = signature
    parts += _call_parts(request, answer.calls)
    return _chunk(request, parts, _usage(answer.tokens), _finish(answer))


def _stream(request: Request, answer: Answer) -> list[Json]:
    if answer.finish == "blocked_prompt":
        return [_blocked(request, answer)]
    groups: list[list[Json]] = []
    if answer.thinking and _shows_thoughts(request):
        groups += [[{"text": piece, "thought": True}] for piece in split(answer.thinking, 2)]
    groups += [[{"text": piece}] for piece in answer.pieces]
    if answer.calls:
        groups.append(_call_parts(request, answer.calls))
    if signature := _signed_end(request, answer):
        groups.append([{"text": "", "thoughtSignature": signature}])
    groups = groups or [[]]
    chunks: list[Json] = []
    for place, parts in enumerate(groups, 1):
        last = place == len(groups)
        usage = _usage(answer.tokens, output=None if last else answer.tokens.output * place // len(groups))
        chunks.append(_chunk(request, parts, usage, _finish(answer) if last and not answer.no_done else None))
    return chunks


def frames(request: Request, answer: Answer) -> list[Frame]:
    """Events with `alt=sse`, else the pieces of one JSON array."""
    chunks = [msgspec.json.encode(chunk) for chunk in _stream(request, answer)]
    if request.sse:
        return [Frame(b"data: " + chunk + b"\r\n\r\n", content=True) for chunk in chunks]
    out = [Frame((b",\r\n" if place else b"[") + chunk, content=True) for place, chunk in enumerate(chunks)]
    return [*out, Frame(b"]")]


def counted(request: Request, prompt: Prompt) -> Json:
    """The body of `countTokens`."""
    total = sum(count(segment) for segment in prompt.segments)
    return {"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]}


def headers(request: Request) -> dict[str, str]:
    """The headers that Google's front end adds."""
    return {"server": "scaffolding on HTTPServer2", "x-gemini-service-tier": "standard"}


def error(request: Request, trouble: Trouble) -> tuple[int, dict[str, str], Any]:
    """A `google.rpc.Status`; a list of one if the stream is a JSON array."""
    status, message = _ERROR[trouble.kind]
    code = http_status(trouble, {"invalid_key": 400, "overloaded": 503})
    if code == 401:
        status, message = "UNAUTHENTICATED", "Request had invalid authentication credentials."
    details = _details(request, trouble)
    body: Json = {"code": code, "message": _message(request, trouble, message), "status": status}
    if details:
        body["details"] = details
    more = dict(trouble.headers)
    if trouble.retry_info:
        more.pop("retry-after", None)
    array = request.verb == "streamGenerateContent" and not request.sse
    return code, headers(request) | more, [{"error": body}] if array else {"error": body}


def _message(request: Request, trouble: Trouble, usual: str) -> str:
    if trouble.message:
        return trouble.message
    if trouble.limit is None and not trouble.quota_ids:
        return usual
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    quota = f"\n* Quota exceeded for metric: {metric}, limit: {trouble.limit or 0}, model: {request.model}"
    retry = f"\nPlease retry in {trouble.retry_info}." if trouble.retry_info else ""
    return f"You exceeded your current quota, please check your plan and billing details.{quota}{retry}"


def _details(request: Request, trouble: Trouble) -> list[Json]:
    details: list[Json] = []
    if trouble.kind == "invalid_key" and trouble.status != 401:
        service = {"service": "generativelanguage.googleapis.com"}
        reason = {"reason": "API_KEY_INVALID", "domain": "googleapis.com", "metadata": service}
        details.append({"@type": f"{_TYPE}ErrorInfo", **reason})
    if trouble.quota_ids:
        dimensions = {"location": "global", "model": request.model}
        metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
        violations: list[Json] = [
            {"quotaMetric": metric, "quotaId": quota, "quotaDimensions": dimensions} for quota in trouble.quota_ids
        ]
        if trouble.limit:
            violations = [violation | {"quotaValue": str(trouble.limit)} for violation in violations]
        details.append({"@type": f"{_TYPE}QuotaFailure", "violations": violations})
    if trouble.retry_info:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": trouble.retry_info})
    return details


def in_band(request: Request, trouble: Trouble, sent: int) -> Frame:
    """An error as a chunk."""
    body = error(request, trouble)[2]
    if request.sse:
        return Frame(b"data: " + msgspec.json.encode(body) + b"\r\n\r\n")
    return Frame((b",\r\n" if sent else b"[") + msgspec.json.encode(body)[1:])

"""Errors: what an upstream's mean, and how a client is told of bm's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols.rate_limits import NOT_IN_TIER, delay, delay_in_details, delay_in_text, is_tierless, should_retry

_CONTEXT = re.compile(
    r"context[ _-]?(?:length|window|size)|maximum context|prompt (?:is )?too long|too many (?:prompt_)?tokens"
    r"|reduce the length of the (?:messages|input)|input (?:is )?too long|total length of all messages is too long"
    r"|exceeds? the (?:model'?s )?(?:maximum|max) (?:input|prompt)",
    re.I,
)
"""How OpenAI, OpenRouter, DeepSeek, Groq, Mistral, Perplexity, Ollama and vLLM say that the prompt is too long."""
_CONTEXT_CODES = frozenset({"context_length_exceeded", "too_many_prompt_tokens"})
_DAILY = re.compile(r"per[ _-]?day|\((?:TPD|RPD|ASPD)\)|daily|PerDay", re.I)
_FUNDS = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_balance", "payment_required"})
_KEYS = frozenset({"invalid_api_key", "api_key_invalid", "invalid_authentication", "token_expired"})
_BAD_KEY = re.compile(r"api key not valid|(?:invalid|incorrect) api key", re.I)

_BY_STATUS: dict[int, FailureKind] = {
    401: "upstream_auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limited",
    498: "overloaded",
    500: "server",
    502: "overloaded",
    503: "overloaded",
    504: "timeout",
    522: "timeout",
    524: "timeout",
    529: "overloaded",
}
"""498 is Groq's "flex tier at capacity", 522 and 524 are Cloudflare's."""

_BY_TYPE: dict[str, int] = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "notfounderror": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "rate_limit": 429,
    "tokens": 429,
    "requests": 429,
    "timeout_error": 504,
    "overloaded_error": 503,
    "service_unavailable": 503,
    "server_error": 500,
    "internal_server_error": 500,
    "api_error": 500,
}
"""The status that an error in mid-stream would have had."""

_WORDS: dict[FailureKind, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "context_too_long": ("invalid_request_error", "context_length_exceeded"),
    "unauthorized": ("invalid_request_error", "invalid_api_key"),
    "upstream_auth": ("server_error", "upstream_auth"),
    "billing": ("insufficient_quota", "insufficient_quota"),
    "permission": ("server_error", "upstream_permission"),
    "forbidden": ("invalid_request_error", "forbidden"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "method": ("invalid_request_error", "method_not_allowed"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
    "quota_exhausted": ("rate_limit_error", "rate_limit_exceeded"),
    "server": ("server_error", "server_error"),
    "overloaded": ("server_error", "overloaded"),
    "timeout": ("server_error", "timeout"),
    "connection": ("server_error", "upstream_connection"),
    "truncated": ("server_error", "upstream_truncated"),
    "malformed": ("server_error", "upstream_malformed"),
    "unavailable": ("server_error", "unavailable"),
}
"""`type` and `code` a client is told."""


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an upstream's error answer; garbage is judged by its status."""
    try:
        document: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    # Google's endpoint wraps the object in a list.
    if isinstance(document, list) and document:
        document = document[0]
    error = _error_object(document)
    failure = _failure(status, error)
    seconds = delay(headers)
    return msgspec.structs.replace(
        failure,
        retry_after=failure.retry_after if seconds is None else seconds,
        should_retry=should_retry(headers),
        upstream_status=status,
        upstream_body=body,
    )


def in_band(document: Json) -> Failure:
    """Read an error that came as a chunk of a stream, or as an answer with status 200."""
    error = _error_object(document)
    status = next((value for value in map(_status, (error.get("status_code"), error.get("code"))) if value), 0)
    if not status:
        words = (error.get("type"), error.get("code"))
        status = next(
            (_BY_TYPE[word.lower()] for word in words if isinstance(word, str) and word.lower() in _BY_TYPE), 0
        )
    failure = _failure(status or 500, error)
    return msgspec.structs.replace(failure, upstream_status=status, upstream_body=msgspec.json.encode(document))


def failed_choice(choice: Json) -> Failure:
    """Read the failure of a choice that finished with `error`, which says more only at OpenRouter."""
    if choice.get("error"):
        return in_band(choice)
    return Failure(kind="server", message="the upstream ended its answer with an error")


def _status(value: Any) -> int:
    """An HTTP status in an error's `code`, which is a number or a string of digits at some services."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and 400 <= value <= 599 else 0


def _error_object(document: Any) -> Json:
    """The error in whichever shape: OpenAI's, a bare string (Ollama), flat (Mistral, vLLM), FastAPI's `detail`."""
    if not isinstance(document, dict):
        return {}
    match document.get("error"):
        case dict(error):
            return error
        case str(text):
            return {**document, "message": document.get("message") or text}
    if "message" not in document and "detail" in document:
        return {**document, "message": document["detail"]}
    return document


def _failure(status: int, error: Json) -> Failure:
    message = _message(error.get("message")) or f"the upstream answered with status {status} and no explanation"
    code = error.get("code")
    word = code if isinstance(code, str) and not code.isdigit() else ""
    word = word or (str(error["type"]) if isinstance(error.get("type"), str) else "")
    kind = _kind(status, word, message, error)
    # The client gets the upstream's own status where the request is at fault.
    own = status if kind == "bad_request" and status in range(400, 500) and status not in (401, 403, 429) else 0
    param = error.get("param")
    wait = delay_in_details(error.get("details"))
    if status == 429 and is_tierless(message):
        # Google's OpenAI-compatible endpoint: no waiting helps.
        kind, word, wait = "quota_exhausted", NOT_IN_TIER, None
    return Failure(
        kind=kind,
        message=message,
        status=own,
        retry_after=delay_in_text(message) if wait is None and status in (429, 503) else wait,
        param=param if isinstance(param, str) else "",
        code=word,
    )


def _message(value: Any) -> str:
    """An error's text. Mistral and FastAPI send a list of faults with their places."""
    match value:
        case str():
            return value
        case {"detail": detail}:
            return _message(detail)
        case list():
            return "; ".join(filter(None, (_message(fault) for fault in value)))
        case {"msg": str(text), "loc": list(steps)}:
            return f"{'.'.join(str(step) for step in steps)}: {text}"
        case None:
            return ""
        case _:
            return msgspec.json.encode(value).decode()


def _kind(status: int, word: str, message: str, error: Json) -> FailureKind:
    lower = word.lower()
    if lower == "tool_use_failed":
        # Groq refuses its own model's malformed call; the request was sound.
        return "malformed"
    if lower in _FUNDS:
        return "billing"
    if status in (400, 403) and (lower in _KEYS or _BAD_KEY.search(message)):
        return "upstream_auth"
    if status in (400, 413, 422) and (lower in _CONTEXT_CODES or _CONTEXT.search(message)):
        return "context_too_long"
    if lower == "model_not_found" and status in (400, 403, 404):
        return "not_found"
    if status == 403 and _flagged(error):
        return "bad_request"
    if status == 429 and (_DAILY.search(message) or _DAILY.search(str(error.get("details") or ""))):
        return "quota_exhausted"
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    if status >= 500:
        return "overloaded" if 520 <= status <= 530 else "server"
    return "bad_request"


def _flagged(error: Json) -> bool:
    """OpenRouter's moderation answers 403 for the content of a request; the account is sound."""
    metadata = error.get("metadata")
    return isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata)


def error_body(failure: Failure) -> Json:
    """The body by which a client is told of `failure`."""
    kind, code = _WORDS[failure.kind]
    if failure.kind == "bad_request":
        code = failure.code or None
    return {"error": {"message": failure.message, "type": kind, "param": failure.param or None, "code": code}}


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body of an error answer. The protocol names the request in a header only."""
    return failure.http_status, error_body(failure)

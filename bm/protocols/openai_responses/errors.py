"""OpenAI's error bodies, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols import rate_limits

_BY_STATUS: dict[int, FailureKind] = {
    401: "upstream_auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method",
    408: "timeout",
    413: "too_large",
    429: "rate_limited",
    500: "server",
    502: "overloaded",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_BY_CODE: dict[str, FailureKind] = {
    "context_length_exceeded": "context_too_long",
    "insufficient_quota": "billing",
    "billing_hard_limit_reached": "billing",
    "billing_not_active": "billing",
    "rate_limit_exceeded": "rate_limited",
    "rate_limit_error": "rate_limited",
    "slow_down": "overloaded",
    "server_is_overloaded": "overloaded",
    "server_error": "server",
    "internal_error": "server",
    "invalid_api_key": "upstream_auth",
    "account_deactivated": "upstream_auth",
    "model_not_found": "not_found",
    "unsupported_country_region_territory": "permission",
    "invalid_prompt": "bad_request",
    "bio_policy": "bad_request",
    "misalignment_policy_violation": "bad_request",
    "data_residency_mismatch": "bad_request",
    "vector_store_timeout": "timeout",
}
"""Codes and types of error objects, also of those inside a stream, which have no status."""

_TOO_LONG = ("context length", "context window", "maximum context", "prompt is too long", "too many tokens")
_PER_DAY = ("per day", "(rpd)", "(tpd)", "requests per day", "tokens per day")

_TYPES: dict[FailureKind, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "context_too_long": ("invalid_request_error", "context_length_exceeded"),
    "unauthorized": ("invalid_request_error", "invalid_api_key"),
    "forbidden": ("invalid_request_error", "forbidden"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "method": ("invalid_request_error", "method_not_allowed"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
    "quota_exhausted": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded": ("server_error", "server_is_overloaded"),
}
"""OpenAI's `type` and `code` of each kind; all others are its `server_error`."""


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body of an OpenAI error. OpenAI names the request in a header, so `request_id` is not in it."""
    return failure.http_status, {"error": error_object(failure)}


def error_object(failure: Failure) -> Json:
    """What OpenAI puts under `error`."""
    kind, code = _TYPES.get(failure.kind, ("server_error", "server_error"))
    if failure.kind == "bad_request":
        code = failure.code or None
    return {"message": failure.message, "type": kind, "param": failure.param or None, "code": code}


def stream_error(failure: Failure) -> Json:
    """The error inside a failed response: a code and a message.

    Codex waits as long as the message of a rate limit says, in the words "try again in 2.5s".
    """
    _, code = _TYPES.get(failure.kind, ("", "server_error"))
    message = failure.message
    if code == "rate_limit_exceeded" and failure.retry_after is not None and "try again in" not in message:
        message = f"{message.rstrip('. ')}. Please try again in {failure.retry_after:g}s."
    return {"code": code or "invalid_prompt", "message": message}


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an error answer of OpenAI or a service like it. Never raises."""
    error = _error_in(body)
    failure = failure_of(error, status)
    delay = rate_limits.delay(headers)
    return msgspec.structs.replace(
        failure,
        message=failure.message or _plain(body) or f"the upstream answered {status}",
        retry_after=delay if delay is not None else failure.retry_after,
        should_retry=rate_limits.should_retry(headers),
        upstream_status=status,
        upstream_body=body,
    )


def failure_of(error: Json, status: int = 0) -> Failure:
    """The failure that an error object tells; `status` is 0 for one inside a stream."""
    message = _text(error.get("message")) or _text(error.get("detail"))
    code, kind_word = _text(error.get("code")), _text(error.get("type"))
    kind = _kind(status, code, kind_word, message.lower())
    delay = rate_limits.delay_in_text(message) if kind in ("rate_limited", "overloaded") else None
    return Failure(kind=kind, message=message, retry_after=delay, param=_text(error.get("param")), code=code)


def _kind(status: int, code: str, word: str, message: str) -> FailureKind:
    kind = _BY_CODE.get(code) or _BY_CODE.get(word)
    if kind is None and not status and word == "invalid_request_error":
        kind = "bad_request"
    if status in (400, 413, 422) or kind == "bad_request":
        long = kind == "context_too_long" or any(words in message for words in _TOO_LONG)
        kind = "context_too_long" if long else "too_large" if status == 413 else "bad_request"
    if kind is None or (kind == "server" and status):
        kind = _BY_STATUS.get(status) or ("bad_request" if 400 <= status < 500 else "server")
    if kind == "rate_limited" and any(words in message for words in _PER_DAY):
        return "quota_exhausted"
    return kind


def _error_in(body: bytes) -> Json:
    """The error object wherever services put it: under `error` or `detail`, in a list of one, or bare."""
    try:
        value: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {}
    match value.get("error"):
        case dict() as error:
            return error
        case str() as message:
            return {**value, "message": message}
        case _:
            return value


def _plain(body: bytes) -> str:
    """A body that is no JSON, if it can be shown to a person: no markup, one line, not long."""
    text = body[:300].decode("utf-8", "replace").strip()
    return "" if text.startswith(("<", "{", "[")) else text.partition("\n")[0][:200]


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else ""

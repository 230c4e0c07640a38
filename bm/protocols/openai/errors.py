"""Failures as a client of either OpenAI API receives them."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind

WORDS: dict[FailureKind, tuple[str, str | None]] = {
    "bad_request": ("invalid_request_error", None),
    "context_too_long": ("invalid_request_error", "context_length_exceeded"),
    "unauthorized": ("invalid_request_error", "invalid_api_key"),
    "upstream_auth": ("invalid_request_error", "upstream_auth"),
    "billing": ("invalid_request_error", "upstream_billing"),
    "permission": ("invalid_request_error", "upstream_permission"),
    "blocked": ("server_error", "upstream_blocked"),
    "declined": ("invalid_request_error", "upstream_declined"),
    "forbidden": ("invalid_request_error", "forbidden"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "method": ("invalid_request_error", "method_not_allowed"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "rate_limited": ("rate_limit_error", "rate_limit_exceeded"),
    "quota_exhausted": ("rate_limit_error", "rate_limit_exceeded"),
    "server": ("server_error", "server_error"),
    "overloaded": ("server_error", "server_is_overloaded"),
    "timeout": ("server_error", "timeout"),
    "connection": ("server_error", "upstream_connection"),
    "truncated": ("server_error", "upstream_truncated"),
    "malformed": ("server_error", "upstream_malformed"),
    "unavailable": ("invalid_request_error", "unavailable"),
}
"""`type` and `code`."""
_UNKNOWN_URL = "unknown_url"
"""OpenAI's code for a page that there is not (https://github.com/InternLM/MindSearch/issues/150, read 2026-11-30)."""


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body of an error answer. The protocols name the request in a header only."""
    return failure.http_status, {"error": error_object(failure)}


def error_object(failure: Failure) -> Json:
    """What stands under `error`."""
    kind, code = WORDS[failure.kind]
    if failure.kind == "bad_request":
        code = failure.code or None
    elif failure.kind == "not_found" and failure.param == "path":
        code = _UNKNOWN_URL
    return {"message": failure.message, "type": kind, "param": failure.param or None, "code": code}

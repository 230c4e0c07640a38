"""Failures as a Messages client receives them."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind

_OTHER = "api_error"
_TYPE_OF_KIND: dict[FailureKind, str] = {
    "bad_request": "invalid_request_error",
    "context_too_long": "invalid_request_error",
    "declined": "invalid_request_error",
    "unauthorized": "authentication_error",
    "upstream_auth": "invalid_request_error",
    "billing": "invalid_request_error",
    "permission": "invalid_request_error",
    "unavailable": "invalid_request_error",
    "forbidden": "permission_error",
    "not_found": "not_found_error",
    "method": "invalid_request_error",
    "too_large": "request_too_large",
    "rate_limited": "rate_limit_error",
    "quota_exhausted": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    # opencode asks again only after this word; Claude Code does after any.
    "truncated": "overloaded_error",
}
_PROMPT_TOO_LONG = "prompt is too long"


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body for a client. Clients know a full context by its wording: "prompt is too long"."""
    message = failure.message
    if failure.kind == "context_too_long" and not message.startswith(_PROMPT_TOO_LONG):
        message = f"{_PROMPT_TOO_LONG}: {message}"
    error: Json = {"type": _TYPE_OF_KIND.get(failure.kind, _OTHER), "message": message}
    if failure.code not in ("", _OTHER, *_TYPE_OF_KIND.values()) and failure.kind != "method":
        error["details"] = {"error_code": failure.code}
    body: Json = {"type": "error", "error": error}
    if request_id:
        body["request_id"] = request_id
    return failure.http_status, body

"""Failures as a Messages client receives them."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.errors import STATUS, Failure

_REQUEST, _SERVER = "invalid_request_error", "api_error"
_TYPE_OF_STATUS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""Any other status below 500 is `invalid_request_error`, the rest `api_error`."""
_PROMPT_TOO_LONG = "prompt is too long"


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body for a client. Clients know a full context by its wording: "prompt is too long"."""
    message = failure.message
    if failure.kind == "context_too_long" and not message.startswith(_PROMPT_TOO_LONG):
        message = f"{_PROMPT_TOO_LONG}: {message}"
    # opencode asks again only after an overload; Claude Code does after any error of a server.
    status = STATUS["overloaded" if failure.kind == "truncated" else failure.kind]
    kind = _TYPE_OF_STATUS.get(status, _REQUEST if status < 500 else _SERVER)
    error: Json = {"type": kind, "message": message}
    if failure.code not in ("", _REQUEST, _SERVER, *_TYPE_OF_STATUS.values()) and failure.kind != "method":
        error["details"] = {"error_code": failure.code}
    body: Json = {"type": "error", "error": error}
    if request_id:
        body["request_id"] = request_id
    return failure.http_status, body

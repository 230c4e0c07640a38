"""Failures as a client of the Gemini API receives them: `{"error": {code, message, status, details}}`.

Details are google.rpc types, distinguished by `@type`.
"""

from __future__ import annotations

import math

from bm.chat.parts import Json
from bm.errors import Failure

_WORD: dict[int, str] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The words of the other statuses are `INVALID_ARGUMENT` and `INTERNAL`."""


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body for a Gemini client."""
    return failure.http_status, {"error": error_object(failure, request_id)}


def error_object(failure: Failure, request_id: str = "") -> Json:
    """The `error` object, in an answer of its own or within a stream."""
    status = failure.http_status
    message = failure.message
    if failure.kind == "context_too_long" and "token count" not in message:
        message = f"The input token count exceeds the maximum number of tokens allowed: {message}"
    word = _WORD.get(status, "INVALID_ARGUMENT" if 400 <= status < 500 else "INTERNAL")
    error: Json = {"code": status, "message": message, "status": word}
    details: list[Json] = []
    if failure.retry_after is not None:
        seconds = math.ceil(failure.retry_after)
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{seconds}s"})
    if failure.param:
        violation = {"field": failure.param, "description": failure.message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    if request_id:
        details.append({"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": request_id})
    if details:
        error["details"] = details
    return error

"""Errors of the Gemini API and Vertex AI, read and written.

The body is `{"error": {code, message, status, details}}`, or a list of one such object where a stream was asked for
without `alt=sse`. Details are google.rpc types, told apart by `@type`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols.rate_limits import (
    NOT_IN_TIER,
    delay,
    delay_in_details,
    delay_in_text,
    is_tierless,
    should_retry,
)

SHARED_CAPACITY = "shared_capacity"
"""The `code` of a 429 that names no quota: the service as a whole is short, not the account."""

_BY_STATUS: dict[int, FailureKind] = {
    401: "upstream_auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method",
    408: "timeout",
    413: "too_large",
    414: "too_large",
    429: "rate_limited",
    499: "timeout",
    500: "server",
    502: "overloaded",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_BY_WORD: dict[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORD: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_KEY_REASONS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED", "ACCESS_TOKEN_EXPIRED", "CREDENTIALS_MISSING"})
_BILLING_REASONS = frozenset({"BILLING_DISABLED", "BILLING_NOT_ENABLED"})
# Wordings by which an error says more than its status does, first match wins.
_WORDINGS: tuple[tuple[re.Pattern[str], FailureKind], ...] = (
    (re.compile(r"token count.{0,40}exceeds the maximum|exceeds? the (?:model'?s )?context", re.I), "context_too_long"),
    (re.compile(r"request payload size exceeds", re.I), "too_large"),
    (re.compile(r"api[ _]key (?:not valid|expired|not found)|reported as leaked", re.I), "upstream_auth"),
    (re.compile(r"location is not supported", re.I), "permission"),
    (re.compile(r"enable billing|billing (?:is )?(?:disabled|not enabled)|billing account", re.I), "billing"),
)
_OF_A_DAY = re.compile(r"per_?day", re.I)
"""In the names of quotas: `GenerateRequestsPerDayPerProjectPerModel`, `generate_requests_per_model_per_day`."""
_MAX_TEXT = 300


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an upstream's error answer."""
    error = _error_of(body)
    if error is None:
        message = _readable(body) or f"the upstream answered {status}"
        failure = Failure(kind=_by_status(status), message=message, upstream_status=status)
    else:
        failure = failure_of(error, status)
    waited = delay(headers)
    keep = failure.kind == "quota_exhausted" or waited is None
    return msgspec.structs.replace(
        failure,
        retry_after=failure.retry_after if keep else waited,
        should_retry=should_retry(headers),
        upstream_body=body,
    )


def _error_of(body: bytes) -> Any:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if isinstance(value, list) and value:
        value = value[0]
    return value.get("error") if isinstance(value, dict) else None


def _readable(body: bytes) -> str:
    text = body[:4096].decode("utf-8", "replace")
    title = re.search(r"<title>\s*(.*?)\s*</title>", text, re.I | re.S)
    if title is not None:
        text = title.group(1)
    elif "<html" in text.lower() or text.lstrip().startswith("<"):
        text = re.sub(r"<[^>]*>", " ", text)
    return " ".join(text.split())[:_MAX_TEXT]


def failure_of(error: Any, status: int = 0) -> Failure:
    """What an `error` object says, in an answer of its own or within a stream."""
    if not isinstance(error, dict):
        text = error if isinstance(error, str) else "the upstream reported an error without a message"
        return Failure(kind=_by_status(status or 500), message=text, upstream_status=status)
    code, word = error.get("code"), error.get("status")
    word = word if isinstance(word, str) else ""
    status = status if status >= 400 else code if isinstance(code, int) and code >= 400 else _BY_WORD.get(word, 500)
    said = error.get("message")
    message = said if isinstance(said, str) and said else word or f"the upstream answered {status}"
    details = error.get("details")
    rows = [row for row in details if isinstance(row, dict)] if isinstance(details, list) else []
    if status == 429:
        return _limited(message, rows, word)
    return Failure(kind=_kind(status, message, rows), message=message, code=word, upstream_status=status)


def _kind(status: int, message: str, details: list[Json]) -> FailureKind:
    reasons = {row.get("reason") for row in details}
    if reasons & _KEY_REASONS:
        return "upstream_auth"
    if reasons & _BILLING_REASONS:
        return "billing"
    if status in (400, 403, 413):
        for wording, kind in _WORDINGS:
            if wording.search(message):
                return kind
    return _by_status(status)


def _by_status(status: int) -> FailureKind:
    return _BY_STATUS.get(status, "bad_request" if 400 <= status < 500 else "server")


def _limited(message: str, details: list[Json], word: str) -> Failure:
    quotas = list(_quota_ids(details))
    wait = delay_in_details(details)
    kind: FailureKind = "rate_limited"
    code = word
    if is_tierless(message):
        kind, code, wait = "quota_exhausted", NOT_IN_TIER, None
    elif any(_OF_A_DAY.search(quota) for quota in (*quotas, message)):
        # The delay that comes with a daily quota is one of seconds; the quota returns at the daily reset.
        kind, wait = "quota_exhausted", None
    else:
        wait = delay_in_text(message) if wait is None else wait
        if wait is None and not quotas and "exceeded" not in message.lower():
            code = SHARED_CAPACITY
    return Failure(kind=kind, message=message, retry_after=wait, code=code, upstream_status=429)


def _quota_ids(details: list[Json]) -> Iterator[str]:
    for row in details:
        metadata = row.get("metadata")
        if isinstance(metadata, dict) and metadata.get("quota_limit"):
            yield str(metadata["quota_limit"])
        violations = row.get("violations")
        for violation in violations if isinstance(violations, list) else ():
            if isinstance(violation, dict):
                yield str(violation.get("quotaId") or violation.get("quotaMetric") or "")


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body by which a Gemini client is told."""
    return failure.http_status, {"error": error_object(failure, request_id)}


def error_object(failure: Failure, request_id: str = "") -> Json:
    """The `error` object, in an answer of its own or within a stream."""
    status = failure.http_status
    message = failure.message
    if failure.kind == "context_too_long" and "token count" not in message:
        message = f"The input token count exceeds the maximum number of tokens allowed: {message}"
    error: Json = {"code": status, "message": message, "status": _WORD.get(status, _word_of_range(status))}
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


def _word_of_range(status: int) -> str:
    return "INVALID_ARGUMENT" if 400 <= status < 500 else "INTERNAL"

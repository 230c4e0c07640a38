"""Errors, both ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols import rate_limits

_KIND_OF_TYPE: dict[str, FailureKind] = {
    "invalid_request_error": "bad_request",
    "authentication_error": "upstream_auth",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limited",
    "timeout_error": "timeout",
    "api_error": "server",
    "overloaded_error": "overloaded",
}
_KIND_OF_STATUS: dict[int, FailureKind] = {
    401: "upstream_auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method",
    408: "timeout",
    413: "too_large",
    429: "rate_limited",
    502: "overloaded",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}
_TYPE_OF_KIND: dict[FailureKind, str] = {
    "bad_request": "invalid_request_error",
    "context_too_long": "invalid_request_error",
    "unauthorized": "authentication_error",
    "upstream_auth": "api_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "forbidden": "permission_error",
    "not_found": "not_found_error",
    "method": "invalid_request_error",
    "too_large": "request_too_large",
    "rate_limited": "rate_limit_error",
    "quota_exhausted": "rate_limit_error",
    "server": "api_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "connection": "api_error",
    # opencode asks again only after this word; Claude Code does after any.
    "truncated": "overloaded_error",
    "malformed": "api_error",
    "unavailable": "api_error",
}
_TOO_LONG = re.compile(
    r"prompt is too long|input is too long|exceeds? the (?:maximum )?context|context (?:window|length|limit)"
    r"|input length and `?max_tokens`? exceed",
    re.I,
)
_NO_CREDIT = re.compile(r"credit balance is too low|purchase credits", re.I)
_SPENT = re.compile(r"specified (?:api )?usage limits|regain access", re.I)
_PLACE = re.compile(r"([a-z_]+(?:\.[A-Za-z0-9_]+)*): ")
_PROMPT_TOO_LONG = "prompt is too long"


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    """Read an upstream's error answer; garbage is judged by its status."""
    try:
        decoded: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        decoded = None
    failure = read_error(decoded, status)
    if failure is None:
        failure = Failure(kind=_kind_of_status(status), message=_readable(status, body), upstream_status=status)
    delay = rate_limits.delay(headers)
    return msgspec.structs.replace(
        failure,
        retry_after=failure.retry_after if delay is None else delay,
        should_retry=rate_limits.should_retry(headers),
        upstream_body=body,
    )


def read_error(body: Any, status: int = 0) -> Failure | None:
    """The failure in an error body, or in a stream's `error` event, where the status is 0; None if it is no error."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    kind_of = error.get("type")
    native = kind_of if isinstance(kind_of, str) else ""
    text = error.get("message")
    message = text if isinstance(text, str) and text else native or "the upstream gave no reason"
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    place = _PLACE.match(message)
    kind = _kind(native, message, status)
    return Failure(
        kind=kind,
        message=message,
        retry_after=rate_limits.delay_in_text(message) if kind == "rate_limited" else None,
        param=place.group(1) if place and kind == "bad_request" else "",
        code=code if isinstance(code, str) else native,
        upstream_status=status,
    )


def _kind(native: str, message: str, status: int) -> FailureKind:
    if _NO_CREDIT.search(message):
        return "billing"
    if _SPENT.search(message):
        return "quota_exhausted"
    kind = _KIND_OF_TYPE.get(native) or _kind_of_status(status)
    if kind in ("bad_request", "too_large") and _TOO_LONG.search(message):
        return "context_too_long"
    return kind


def _kind_of_status(status: int) -> FailureKind:
    known = _KIND_OF_STATUS.get(status)
    return known or ("bad_request" if 400 <= status < 500 else "server")


def _readable(status: int, body: bytes) -> str:
    """A page or a plain line in a few words."""
    text = body[:2000].decode("utf-8", "replace").strip()
    title = re.search(r"<title>([^<]{1,200})</title>", text, re.I)
    if title is not None:
        text = title.group(1).strip()
    elif text.startswith("<"):
        text = ""
    return f"HTTP {status}: {text[:300]}" if text else f"HTTP {status} without a readable reason"


def encode_error(failure: Failure, request_id: str) -> tuple[int, Json]:
    """The status and body for a client.

    Clients know a full context by its wording: "prompt is too long".
    """
    message = failure.message
    if failure.kind == "context_too_long" and not message.startswith(_PROMPT_TOO_LONG):
        message = f"{_PROMPT_TOO_LONG}: {message}"
    error: Json = {"type": _TYPE_OF_KIND[failure.kind], "message": message}
    if failure.code and failure.code not in _KIND_OF_TYPE and failure.kind != "method":
        error["details"] = {"error_code": failure.code}
    body: Json = {"type": "error", "error": error}
    if request_id:
        body["request_id"] = request_id
    return failure.http_status, body

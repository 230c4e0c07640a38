"""Errors in terms common to all APIs, and the faults that a model name may ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from bm.simulator.rules import ErrorKind, Rule, ToolCall

KINDS: dict[int, ErrorKind] = {
    400: "bad_request",
    401: "invalid_key",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    500: "server",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}
STATUSES: dict[ErrorKind, int] = {
    "bad_request": 400,
    "invalid_key": 401,
    "permission": 403,
    "not_found": 404,
    "too_large": 413,
    "rate_limit": 429,
    "server": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "timeout": 504,
    "overloaded": 529,
    "context_too_long": 400,
}


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """An error. Empty fields, and status 0, are filled in by the API.

    `retry_info` is a Google duration such as `20.04s`; `limit` and `quota_ids` describe an exceeded quota.
    """

    kind: ErrorKind
    status: int = 0
    message: str = ""
    code: str = ""
    param: str = ""
    retry_info: str = ""
    quota_ids: tuple[str, ...] = ()
    limit: int | None = None
    headers: dict[str, str] = {}


def http_status(trouble: Trouble, own: Mapping[ErrorKind, int] = MappingProxyType({})) -> int:
    """The status of `trouble`; `own` holds where an API differs from the others."""
    return trouble.status or own.get(trouble.kind) or STATUSES[trouble.kind]


class Refused(Exception):
    """The API refuses the request, after `delay` seconds."""

    def __init__(self, trouble: Trouble, delay: float = 0.0) -> None:
        super().__init__(trouble.message or trouble.kind)
        self.trouble, self.delay = trouble, delay


def bad_request(message: str, *, param: str = "", code: str = "") -> Refused:
    """The refusal of an invalid request."""
    return Refused(Trouble(kind="bad_request", message=message, param=param, code=code))


def trouble_of(rule: Rule) -> Trouble:
    """The error of `rule`."""
    kind = rule.error or KINDS.get(rule.status or 500, "server" if (rule.status or 500) >= 500 else "bad_request")
    headers = dict(rule.headers)
    if rule.retry_after is not None:
        headers["retry-after"] = f"{rule.retry_after:g}" if isinstance(rule.retry_after, float) else rule.retry_after
    if rule.retry_after_ms is not None:
        headers["retry-after-ms"] = str(rule.retry_after_ms)
    return Trouble(
        kind=kind,
        status=rule.status or 0,
        message=rule.message or "",
        retry_info=rule.retry_info or "",
        quota_ids=rule.quota_ids,
        limit=rule.limit,
        headers=headers,
    )


_PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
_PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
_HTML = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

NAMED: dict[str, Rule] = {
    **{str(status): Rule(status=status) for status in KINDS},
    "429-delay": Rule(status=429, retry_after=2.0, retry_info="2s", quota_ids=(_PER_MINUTE,), limit=15),
    "429-day": Rule(status=429, retry_info="20.5s", quota_ids=(_PER_MINUTE, _PER_DAY), limit=250),
    "limit-0": Rule(status=429, retry_info="20.5s", quota_ids=(_PER_DAY,), limit=0),
    "invalid-key": Rule(error="invalid_key"),
    "context": Rule(error="context_too_long"),
    "blocked": Rule(finish="blocked_prompt"),
    "filter": Rule(finish="content_filter"),
    "length": Rule(finish="length"),
    "empty": Rule(text=""),
    "malformed-call": Rule(text="", finish="malformed_tool_call"),
    "think": Rule(thinking="First this, then that."),
    "html": Rule(status=502, raw_body=_HTML, content_type="text/html"),
    "gzip": Rule(status=500, gzip=True),
    "flood": Rule(text=" ".join(f"w{number}" for number in range(60_000)), chunks=4000),
    "huge": Rule(text=" ".join(f"w{number}" for number in range(150_000))),
    "slow": Rule(chunks=20, delay=0.25),
    "slow-head": Rule(head_delay=5.0),
    "slow-first-token": Rule(first_token_delay=5.0),
    "silent": Rule(silent=True),
    "stall": Rule(stall_after=3),
    "cut": Rule(cut_after=3),
    "end": Rule(end_after=3),
    "malformed": Rule(malformed_after=3),
    "no-done": Rule(no_done=True),
    "error-first": Rule(status=529, error_after=0),
    "error-mid": Rule(status=529, error_after=3),
}
"""Faults by the end of a model's name: `sim-429`, `gemini-3-flash-sim-cut`."""

_IN_NAME = re.compile(r"(?:^|[-/:])sim-(?P<fault>[a-z0-9-]+)$")


def of_model(model: str, first_tool: str = "") -> Rule | None:
    """The fault that the name of a model asks for, if any. `sim-tool` calls the first tool of the request."""
    found = _IN_NAME.search(model)
    if found is None:
        return None
    if found["fault"] == "tool" and first_tool:
        return Rule(tool_calls=(ToolCall(first_tool),))
    return NAMED.get(found["fault"])

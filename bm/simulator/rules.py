"""The script language: which behaviour for which request."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from bm.simulator.oauth import OAuth
from bm.simulator.request import Api, Operation, Request

Finish = Literal[
    "stop",
    "length",
    "tool_calls",
    "content_filter",
    "stop_sequence",
    "pause",
    "context_window",
    "malformed_tool_call",
    "blocked_prompt",
]
ErrorKind = Literal[
    "bad_request",
    "invalid_key",
    "permission",
    "not_found",
    "too_large",
    "rate_limit",
    "server",
    "bad_gateway",
    "unavailable",
    "timeout",
    "overloaded",
    "context_too_long",
]
Seconds = float


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool call in an answer."""

    name: str
    arguments: dict[str, Any] = {}


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Token counts that replace the computed ones. `input` includes `cached`; `output` excludes `thinking`."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    thinking: int | None = None


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit of `requests` in a window of `window` seconds, which starts with the first request.

    `tokens` limits the sum of their prompts. A refusal is delayed by `delay` seconds.
    """

    requests: int
    window: Seconds = 60.0
    tokens: int | None = None
    delay: Seconds = 0.0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One behaviour, and the requests it applies to. Absent conditions match everything.

    Rules are used up in order, after `times` requests each (None: never). A rule with calls also answers their
    results, without being used up again; only faults take precedence. `preface` is the text before the calls, `text`
    the text at the end. All `_after` fields count events of the stream.

    Raises:
        ValueError: two fields contradict each other.
    """

    api: Api | None = None
    path: str = ""
    account: str = ""
    model: str = "*"
    operation: Operation | Literal["any"] = "generate"
    step: int | None = None
    times: int | None = 1

    text: str | None = None
    preface: str = ""
    chunks: int | None = None
    delay: Seconds = 0.0
    thinking: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_steps: tuple[tuple[ToolCall, ...], ...] = ()
    finish: Finish | None = None
    native_finish: str | None = None
    usage: Usage = Usage()

    status: int | None = None
    error: ErrorKind | None = None
    message: str | None = None
    retry_after: float | str | None = None
    retry_after_ms: int | None = None
    retry_info: str | None = None
    quota_ids: tuple[str, ...] = ()
    limit: int | None = None
    headers: dict[str, str] = {}
    raw_body: str | None = None
    content_type: str | None = None
    gzip: bool = False

    head_delay: Seconds = 0.0
    first_token_delay: Seconds = 0.0
    silent: bool = False
    reset: bool = False
    stall_after: int | None = None
    cut_after: int | None = None
    end_after: int | None = None
    malformed_after: int | None = None
    error_after: int | None = None
    no_done: bool = False
    drip: Seconds | None = None
    comments: Seconds | None = None
    afterwards: Literal["close", "reset"] | None = None

    def __post_init__(self) -> None:
        breaks = [name for name in BREAKS if getattr(self, name) is not None]
        if len(breaks) > 1:
            raise ValueError(f"a stream breaks in one way only, not by {' and '.join(breaks)}")
        if self.tool_calls and self.tool_steps:
            raise ValueError("tool_calls is one step of calls; give either it or tool_steps")
        if self.error_after is not None and not self.fails:
            raise ValueError("error_after needs a status or an error to send")
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError("status is that of an error, from 400 to 599")
        if self.times is not None and self.times < 1:
            raise ValueError("times is at least 1, or null for ever")

    @property
    def steps(self) -> tuple[tuple[ToolCall, ...], ...]:
        """The rounds of calls before the text."""
        return self.tool_steps or ((self.tool_calls,) if self.tool_calls else ())

    @property
    def fails(self) -> bool:
        """Whether this rule sends an error."""
        return self.status is not None or self.error is not None

    @property
    def disturbs(self) -> bool:
        """Whether this rule is a fault."""
        replaced = self.fails or self.silent or self.reset or self.comments is not None
        return replaced or any(getattr(self, name) is not None for name in BREAKS)

    def fits(self, request: Request, step: int) -> bool:
        """Whether this rule applies to `request`, which has `step` rounds of tool results in its current turn."""
        return (
            self.api in (None, request.api)
            and self.operation in ("any", request.operation)
            and request.path.startswith(self.path)
            and (not self.account or request.key.endswith(self.account))
            and fnmatchcase(request.model, self.model)
            and self.step in (None, step)
        )


BREAKS = ("stall_after", "cut_after", "end_after", "malformed_after", "error_after")
"""The fields that break a stream after a number of events. A rule has at most one."""


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /__sim/script`. Rules are added to the existing ones, unless `replace`."""

    rules: tuple[Rule, ...] = ()
    quotas: dict[str, Quota] | None = None
    keys: tuple[str, ...] | None = None
    oauth: OAuth | None = None
    replace: bool = False


def decode(raw: bytes) -> Script:
    """Read a script: an object with `rules`, a list of rules, or one rule.

    Raises:
        ValueError: the script is not JSON, or has an unknown or wrong field; the message says where.
    """
    try:
        value = msgspec.json.decode(raw)
        if isinstance(value, list):
            return msgspec.convert({"rules": value}, Script)
        if isinstance(value, dict) and not value.keys() & set(Script.__struct_fields__):
            return Script(rules=(msgspec.convert(value, Rule),))
        return msgspec.convert(value, Script)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


class RuleBook:
    """The active rules and how often each may still be used."""

    def __init__(self) -> None:
        self._entries: list[tuple[Rule, int | None]] = []

    def add(self, rules: Sequence[Rule]) -> None:
        """Append `rules`."""
        self._entries += [(rule, rule.times) for rule in rules]

    def clear(self) -> None:
        """Remove all rules."""
        self._entries.clear()

    def peek(self, request: Request, step: int) -> Rule | None:
        """The rule that `take` would use up."""
        return next((rule for rule, _ in self._entries if rule.fits(request, step)), None)

    def take(self, request: Request, step: int) -> Rule | None:
        """The first rule for `request`, whose uses are reduced by one; None if there is none."""
        for place, (rule, left) in enumerate(self._entries):
            if rule.fits(request, step):
                if left == 1:
                    del self._entries[place]
                elif left is not None:
                    self._entries[place] = (rule, left - 1)
                return rule
        return None

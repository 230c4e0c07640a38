"""The script language: what the simulator shall do with which request."""

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
    """One call the answer makes."""

    name: str
    arguments: dict[str, Any] = {}


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Token counts that replace the computed ones. `input` includes `cached`; `output` excludes `thinking`."""

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    thinking: int | None = None


class Quota(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many generation requests in a window of so many seconds, which starts with the first of them.

    `tokens` are how many all their prompts may have together, without it any number. `delay` are the seconds that a
    refusal takes.
    """

    requests: int
    window: Seconds = 60.0
    tokens: int | None = None
    delay: Seconds = 0.0


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One behaviour, and the requests it is for. Every condition that is not given holds for all of them.

    Rules are used up in order, `times` requests each; `times` null means for ever. A rule with calls answers the
    tool results that come back, without being used up again, before other rules but faults; `preface` is what it
    says before the calls, `text` what it says in the end. All `_after` fields count events of the stream.

    Raises:
        ValueError: two contradicting fields are given.
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
    stall_after: int | None = None
    cut_after: int | None = None
    end_after: int | None = None
    malformed_after: int | None = None
    error_after: int | None = None
    no_done: bool = False

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
        """The rounds of calls this rule makes before it answers with text."""
        return self.tool_steps or ((self.tool_calls,) if self.tool_calls else ())

    @property
    def fails(self) -> bool:
        """Whether an error is what this rule sends."""
        return self.status is not None or self.error is not None

    @property
    def disturbs(self) -> bool:
        """Whether this rule is a fault rather than an answer."""
        return self.fails or self.silent or any(getattr(self, name) is not None for name in BREAKS)

    def fits(self, request: Request, step: int) -> bool:
        """Whether this rule is for `request`, which has `step` rounds of tool results in its current turn."""
        return (
            self.api in (None, request.api)
            and self.operation in ("any", request.operation)
            and request.path.startswith(self.path)
            and (not self.account or request.key.endswith(self.account))
            and fnmatchcase(request.model, self.model)
            and self.step in (None, step)
        )


BREAKS = ("stall_after", "cut_after", "end_after", "malformed_after", "error_after")
"""The fields that break a stream after so many events; at most one is given."""


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `POST /__sim/script` takes. Rules are added to those there are, unless `replace`."""

    rules: tuple[Rule, ...] = ()
    quotas: dict[str, Quota] | None = None
    keys: tuple[str, ...] | None = None
    oauth: OAuth | None = None
    replace: bool = False


def decode(raw: bytes) -> Script:
    """Read a script: an object with `rules`, a list of rules, or one rule.

    Raises:
        ValueError: the script is not JSON, or says something the language does not have; the message says where.
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
    """The rules in force and how often each may still be used."""

    def __init__(self) -> None:
        self._entries: list[tuple[Rule, int | None]] = []

    def add(self, rules: Sequence[Rule]) -> None:
        """Put `rules` after those there are."""
        self._entries += [(rule, rule.times) for rule in rules]

    def clear(self) -> None:
        """Forget every rule."""
        self._entries.clear()

    def peek(self, request: Request, step: int) -> Rule | None:
        """The rule that `take` would use up."""
        return next((rule for rule, _ in self._entries if rule.fits(request, step)), None)

    def take(self, request: Request, step: int) -> Rule | None:
        """The first rule for `request`, used up by one; None when there is none."""
        for place, (rule, left) in enumerate(self._entries):
            if rule.fits(request, step):
                if left == 1:
                    del self._entries[place]
                elif left is not None:
                    self._entries[place] = (rule, left - 1)
                return rule
        return None

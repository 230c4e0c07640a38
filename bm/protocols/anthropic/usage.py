"""Token counts and stop reasons, both ways."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.events import Finish, FinishReason, Usage
from bm.chat.parts import Json
from bm.protocols.reading import count_of, object_of, objects_of, string_of, tier_of

_REASON: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "compaction": "length",
    "model_context_window_exceeded": "context_window",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
    "stop": "stop",
}
_STOP_REASON = {reason: native for native, reason in reversed(_REASON.items())}

_HOUR, _MINUTES = "ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens"


class UsageMeter:
    """Merges the counts of a stream: they are cumulative, so a later one replaces the same earlier one."""

    def __init__(self) -> None:
        self._counts: Json = {}

    def add(self, usage: Any) -> Usage | None:
        """Take one `usage` object; None when it is none."""
        if not isinstance(usage, dict):
            return None
        # Some services count the whole prompt at the beginning, and at the end what of it came from a cache.
        if usage.get("input_tokens") == 0 and self._cached(usage) > self._cached(self._counts):
            self._counts["input_tokens"] = 0
        # Services of other vendors repeat counts of the beginning as 0.
        self._counts.update((name, value) for name, value in usage.items() if value or name not in self._counts)
        return decode_usage(self._counts)

    @staticmethod
    def _cached(usage: Json) -> int:
        return count_of(usage.get("cache_read_input_tokens")) + count_of(usage.get("cache_creation_input_tokens"))


def decode_usage(usage: Json) -> Usage:
    """Anthropic counts cached tokens apart from `input_tokens`, and thinking inside `output_tokens`.

    The counts are those of the answer. What a summary of the conversation has taken before it stands in `iterations`
    alone, and is billed as well (https://platform.claude.com/docs/en/build-with-claude/compaction, read 2026-12-01).
    """
    kept, written = object_of(usage.get("cache_creation")), usage.get("cache_creation_input_tokens")
    if written is None:
        written = sum(count_of(value) for value in kept.values())
    output = count_of(usage.get("output_tokens"))
    found = Usage(
        input=count_of(usage.get("input_tokens")),
        cache_read=count_of(usage.get("cache_read_input_tokens")),
        cache_write=count_of(written),
        output=output,
        thinking=min(count_of(object_of(usage.get("output_tokens_details")).get("thinking_tokens")), output),
        cache_write_1h=min(count_of(kept.get(_HOUR)), count_of(written)),
        searches=count_of(object_of(usage.get("server_tool_use")).get("web_search_requests")),
        tier=tier_of(usage.get("speed")),
    )
    for each in objects_of(usage.get("iterations")):
        if each.get("type") == "compaction":
            found = _together(found, decode_usage({**each, "iterations": None}))
    return found


def _together(one: Usage, other: Usage) -> Usage:
    return msgspec.structs.replace(
        one,
        input=one.input + other.input,
        cache_read=one.cache_read + other.cache_read,
        cache_write=one.cache_write + other.cache_write,
        output=one.output + other.output,
        thinking=one.thinking + other.thinking,
        cache_write_1h=one.cache_write_1h + other.cache_write_1h,
    )


def encode_usage(usage: Usage) -> Json:
    """The `usage` of a message or a `message_delta`; every SDK demands it."""
    body: Json = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.cache_write_1h:
        minutes = usage.cache_write - usage.cache_write_1h
        body["cache_creation"] = {_MINUTES: minutes, _HOUR: usage.cache_write_1h}
    if usage.thinking:
        body["output_tokens_details"] = {"thinking_tokens": usage.thinking}
    return body


def decode_finish(message: Json, *, called: bool) -> Finish:
    """The end of a message or the `delta` of a `message_delta`. Without a reason, calls make the difference.

    An answer with an unknown reason counts as cut: a client must not take it for complete.
    """
    native = message.get("stop_reason")
    if not isinstance(native, str):
        return Finish("tool_calls" if called else "stop")
    return Finish(
        _REASON.get(native, "length"),
        native=native,
        stop_sequence=string_of(message.get("stop_sequence")),
        explanation=string_of(object_of(message.get("stop_details")).get("explanation")),
    )


def encode_finish(finish: Finish | None, *, called: bool) -> Json:
    """`stop_reason`, `stop_sequence` and `stop_details`.

    What was sent counts for more than what the upstream said: calls make it `tool_use`, their absence unmakes it.
    """
    finish = finish or Finish("stop")
    reason = finish.reason
    if reason in ("stop", "tool_calls"):
        reason = "tool_calls" if called else "stop"
    body: Json = {"stop_reason": _STOP_REASON[reason], "stop_sequence": finish.stop_sequence or None}
    if reason == "refusal":
        body["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.explanation or None}
    return body

"""Token counts and finish reasons, which compatible services spell in several ways."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from bm.chat.events import FinishReason, Usage
from bm.chat.parts import Json
from bm.protocols.reading import count_of, json_of, object_of, tier_of
from bm.protocols.splice import edited, raw_object

_CACHED = ("prompt_cache_hit_tokens", "num_cached_tokens", "cached_tokens", "cache_read_input_tokens")
"""Where services without `prompt_tokens_details` say it: DeepSeek, Mistral, Hugging Face, Databricks."""

_COUNTS = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
"""Both counts as Chat Completions names them, and as services do that took over the names of another API."""

_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "complete", "end_turn"), "stop"),
    "stop_sequence": "stop_sequence",
    **dict.fromkeys(("length", "max_tokens"), "length"),
    **dict.fromkeys(("model_length", "model_context_window_exceeded"), "context_window"),
    **dict.fromkeys(("tool_calls", "tool_use", "function_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "refusal", "sensitive", "safety"), "refusal"),
}
"""Words of OpenAI, Together, Hugging Face, Cohere, Mistral, Zhipu and Google. An answer with an unknown word counts as
cut: a client must not take it for complete."""


_WORDS: dict[FinishReason, str] = {
    **dict.fromkeys(("stop", "stop_sequence"), "stop"),
    # The turn of a pause is not over, which `stop` would claim.
    **dict.fromkeys(("length", "context_window", "pause"), "length"),
    "tool_calls": "tool_calls",
    "refusal": "content_filter",
}


_TICKS = 10_000_000_000
"""xAI's `cost_in_usd_ticks` of one US dollar (https://docs.x.ai/developers/cost-tracking, read 2026-12-01)."""


def charge_of(usage: Json) -> float | None:
    """What the service says that it charges, in US dollars; None if it says nothing.

    OpenRouter has `cost`, and beside it what the owner of one's own key charges (`is_byok`):
    https://openrouter.ai/docs/use-cases/usage-accounting. Perplexity has an object with `total_cost`, xAI ticks. Read
    2026-12-01.
    """
    if ticks := count_of(usage.get("cost_in_usd_ticks")):
        return ticks / _TICKS
    cost = usage.get("cost")
    cost = cost.get("total_cost") if isinstance(cost, dict) else cost
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < _MOST:
        return None
    own = object_of(usage.get("cost_details")).get("upstream_inference_cost") if usage.get("is_byok") is True else 0
    if isinstance(own, bool) or not isinstance(own, int | float) or not 0 <= own < _MOST:
        return None
    return float(cost + own)


_MOST = 1_000_000
"""US dollars that no response costs."""


def decode_usage(usage: Any, tier: Any = "") -> Usage | None:
    """Read a `usage` object; None when there is none. `tier` is the answer's `service_tier`.

    `prompt_tokens` includes cached ones. `completion_tokens` includes thinking, but for services whose
    `total_tokens` shows that it does not (xAI), or that think more than that and give no total.
    """
    if not isinstance(usage, dict):
        return None
    details, inner = object_of(usage.get("prompt_tokens_details")), object_of(usage.get("completion_tokens_details"))
    prompt, output = (count_of(usage.get(name)) or count_of(usage.get(other)) for name, other in _COUNTS)
    thinking, total = count_of(inner.get("reasoning_tokens")), count_of(usage.get("total_tokens"))
    if thinking and (total == prompt + output + thinking or (not total and thinking > output)):
        output += thinking
    read = count_of(details.get("cached_tokens"))
    for key in _CACHED:
        read = read or count_of(usage.get(key))
    read = min(read, prompt)
    written = count_of(details.get("cache_write_tokens")) or count_of(usage.get("cache_creation_input_tokens"))
    written = min(written, prompt - read)
    return Usage(
        input=prompt - read - written,
        cache_read=read,
        cache_write=written,
        output=output,
        thinking=min(thinking, output),
        audio_input=min(count_of(details.get("audio_tokens")), prompt - read - written),
        audio_output=min(count_of(inner.get("audio_tokens")), output),
        tier=tier_of(tier),
        charged=charge_of(usage),
    )


def encode_usage(usage: Usage) -> Json:
    """Write a `usage` object."""
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": usage.audio_input,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.thinking,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def finish_reason(native: str, *, calls: bool) -> FinishReason:
    """What a finish reason means. Whether the answer holds calls is believed over the word: services mix them up."""
    reason = _REASONS.get(native.lower(), "length") if native else "stop"
    if reason == "stop" and calls:
        return "tool_calls"
    if reason == "tool_calls" and not calls:
        return "stop"
    return reason


def finish_word(reason: FinishReason, *, calls: bool, legacy: bool = False) -> str:
    """The word for a finish reason, in keeping with whether the answer holds calls."""
    word = _WORDS[reason]
    if word in ("stop", "tool_calls"):
        word = "tool_calls" if calls else "stop"
    return "function_call" if legacy and word == "tool_calls" else word


_EVENT = re.compile(rb".*?(?:\n\n|\r\n\r\n|\r\r|\Z)", re.S)
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*\[\s*\]')


def asks_for_usage(body: bytes) -> bool:
    """Whether a request wants the usage at the end of its stream."""
    return object_of(json_of(_options(body) or b"")).get("include_usage") is True


def _options(body: bytes) -> bytes | None:
    options = raw_object(body).get("stream_options") if b'"stream_options"' in body else None
    return None if options is None else bytes(options)


def with_usage(body: bytes) -> bytes:
    """The request such that it asks for the usage; every other byte stays as it was."""
    options = _options(body)
    asked = msgspec.json.encode(object_of(json_of(options or b"")) | {"include_usage": True})
    if options is not None:
        return edited(body, {("stream_options",): msgspec.Raw(asked)})
    start = body.index(b"{") + 1
    return body[:start] + b'"stream_options":' + asked + b"," + body[start:]


def without_usage(data: bytes) -> bytes:
    """Whole events of a stream without the chunk that holds nothing but the usage."""
    if _NO_CHOICES.search(data) is None:
        return data
    return b"".join([event for event in _EVENT.findall(data) if not _is_usage_alone(event)])


def _is_usage_alone(event: bytes) -> bool:
    chunk = object_of(json_of(event.strip().removeprefix(b"data:")))
    return chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)

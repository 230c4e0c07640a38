"""Token counts and how an answer ended, both ways."""

from __future__ import annotations

from bm.chat.events import Finish, Usage
from bm.chat.parts import Json
from bm.protocols.openai_chat.usage import charge_of
from bm.protocols.reading import count_of, object_of, objects_of, string_of, tier_of

_SHORT = {"length", "context_window", "pause"}
"""An answer that paused between calls of the vendor's own tools is none that is complete."""


def ending(finish: Finish | None, *, refused: bool) -> tuple[str, str | None]:
    """The status of an answer, and why it is incomplete. `refused`: it holds a refusal in the model's own words."""
    reason = finish.reason if finish is not None else "stop"
    if reason in _SHORT:
        return "incomplete", "max_output_tokens"
    if reason == "refusal" and not refused:
        return "incomplete", "content_filter"
    return "completed", None


def finish_of(response: Json, *, called: bool, refused: bool) -> Finish:
    """How an answer of the upstream ended."""
    native = string_of(object_of(response.get("incomplete_details")).get("reason"))
    if response.get("status") == "incomplete" or native:
        return Finish("refusal" if native == "content_filter" else "length", native=native or "incomplete")
    word = str(response.get("status") or "completed")
    return Finish("tool_calls" if called else "refusal" if refused else "stop", native=word)


def encode_usage(usage: Usage) -> Json:
    """OpenAI's usage: input with what came from the cache, output with the thinking."""
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.thinking},
        "total_tokens": usage.prompt + usage.output,
    }


def decode_usage(response: Json) -> Usage | None:
    """Read the usage of a response; None when it has none."""
    value = response.get("usage")
    if not isinstance(value, dict):
        return None
    details = object_of(value.get("input_tokens_details"))
    read, write = count_of(details.get("cached_tokens")), count_of(details.get("cache_write_tokens"))
    return Usage(
        input=max(0, count_of(value.get("input_tokens")) - read - write),
        cache_read=read,
        cache_write=write,
        output=count_of(value.get("output_tokens")),
        thinking=count_of(object_of(value.get("output_tokens_details")).get("reasoning_tokens")),
        searches=sum(map(_is_search, objects_of(response.get("output")))),
        tier=tier_of(response.get("service_tier")),
        charged=charge_of(value),
    )


def _is_search(item: Json) -> bool:
    """Whether an item is a web search that is charged: opening a page and finding text in it are not.

    Each call with the action `search` has its price (https://developers.openai.com/api/docs/pricing, read 2026-12-01).
    """
    action = object_of(item.get("action")).get("type", "search")
    return item.get("type") == "web_search_call" and item.get("status") == "completed" and action == "search"

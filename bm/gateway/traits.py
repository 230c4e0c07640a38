"""What a call is for `[routes]`, read from its body: whether it asks for thinking or a web search, and its length."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from typing import Any

import msgspec

from bm.dispatch.snapshot import Traits
from bm.errors import UNREADABLE
from bm.gateway.call import Call
from bm.gateway.requirements import holds_images
from bm.names import RouteKind
from bm.protocols.reading import object_of, string_of

BYTES_PER_TOKEN = 4
"""Of a body in JSON; good to a fifth for prose and code."""

_MEDIA = (b'"data"', b";base64,", b'"file_data"')
"""What stands before media in base64, which say nothing about the length of a prompt: Anthropic's and Gemini's member,
OpenAI's data URLs, and its audio and files."""

_NO_EFFORT = ("", "none", "minimal")
_SEARCH = re.compile(r"web_search(_preview)?(_[0-9_]+)?")
"""Anthropic's web_search_20250305, OpenAI's web_search, web_search_2025_08_26 and web_search_preview_2025_03_11 (their
SDKs' types, 2026-11)."""
_GOOGLE_SEARCH = ("googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval")


class _Body(msgspec.Struct, frozen=True):
    """The members that say what a request is, under each protocol's name for them."""

    tools: Any = None
    thinking: Any = None
    reasoning: Any = None
    reasoning_effort: Any = None
    web_search_options: Any = None
    generationConfig: Any = None
    generation_config: Any = None


def traits_of(call: Call, kinds: Collection[RouteKind]) -> Traits:
    """What a call is, as far as it matters for routes of these kinds: reading a long body takes a while."""
    body = _Body()
    if "think" in kinds or "web_search" in kinds:
        with contextlib.suppress(*UNREADABLE):
            body = msgspec.json.decode(call.body, type=_Body)
    return Traits(
        images="image" in kinds and holds_images(call.body, call.words),
        thinking=_thinks(body),
        web_search=body.web_search_options is not None or any(map(_is_search, _list(body.tools))),
        tokens=_tokens(call.body) if "long_context" in kinds else 0,
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_search(tool: Any) -> bool:
    """Whether a tool is a web search of the service's own. A function may be called so too."""
    tool = object_of(tool)
    if _SEARCH.fullmatch(string_of(tool.get("type"))):
        return True
    return any(name in tool for name in _GOOGLE_SEARCH)


def _thinks(body: _Body) -> bool:
    """Whether thinking is asked for: switched on, with a budget, or with more than the least effort."""
    if string_of(object_of(body.thinking).get("type")) in ("enabled", "adaptive"):
        return True
    if any(
        string_of(effort) not in _NO_EFFORT
        for effort in (body.reasoning_effort, object_of(body.reasoning).get("effort"))
    ):
        return True
    config = object_of(object_of(body.generationConfig) or body.generation_config)
    asked = object_of(config.get("thinkingConfig") or config.get("thinking_config"))
    level = string_of(asked.get("thinkingLevel") or asked.get("thinking_level")).lower()
    budget = asked.get("thinkingBudget", asked.get("thinking_budget"))
    return level not in (*_NO_EFFORT, "thinking_level_unspecified") or (isinstance(budget, int) and budget != 0)


def _tokens(body: bytes) -> int:
    """About how many tokens a prompt has, without its media."""
    return (len(body) - sum(_length_after(mark, body) for mark in _MEDIA)) // BYTES_PER_TOKEN


def _length_after(mark: bytes, body: bytes) -> int:
    """How long the strings are that a mark stands before or in. Bytes are found many times as fast as a pattern."""
    total, at = 0, body.find(mark)
    while at >= 0:
        start = at + len(mark)
        if mark.startswith(b'"'):
            colon = body[start : start + 8].lstrip()
            start = body.find(b'"', start) + 1 if colon.startswith(b":") else 0
        end = body.find(b'"', start) if start else -1
        total += max(0, end - start)
        at = body.find(mark, max(end, at + len(mark)))
    return total

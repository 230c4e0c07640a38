"""What the models of Anthropic refuse, one row each.

Read in November 2026; `source` names the document. A model that is not known yet is refused what the newest known
model of its line is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from bm.simulator.refusals import Refusal, always, member, number
from bm.simulator.request import Json
from bm.simulator.wire import blocks, items

_FABLE = "claude-fable-* claude-mythos-*"
_FABLE_5_1 = "claude-fable-5-[1-9]* claude-fable-[6-9]* claude-mythos-5-[1-9]* claude-mythos-[6-9]*"
_OPUS_5_5 = "claude-opus-5-[5-9]* claude-opus-[6-9]*"
_SONNET_5_5 = "claude-sonnet-5-[5-9]* claude-sonnet-[6-9]*"
_HAIKU_5 = "claude-haiku-[5-9]*"
_SINCE_4_7 = f"claude-opus-4-[789]* claude-opus-[5-9]* claude-sonnet-[5-9]* {_HAIKU_5} {_FABLE}"
_UP_TO_4_6 = "claude-*-4-[56]*"
_SKILL = "claude-api skill of @anthropic-ai/claude-code 2.1.332"
_INSTEAD = (
    ' is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking'
    " behavior."
)


def turns(messages: list[Json]) -> Iterator[tuple[int, str, list[Json]]]:
    """Neighbours of one role are one turn; a system message stands in the user's turn."""
    role, start, found = "", 0, list[Json]()
    for place, message in enumerate(messages):
        speaker = "assistant" if message["role"] == "assistant" else "user"
        if speaker != role and role:
            yield start, role, found
            start, found = place, []
        role = speaker
        found = [*found, *blocks(message.get("content"))]
    if role:
        yield start, role, found


def _thinking(body: Json) -> Any:
    return member(body, "thinking", "type")


def _effort(body: Json) -> Any:
    return member(body, "output_config", "effort")


def _forces(body: Json) -> bool:
    return member(body, "tool_choice", "type") in ("any", "tool")


def _thinks(body: Json) -> bool:
    return _thinking(body) in ("enabled", "adaptive")


def _removed_sampling(body: Json) -> str:
    """The sampling parameter that is set. Temperature 1 and `top_p` from 0.99 are taken, one at a time."""
    set_ = [name for name in ("temperature", "top_p", "top_k") if body.get(name) is not None]
    neutral = set_ == ["temperature"] and body["temperature"] == 1
    neutral = neutral or (set_ == ["top_p"] and (number(body["top_p"]) or 0) >= 0.99)
    return set_[0] if set_ and not neutral else ""


def _last_turn(body: Json) -> Json:
    messages = items(body.get("messages"))
    return messages[-1] if messages else {}


def _ends_in_space(body: Json) -> bool:
    texts = [block.get("text") for block in blocks(_last_turn(body).get("content"))]
    last = texts[-1] if texts and _last_turn(body).get("role") == "assistant" else ""
    return isinstance(last, str) and last != last.rstrip()


def _system_turn(body: Json) -> bool:
    return any(message.get("role") == "system" for message in items(body.get("messages")))


def _misplaced_system(body: Json) -> str:
    """The place of a system message that is followed by a user's, as the service counts."""
    roles = [message.get("role") for message in items(body.get("messages"))]
    pairs = enumerate(itertools.pairwise(roles))
    return next((str(place) for place, pair in pairs if pair == ("system", "user")), "")


def _unthought_calls(body: Json) -> bool:
    """Whether thinking by a budget is asked for in a tool loop that began without thinking."""
    if _thinking(body) != "enabled":
        return False
    found = list(turns(items(body.get("messages"))))
    if len(found) < 2 or not any(block.get("type") == "tool_result" for block in found[-1][2]):
        return False
    return found[-2][2][0].get("type") not in ("thinking", "redacted_thinking")


def _most_tokens(most: int) -> Any:
    return lambda body: limit if isinstance(limit := body.get("max_tokens"), int) and limit > most else 0


def _effort_beyond(levels: str) -> Any:
    return lambda body: _effort(body) is not None and _effort(body) not in levels.split()


REFUSALS = (
    Refusal(
        "claude-opus-4 claude-opus-4-[01]* claude-sonnet-4 claude-sonnet-4-0 claude-[123]* claude-instant*",
        always,
        "model: {model}",
        f"{_SKILL} (models)",
        status=404,
    ),
    Refusal(
        f"{_OPUS_5_5} {_SONNET_5_5} {_FABLE}",
        lambda body: _thinking(body) == "disabled",
        f'"thinking.type.disabled"{_INSTEAD}',
        f"{_SKILL} (error-codes; model-migration, Sonnet 5.5)",
    ),
    Refusal(
        _SINCE_4_7,
        lambda body: _thinking(body) == "enabled",
        f'"thinking.type.enabled"{_INSTEAD}',
        f"{_SKILL} (error-codes)",
    ),
    Refusal(
        "claude-*-4-5*",
        lambda body: _thinking(body) == "adaptive",
        "adaptive thinking is not supported on this model",
        f"{_SKILL} (models); words inferred",
    ),
    Refusal(
        f"claude-opus-* claude-sonnet-4* claude-sonnet-5 {_HAIKU_5} claude-haiku-4* {_FABLE}",
        lambda body: _thinking(body) == "between_tools",
        '"thinking.type.between_tools" is not supported for this model.',
        f"{_SKILL} (model-migration, Sonnet 5.5)",
    ),
    Refusal(
        f"claude-opus-5 {_HAIKU_5} {_SONNET_5_5}",
        lambda body: (
            _thinking(body) in ("disabled", "between_tools") and _effort(body) in ("xhigh", "max") and _effort(body)
        ),
        "output_config.effort '{found}' is not supported when thinking is disabled on this model. Use effort 'high' or"
        " below, or enable thinking.",
        f"{_SKILL} (error-codes)",
    ),
    Refusal(
        "claude-haiku-4-5* claude-sonnet-4-5*",
        _effort,
        "This model does not support the effort parameter.",
        f"{_SKILL} (thinking table)",
    ),
    Refusal(
        "claude-opus-4-5*",
        _effort_beyond("low medium high"),
        "output_config.effort: Input should be 'low', 'medium' or 'high'",
        f"{_SKILL} (thinking table); words inferred",
    ),
    Refusal(
        "claude-*-4-6*",
        _effort_beyond("low medium high max"),
        "output_config.effort: Input should be 'low', 'medium', 'high' or 'max'",
        f"{_SKILL} (thinking table); words inferred",
    ),
    Refusal(
        f"{_OPUS_5_5} {_SONNET_5_5} {_FABLE_5_1}",
        _forces,
        'tool_choice: type "tool" and "any" are not supported for this model.',
        f"{_SKILL} (error-codes)",
    ),
    Refusal(
        _UP_TO_4_6,
        lambda body: _thinking(body) == "enabled" and _forces(body),
        "Thinking may not be enabled when tool_choice forces tool use.",
        "platform.claude.com: extended thinking",
    ),
    Refusal(
        _UP_TO_4_6,
        _unthought_calls,
        "messages: Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a"
        " final `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and"
        " `tool_result` blocks).",
        "platform.claude.com: extended thinking with tool use",
    ),
    Refusal(
        _SINCE_4_7,
        _removed_sampling,
        "`{found}` is deprecated for this model.",
        f"{_SKILL} (model-migration)",
    ),
    Refusal(
        _UP_TO_4_6,
        lambda body: _thinks(body) and number(body.get("temperature")) not in (None, 1.0),
        "`temperature` may only be set to 1 when thinking is enabled.",
        "kortix-ai/suna#4833 (2026-07-16)",
    ),
    Refusal(
        _UP_TO_4_6,
        lambda body: not 0 <= (number(body.get("temperature")) or 0) <= 1,
        "temperature: range: 0..1",
        f"{_SKILL} (error-codes)",
    ),
    Refusal(
        "claude-*-4-5* claude-*-4-6*",
        lambda body: None not in (body.get("temperature"), body.get("top_p")),
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        f"{_SKILL} (model-migration)",
    ),
    Refusal(
        f"claude-*-4-6* {_SINCE_4_7}",
        lambda body: _last_turn(body).get("role") == "assistant",
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        f"{_SKILL} (model-migration); smallmain/vscode-unify-chat-provider#249 (2026-07-07)",
    ),
    Refusal(
        "claude-*-4-5*",
        _ends_in_space,
        "messages: final assistant content cannot end with trailing whitespace",
        "public issues of anthropics/claude-code",
    ),
    Refusal(
        f"{_UP_TO_4_6} claude-opus-4-7*",
        _system_turn,
        "role 'system' is not supported on this model",
        "anthropics/claude-code#61412 (2026-05-22)",
    ),
    Refusal(
        f"claude-opus-4-[89]* claude-opus-[5-9]* {_SONNET_5_5} {_HAIKU_5} {_FABLE}",
        _misplaced_system,
        "messages.{found}: role 'system' must precede an 'assistant' message or end the array; the directive-only form"
        " (content: [] with output_config) is accepted at any position",
        "letta-ai/letta-code#3989 (2026-08-23)",
    ),
    Refusal(
        f"{_OPUS_5_5} {_SONNET_5_5} {_HAIKU_5} claude-fable-5-[2-9]* claude-mythos-5-[2-9]*",
        lambda body: next(
            (kind for tool in items(body.get("tools")) if (kind := str(tool.get("type"))).startswith("computer_2")), ""
        ),
        "'{model}' does not support tool types: {found}. Did you mean one of computer_toolset_20260801?",
        f"{_SKILL} (error-codes)",
    ),
    Refusal(
        "claude-*-4-5*",
        _most_tokens(64_000),
        "max_tokens: {found} > 64000, which is the maximum allowed number of output tokens for {model}",
        f"{_SKILL} (error-codes)",
    ),
    Refusal(
        "claude-*",
        _most_tokens(128_000),
        "max_tokens: {found} > 128000, which is the maximum allowed number of output tokens for {model}",
        f"{_SKILL} (models)",
    ),
)

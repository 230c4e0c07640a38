"""Puts turns into the order that every upstream demands, whatever a client sent or a failover left behind."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bm.chat.parts import Opaque, Part, Text, ToolCall, ToolResult
from bm.chat.request import Turn

NO_RESULT = "No result: the call was interrupted before it finished."
"""What a model reads where the client recorded no result; without any, every API answers 400."""


def inline_system(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Turn instructions in mid-conversation into user text at their place.

    Hoisting them to the system prompt would break their order and the cached prefix. The tag is the one that Claude
    Code uses itself and that models know.
    """
    inlined = (_as_reminder(turn) if turn.role == "system" else turn for turn in turns)
    return tuple(turn for turn in inlined if turn is not None)


def _as_reminder(turn: Turn) -> Turn | None:
    """The instructions as a user's turn; None when nothing of them can be said in words."""
    known = [part for part in turn.parts if isinstance(part, Text | Opaque)]
    texts = [part.text if isinstance(part, Text) else part.summary for part in known]
    text = "\n\n".join(text for text in texts if text)
    return Turn("user", (Text(f"<system-reminder>\n{text}\n</system-reminder>"),)) if text else None


def paired(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Merge neighbours of one role and answer every call in the turn that follows it.

    Results come first in their turn, in the order of the calls and with the tools' names. A call without a result gets
    one that says so; a result without a call becomes text.
    """
    merged = _merged(turns)
    repaired: list[Turn] = []
    calls: tuple[ToolCall, ...] = ()
    for turn in merged:
        if turn.role == "assistant":
            repaired += _unanswered(calls)
            calls = tuple(part for part in turn.parts if isinstance(part, ToolCall))
            repaired.append(turn)
        elif turn.role == "user":
            repaired.append(Turn("user", _answering(turn.parts, calls)))
            calls = ()
        else:
            repaired.append(turn)
    repaired += _unanswered(calls)
    return tuple(repaired)


def _unanswered(calls: tuple[ToolCall, ...]) -> list[Turn]:
    return [Turn("user", _answering((), calls))] if calls else []


def _merged(turns: Iterable[Turn]) -> list[Turn]:
    merged: list[Turn] = []
    for turn in turns:
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, merged[-1].parts + turn.parts)
        else:
            merged.append(turn)
    return merged


def _answering(parts: tuple[Part, ...], calls: tuple[ToolCall, ...]) -> tuple[Part, ...]:
    waiting = {part.call_id: part for part in reversed(parts) if isinstance(part, ToolResult)}
    answers: list[Part] = []
    for call in calls:
        result = waiting.pop(call.id, None)
        if result is None:
            result = ToolResult(call.id, (Text(NO_RESULT),), is_error=True, kind=call.kind)
        answers.append(msgspec.structs.replace(result, name=call.name))
    answered = {call.id for call in calls}
    rest: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            rest.append(part)
        elif part.call_id not in answered:
            rest += _orphan(part)
    return (*answers, *rest)


def _orphan(result: ToolResult) -> list[Part]:
    """The content of a result whose call the history no longer holds."""
    return [Text(f"Result of an earlier call of {result.name or 'a tool'}:"), *result.parts]


def current_turn_start(turns: tuple[Turn, ...]) -> int:
    """The index of the first turn after the last user turn that is more than tool results; 0 if there is none.

    Gemini 3 validates thought signatures from there on (ai.google.dev, "Thought signatures").
    """
    for index in range(len(turns) - 1, -1, -1):
        turn = turns[index]
        if turn.role != "assistant" and not all(isinstance(part, ToolResult) for part in turn.parts):
            return index + 1
    return 0

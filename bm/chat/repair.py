"""Make a request acceptable to any upstream: the order of turns, a hint after a malformed call, notes for media."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import count, islice

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Media, Opaque, Part, Text, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Loss, Turn
from bm.chat.thinking import asks_in_words

GO_ON = "Continue."
"""What the user says after an answer that was begun for a model which takes no such beginning."""

NOT_CONTINUED = Loss("messages", "the model does not continue a given answer; it is asked to go on")

NO_RESULT = "No result: the call was interrupted before it finished."
"""What a model reads where the client recorded no result; without any, every API answers 400."""

RETRY_HINT = (
    "Your previous attempt to call a tool was malformed and was discarded. Call the tool again: use the name and the "
    "parameters exactly as they are declared, with arguments that are valid JSON, and no code around the call."
)

CALL_HINT = "You have called no tool, but a call is required here. Call {} now."

_CAPABILITY = {"image": "images", "document": "documents", "audio": "audio", "video": "video"}
"""The capability that a kind of media requires."""


def inline_system(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Turn instructions in mid-conversation into user text at their place.

    Hoisting them to the system prompt would break their order and the cached prefix.
    """
    inlined = (_as_reminder(turn) if turn.role == "system" else turn for turn in turns)
    return tuple(turn for turn in inlined if turn is not None)


def reminder(text: str) -> str:
    """Instructions in the words of a user, as Claude Code writes them."""
    return f"<system-reminder>\n{text}\n</system-reminder>"


def _as_reminder(turn: Turn) -> Turn | None:
    """The instructions as a user turn; None when none of them can be put into words."""
    known = [part for part in turn.parts if isinstance(part, Text | Opaque)]
    texts = [part.text if isinstance(part, Text) else part.summary for part in known]
    text = "\n\n".join(text for text in texts if text)
    return Turn("user", (Text(reminder(text)),)) if text else None


def paired(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Merge neighbours of one role and answer every call in the turn that follows it.

    Results come first in their turn, in the order of the calls and with the tools' names. A call without a result gets
    one that says so; a result without a call becomes text. A call whose id was used before gets another one.
    """
    repaired: list[Turn] = []
    calls: tuple[ToolCall, ...] = ()
    for turn in _with_own_ids(_merged(turns)):
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


def _with_own_ids(turns: list[Turn]) -> list[Turn]:
    """The turns with an id of its own for each call, and for its result: some servers number each answer anew."""
    ids = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCall)]
    if len({"", *ids}) == len(ids) + 1:
        return turns
    seen = {""}  # which some services give, and none takes
    waiting: dict[str, list[str]] = {}
    made = []
    for turn in turns:
        if turn.role == "assistant":
            waiting = {}
        made.append(Turn(turn.role, tuple(_with_own_id(part, seen, waiting) for part in turn.parts)))
    return made


def _with_own_id(part: Part, seen: set[str], waiting: dict[str, list[str]]) -> Part:
    """A call with an id that is not in `seen`, and a result under the id of the call it is `waiting` for."""
    if isinstance(part, ToolResult) and (ids := waiting.get(part.call_id)):
        return msgspec.structs.replace(part, call_id=ids.pop(0) if len(ids) > 1 else ids[0])
    if not isinstance(part, ToolCall):
        return part
    own = part.id
    if own in seen:
        own = next(other for number in count(2) if (other := f"{part.id or 'call'}_{number}") not in seen)
    seen.add(own)
    waiting.setdefault(part.id, []).append(own)
    return msgspec.structs.replace(part, id=own)


def next_call(turns: Sequence[Turn]) -> ToolCall | None:
    """The call that a result without an id answers: the first at the end of `turns` that has no result yet.

    Some services give their calls empty ids, which stay in a history that moves to another
    (https://github.com/openai/openai-agents-python/issues/237, March 2025).
    """
    parts = [part for turn in turns[-2:] if turn.role in ("assistant", "user") for part in turn.parts]
    if len(turns) > 1 and turns[-1].role == "assistant":
        parts = list(turns[-1].parts)
    answered = sum(isinstance(part, ToolResult) for part in parts)
    return next(islice((part for part in parts if isinstance(part, ToolCall)), answered, None), None)


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
    if not calls and not any(isinstance(part, ToolResult) for part in parts):
        return parts
    waiting = {part.call_id: part for part in reversed(parts) if isinstance(part, ToolResult)}
    answers: list[Part] = []
    for call in calls:
        result = waiting.pop(call.id, None)
        if result is None:
            result = ToolResult(call.id, (Text(NO_RESULT),), is_error=True, kind=call.kind)
        answers.append(result if result.name == call.name else msgspec.structs.replace(result, name=call.name))
    answered = {call.id for call in calls}
    rest: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            rest.append(part)
        elif part.call_id not in answered:
            rest += [Text(f"Result of an earlier call of {part.name or 'a tool'}:"), *part.parts]
    return (*answers, *rest)


def current_turn_start(turns: tuple[Turn, ...]) -> int:
    """The index of the first turn after the last user turn that is more than tool results; 0 if there is none."""
    for index in range(len(turns) - 1, -1, -1):
        turn = turns[index]
        if turn.role != "assistant" and not all(isinstance(part, ToolResult) for part in turn.parts):
            return index + 1
    return 0


def with_retry_hint(request: ChatRequest, uncalled: str | None = None) -> ChatRequest:
    """The request with a hint at its end that the previous tool call was malformed.

    `uncalled` is the model's answer if it has made no call at all, although one is required.
    """
    if uncalled is None:
        return _with_user_text(request, RETRY_HINT)
    if uncalled:
        request = msgspec.structs.replace(request, turns=(*request.turns, Turn("assistant", (Text(uncalled),))))
    return _with_user_text(request, CALL_HINT.format(_tools_to_call(request)))


def with_call_in_words(request: ChatRequest, capabilities: Capabilities) -> ChatRequest:
    """The request with the instruction to call a tool, where one is required and the model cannot be forced to."""
    if not asks_in_words(request, capabilities):
        return request
    return _with_user_text(request, reminder(f"Answer with a call of {_tools_to_call(request)}."))


def _tools_to_call(request: ChatRequest) -> str:
    return " or ".join(request.tool_choice.names) or "one of the tools"


def _with_user_text(request: ChatRequest, text: str) -> ChatRequest:
    turns = request.turns
    before = turns[-1].parts if turns and turns[-1].role == "user" else ()
    last = Turn("user", (*before, Text(text)))
    return msgspec.structs.replace(request, turns=(*(turns[:-1] if before else turns), last))


def without_media(request: ChatRequest, kinds: Collection[str]) -> tuple[ChatRequest, tuple[Loss, ...]]:
    """The request with a note in place of each of the `kinds` of media, named as capabilities, and what that loses.

    A plain-text document loses nothing: its text takes its place.
    """
    if not kinds:
        return request, ()
    missed = Counter(media.kind for media in media_of(request) if _CAPABILITY[media.kind] in kinds and not media.text)

    noted = replace_media(request, lambda media: _note(media) if _CAPABILITY[media.kind] in kinds else media)
    losses = tuple(
        Loss(_CAPABILITY[kind], f"the model takes none; a note replaces {count} in earlier turns or tool results")
        for kind, count in missed.items()
    )
    return noted, losses


def replace_media(request: ChatRequest, replacement: Callable[[Media], Part]) -> ChatRequest:
    """The request with each of its media replaced, including those in tool results."""

    def replaced(part: Part) -> Part:
        if isinstance(part, ToolResult):
            return msgspec.structs.replace(part, parts=tuple(replaced(inner) for inner in part.parts))
        return replacement(part) if isinstance(part, Media) else part

    turns = tuple(Turn(turn.role, tuple(replaced(part) for part in turn.parts)) for turn in request.turns)
    return msgspec.structs.replace(request, turns=turns)


def media_of(request: ChatRequest) -> Iterator[Media]:
    """All media of the conversation, including those in tool results."""
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, ToolResult):
                yield from [each for each in part.parts if isinstance(each, Media)]
            elif isinstance(part, Media):
                yield part


def _note(media: Media) -> Text:
    named = f' "{media.name}"' if media.name else ""
    note = f"[{media.kind}{named} left out: this model cannot be shown it]"
    return Text(media.titled_text or note, cache=media.cache)

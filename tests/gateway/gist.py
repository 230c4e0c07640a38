"""What an answer says, and whether two answers of different protocols say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bm.chat.events import Event, FinishReason, Usage
from bm.chat.parts import Media, Opaque, Part, Refusal, Text, Thinking, ToolCall
from bm.names import ProtocolName
from tests.support.folding import ChatResponse, Choice, fold

_SAID: Mapping[ProtocolName, Mapping[FinishReason, FinishReason]] = {
    "anthropic": {},
    "openai-chat": {"stop_sequence": "stop", "context_window": "length", "pause": "stop"},
    "openai-responses": {"stop_sequence": "stop", "context_window": "length", "pause": "stop"},
    "gemini": {"stop_sequence": "stop", "context_window": "length", "pause": "stop"},
}
"""Stop reasons a protocol has no word for, and the word it has."""
_BILLED_APART: Mapping[str, Any] = {
    "audio_input": 0, "audio_output": 0, "image_output": 0, "searches": 0, "tier": "", "charged": None,
}  # fmt: skip


def differences(recorded: Iterable[Event], reported: Iterable[Event], client: ProtocolName) -> list[str]:
    """What of a recorded answer did not arrive at a client of another protocol."""
    before, after = fold(recorded), fold(reported)
    if len(before.choices) != len(after.choices):
        return [f"{len(before.choices)} choices became {len(after.choices)}"]
    found = [] if _usage(before, client) == after.usage else [f"usage {before.usage} became {after.usage}"]
    for old, new in zip(before.choices, after.choices, strict=True):
        found += _between(old, new, client)
    return found


def _between(old: Choice, new: Choice, client: ProtocolName) -> list[str]:
    found = []
    if not _holds(_joined(new.parts, Text, Refusal), old):
        found.append("the text is another")
    if _joined(old.parts, Thinking) != _joined(new.parts, Thinking):
        found.append("the thinking is another")
    if _calls(old) != _calls(new):
        found.append(f"calls {_calls(old)} became {_calls(new)}")
    wanted, got = _finish(old, client), new.finish and new.finish.reason
    if wanted != got:
        found.append(f"stop reason {wanted} became {got}")
    return found


def _holds(text: str, old: Choice) -> bool:
    """Whether the text is the recorded one. What only the vendor's protocol knows may stand in it, in words."""
    if not any(isinstance(part, Opaque | Media) for part in old.parts):
        explanation = old.finish.explanation if old.finish else ""
        return text in (_joined(old.parts, Text, Refusal), explanation)
    at = 0
    for part in old.parts:
        if isinstance(part, Text | Refusal):
            at = text.find(part.text, at) + len(part.text)
            if at < len(part.text):
                return False
    return True


def _joined(parts: Sequence[Part], *kinds: type[Text | Refusal | Thinking]) -> str:
    return "".join(part.text for part in parts if isinstance(part, kinds))


def _calls(choice: Choice) -> Sequence[tuple[str, Any]]:
    return [(part.name, part.arguments) for part in choice.parts if isinstance(part, ToolCall)]


def _finish(choice: Choice, client: ProtocolName) -> FinishReason | None:
    if choice.finish is None:
        return None
    if client == "openai-responses" and any(isinstance(part, Refusal) for part in choice.parts):
        return "refusal"
    reason = choice.finish.reason
    return _SAID[client].get(reason, reason)


def _usage(answer: ChatResponse, client: ProtocolName) -> Usage | None:
    """The usage that reaches a client: none says what another's vendor bills apart, but for audio in Chat. Gemini
    has no word for what was written to a cache, only Anthropic for how long that is kept; two demand some number."""
    if answer.usage is None:
        return Usage() if client in ("anthropic", "gemini") else None
    usage = msgspec.structs.replace(answer.usage, **_BILLED_APART)
    if client == "openai-chat":
        usage = msgspec.structs.replace(
            usage, audio_input=answer.usage.audio_input, audio_output=answer.usage.audio_output
        )
    if client == "gemini":
        usage = msgspec.structs.replace(usage, input=usage.input + usage.cache_write, cache_write=0)
    return usage if client == "anthropic" else msgspec.structs.replace(usage, cache_write_1h=0)

"""Token counts and finish reasons, both ways."""

from __future__ import annotations

from typing import Any

from bm.chat.events import Finish, FinishReason, Usage
from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.reading import count_of, member, object_of, string_of


def decode_usage(metadata: Json) -> Usage:
    """The usage in a `usageMetadata`.

    Some models count thinking into `candidatesTokenCount`; the total gives it away.
    """
    prompt = count_of(member(metadata, "promptTokenCount"))
    cached = count_of(member(metadata, "cachedContentTokenCount"))
    answer = count_of(member(metadata, "candidatesTokenCount"))
    thinking = count_of(member(metadata, "thoughtsTokenCount"))
    tools = count_of(member(metadata, "toolUsePromptTokenCount"))
    total = count_of(member(metadata, "totalTokenCount"))
    inclusive = thinking <= answer and total == prompt + answer + tools
    return Usage(
        input=max(0, prompt + tools - cached),
        cache_read=cached,
        output=answer if inclusive else answer + thinking,
        thinking=thinking,
    )


def encode_usage(usage: Usage) -> Json:
    """The `usageMetadata` that says the same."""
    metadata = {
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": max(0, usage.output - usage.thinking),
        "totalTokenCount": usage.prompt + usage.output,
    }
    if usage.cache_read:
        metadata["cachedContentTokenCount"] = usage.cache_read
    if usage.thinking:
        metadata["thoughtsTokenCount"] = usage.thinking
    return metadata


_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
    "MODEL_ARMOR": "refusal",
    "ESCALATION": "refusal",
    "IMAGE_SAFETY": "refusal",
    "IMAGE_PROHIBITED_CONTENT": "refusal",
    "IMAGE_RECITATION": "refusal",
    "IMAGE_OTHER": "refusal",
}
_FAULTS = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "UNEXPECTED_TOOL_CALL",
        "MALFORMED_RESPONSE",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
        "NO_IMAGE",
    }
)
_RESTRICTED = "PUP_LIMITED_DISABLED"
_UNSPECIFIED = "FINISH_REASON_UNSPECIFIED"
# The numbers of the Gemini API's enum, which proto clients ask for with `enum-encoding=int`.
_BY_NUMBER = (
    _UNSPECIFIED,
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "IMAGE_SAFETY",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
)
_BLOCK_BY_NUMBER = ("BLOCK_REASON_UNSPECIFIED", "SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY")
_WIRE: dict[FinishReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "pause": "STOP",
    "length": "MAX_TOKENS",
    "context_window": "MAX_TOKENS",
    "refusal": "SAFETY",
}


def native_reason(value: Any) -> str:
    """The word for a `finishReason`, given as a word or a number; empty while the answer is not finished."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = _BY_NUMBER[value] if 0 <= value < len(_BY_NUMBER) else f"REASON_{value}"
    return value if isinstance(value, str) and value != _UNSPECIFIED else ""


def decode_finish(native: str, message: str, *, calls: bool, content: bool, choice: int = 0) -> Finish | Failure:
    """What a finish reason means for an answer that made `calls` or has any `content`.

    Gemini has no reason of its own for calls: an answer that holds some and was not cut or refused wants them run.
    """
    if native in _FAULTS:
        return _fault("malformed", native, message or f"the model's answer was unusable ({native})")
    if native == _RESTRICTED:
        text = message or "the account is restricted (PUP_LIMITED_DISABLED)"
        return Failure(kind="permission", message=text, code=native, upstream_status=200)
    reason = _REASONS.get(native)
    if reason is None and not content:
        return _fault("server", native, message or f"the model gave no answer ({native})")
    if calls and reason in (None, "stop"):
        reason = "tool_calls"
    explanation = message or f"Gemini ended the answer: {native}" if reason == "refusal" else ""
    return Finish(reason or "stop", native=native, explanation=explanation, choice=choice)


def _fault(kind: Any, native: str, message: str) -> Failure:
    return Failure(kind=kind, message=message, code=native, should_retry=True, upstream_status=200)


def blocked(feedback: Any) -> Finish | None:
    """The refusal in a `promptFeedback`; None when it blocks nothing."""
    held = object_of(feedback)
    reason = member(held, "blockReason")
    if isinstance(reason, int) and not isinstance(reason, bool):
        reason = _BLOCK_BY_NUMBER[reason] if 0 <= reason < len(_BLOCK_BY_NUMBER) else f"REASON_{reason}"
    if not isinstance(reason, str) or reason in ("", _BLOCK_BY_NUMBER[0]):
        return None
    said = string_of(member(held, "blockReasonMessage"))
    return Finish("refusal", native=reason, explanation=said or f"Gemini blocked the prompt: {reason}")


def encode_finish(finish: Finish) -> str:
    """The `finishReason` for a client: the upstream's own word where it was Gemini's."""
    ours = _REASONS.get(finish.native)
    if ours == finish.reason or (ours == "stop" and finish.reason == "tool_calls"):
        return finish.native
    return _WIRE[finish.reason]

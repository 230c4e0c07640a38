"""Token counts and finish reasons, both ways."""

from __future__ import annotations

from typing import Any

from bm.chat.events import Finish, FinishReason, Usage
from bm.chat.parts import Json
from bm.errors import Failure
from bm.protocols.reading import count_of, member, object_of, objects_of, string_of, tier_of


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
    cached = min(cached, prompt + tools)
    fresh, output = prompt + tools - cached, answer if inclusive else answer + thinking
    given = _modalities(member(metadata, "promptTokensDetails"))
    made = _modalities(member(metadata, "candidatesTokensDetails"))
    return Usage(
        input=fresh,
        cache_read=cached,
        output=output,
        thinking=thinking,
        audio_input=min(given.get("AUDIO", 0), fresh),
        audio_output=min(made.get("AUDIO", 0), output),
        image_output=min(made.get("IMAGE", 0), output),
        tier=_tier(metadata),
    )


def _modalities(details: Any) -> dict[str, int]:
    """Tokens by modality."""
    found = ((member(each, "modality"), count_of(member(each, "tokenCount"))) for each in objects_of(details))
    return {str(modality): count for modality, count in found}


def _tier(metadata: Json) -> str:
    """The service tier: `serviceTier`, or Vertex AI's `trafficType` (`ON_DEMAND`, `ON_DEMAND_FLEX`).

    Sources: https://ai.google.dev/gemini-api/docs/priority-inference.md and
    https://github.com/BerriAI/litellm/issues/37647, read 2026-12-01.
    """
    traffic = string_of(member(metadata, "trafficType")).lower()
    shown = next((tier for tier in ("flex", "priority", "batch") if tier in traffic), "")
    return tier_of(member(metadata, "serviceTier")) or shown


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


_REFUSALS = (
    "SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII MODEL_ARMOR ESCALATION "
    "IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION IMAGE_OTHER"
)
_REASONS: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    **dict.fromkeys(_REFUSALS.split(), "refusal"),
}
_FAULTS = (
    "MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL MALFORMED_RESPONSE TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE "
    "NO_IMAGE"
)
_RESTRICTED = "PUP_LIMITED_DISABLED"
_UNSPECIFIED = ("", "FINISH_REASON_UNSPECIFIED", "BLOCK_REASON_UNSPECIFIED")
# The numbers of the Gemini API's enums, which proto clients ask for with `enum-encoding=int`.
_FINISHES = (
    "FINISH_REASON_UNSPECIFIED STOP MAX_TOKENS SAFETY RECITATION OTHER LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII "
    "MALFORMED_FUNCTION_CALL IMAGE_SAFETY UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS"
)
_BLOCKS = "BLOCK_REASON_UNSPECIFIED SAFETY OTHER BLOCKLIST PROHIBITED_CONTENT IMAGE_SAFETY"
_WIRE: dict[FinishReason, str] = {
    **dict.fromkeys(("stop", "stop_sequence", "tool_calls"), "STOP"),
    **dict.fromkeys(("pause", "length", "context_window"), "MAX_TOKENS"),
    "refusal": "SAFETY",
}


def native_reason(value: Any, words: str = _FINISHES) -> str:
    """The word for a `finishReason`, given as a word or a number; empty while the answer is not finished."""
    if isinstance(value, int) and not isinstance(value, bool):
        named = words.split()
        value = named[value] if 0 <= value < len(named) else f"REASON_{value}"
    return value if isinstance(value, str) and value not in _UNSPECIFIED else ""


def decode_finish(native: str, message: str, *, calls: bool, content: bool, choice: int = 0) -> Finish | Failure:
    """What a finish reason means for an answer that made `calls` or has any `content`.

    Gemini has no reason of its own for calls: an answer that holds some and was not cut or refused wants them run. One
    without, that ended for a reason of no known meaning, counts as cut: a client must not take it for complete.
    """
    if native in _FAULTS.split():
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
    return Finish(reason or ("length" if native else "stop"), native=native, explanation=explanation, choice=choice)


def _fault(kind: Any, native: str, message: str) -> Failure:
    return Failure(kind=kind, message=message, code=native, should_retry=True, upstream_status=200)


def blocked(feedback: Any) -> Finish | None:
    """The refusal in a `promptFeedback`; None when it blocks nothing."""
    held = object_of(feedback)
    reason = native_reason(member(held, "blockReason"), _BLOCKS)
    if not reason:
        return None
    said = string_of(member(held, "blockReasonMessage"))
    return Finish("refusal", native=reason, explanation=said or f"Gemini blocked the prompt: {reason}")


def encode_finish(finish: Finish) -> str:
    """The `finishReason` for a client: the upstream's own word where it was Gemini's."""
    ours = _REASONS.get(finish.native)
    if ours == finish.reason or (ours == "stop" and finish.reason == "tool_calls"):
        return finish.native
    return _WIRE[finish.reason]

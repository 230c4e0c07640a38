"""Errors under status 200: in place of choices, or of single choices, which only Chat Completions has."""

from __future__ import annotations

from bm.chat.parts import Json
from bm.errors import Failure, FailureKind
from bm.protocols.errors import TEXTS, in_band

_BROKEN: dict[str, FailureKind] = {
    "error": "truncated",  # OpenRouter
    "network_error": "truncated",  # Zhipu (docs.bigmodel.cn)
    "insufficient_system_resource": "overloaded",  # DeepSeek (api-docs.deepseek.com)
    "abort": "truncated",  # vLLM and SGLang
}
"""Finish reasons of answers that broke off."""


def is_error(document: Json) -> bool:
    """Whether an answer, or an event of a stream, is an error: as OpenAI writes it, or a text and no choices."""
    if document.get("error") or document.get("object") == "error":
        return True
    return "choices" not in document and any(document.get(name) for name in TEXTS)


def failed_choice(choice: Json) -> Failure | None:
    """Read the failure of a choice; None when it has not failed. Only OpenRouter says more than a finish reason."""
    if choice.get("error"):
        return in_band(choice)
    finish = choice.get("finish_reason")
    kind = _BROKEN.get(finish.lower()) if isinstance(finish, str) else None
    return Failure(kind=kind, message=f"the upstream broke its answer off: {finish}") if kind else None

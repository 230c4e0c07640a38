"""Call ids that every upstream takes."""

from __future__ import annotations

import hashlib
import re

_LEGAL = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")


def clean(call_id: str) -> str:
    """The id itself when it is legal everywhere, else one that is, the same for the same id.

    Anthropic takes `[a-zA-Z0-9_-]+`, some OpenAI-compatible servers no more than 64 characters.
    """
    if _LEGAL.fullmatch(call_id):
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_ILLEGAL.sub('_', call_id)[:40]}_{digest}"

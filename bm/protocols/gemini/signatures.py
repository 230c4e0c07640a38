"""Thought signatures: Gemini's own, the dummy for calls that have none, and other vendors' in wrapping."""

from __future__ import annotations

import base64
from typing import Any

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Thinking
from bm.chat.signature import REDACTED, SELF, Signature, unwrap, wrap

VENDOR = "gemini"

DUMMY_WORD = "skip_thought_signature_validator"
DUMMY = base64.b64encode(DUMMY_WORD.encode()).decode()
"""What Gemini accepts on a call from another model's history (ai.google.dev, "Thought signatures").

The field is base64 of bytes; in this spelling every decoder takes it.
"""


def decode_signature(value: Any) -> Signature | None:
    """The signature in a `thoughtSignature`; another vendor's is taken out of its wrapping, the dummy is none."""
    return _decoded(value)[0]


def decode_thought(text: str, value: Any) -> Thinking:
    """A thought part of a client's history; another vendor's encrypted thinking is known by its wrapping."""
    signature, about = _decoded(value)
    return Thinking(text, signature, redacted=about == REDACTED)


def _decoded(value: Any) -> tuple[Signature | None, str]:
    if not isinstance(value, str) or not value or value.rstrip("=") in (DUMMY_WORD, DUMMY.rstrip("=")):
        return None, ""
    return unwrap(value) or (Signature(VENDOR, value), "")


def encode_signature(signature: Signature, *, redacted: bool = False) -> str:
    """The `thoughtSignature` for a client. Always base64, since google-genai fails on anything else."""
    if signature.vendor == VENDOR:
        return signature.value
    return wrap(signature, REDACTED if redacted else SELF)


def is_ours(signature: Signature | None, capabilities: Capabilities) -> bool:
    """Whether a signature may go to a model of these capabilities."""
    if signature is None or signature.vendor != VENDOR:
        return False
    return not signature.family or not capabilities.family or signature.family == capabilities.family


def spelling(signature: Signature) -> str:
    """A key that is the same for both base64 alphabets."""
    return signature.value.replace("-", "+").replace("_", "/").rstrip("=")

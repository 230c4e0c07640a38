"""Signatures over content, which the simulator verifies without remembering them, also after a restart.

A signature that was changed, or moved to another part, is detected.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

_SALT = b"simulated signature: "
DUMMIES = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""Placeholders that Gemini accepts for history written by another model; ai.google.dev: thought signatures."""


def issue(vendor: str, content: str) -> str:
    """The signature of `vendor` over `content`, in standard base64."""
    digest = hashlib.sha256(_SALT + vendor.encode() + b"\0" + content.encode()).digest()
    return base64.b64encode(b"sim:" + vendor.encode() + b":" + digest).decode()


def decoded(signature: str) -> bytes | None:
    """The bytes of a signature in either base64 alphabet; None if it is not base64."""
    text = signature.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None


def known(vendor: str, content: str, signature: str) -> bool:
    """Whether `signature` is the one issued over `content`, in either base64 alphabet."""
    return decoded(signature) == decoded(issue(vendor, content))


def dummy(signature: str) -> bool:
    """Whether `signature` is a documented placeholder, plain or in base64."""
    return signature in DUMMIES or (decoded(signature) or b"").decode("ascii", "replace") in DUMMIES

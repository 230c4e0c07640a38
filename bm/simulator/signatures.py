"""Signatures that prove themselves: what the simulator issued it knows again, also after a restart.

A signature covers what it was issued for, so that one that was changed, or put on another part, is found out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

_SALT = b"simulated signature: "
DUMMIES = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""Accepted by Gemini in place of a signature for history that another model wrote; see its "Thought signatures"."""


def issue(vendor: str, content: str) -> str:
    """The signature of `vendor` over `content`, in standard base64."""
    digest = hashlib.sha256(_SALT + vendor.encode() + b"\0" + content.encode()).digest()
    return base64.b64encode(b"sim:" + vendor.encode() + b":" + digest).decode()


def decoded(signature: str) -> bytes | None:
    """The bytes of a signature in either base64 alphabet, None when it is not base64."""
    text = signature.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None


def known(vendor: str, content: str, signature: str) -> bool:
    """Whether `signature` is the one issued over `content`, in whichever alphabet it came back."""
    return decoded(signature) == decoded(issue(vendor, content))


def dummy(signature: str) -> bool:
    """Whether `signature` is a documented stand-in, bare or in base64."""
    return signature in DUMMIES or (decoded(signature) or b"").decode("ascii", "replace") in DUMMIES

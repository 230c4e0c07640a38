"""Gemini's thought signatures where Google's own Chat Completions endpoint puts them: in `extra_content.google`."""

from __future__ import annotations

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json
from bm.chat.signature import Signature, unwrap
from bm.protocols.reading import object_of, string_of


def read_signature(holder: Json) -> Signature | None:
    """The signature on a call, a delta or a message; None when it has none. Google also spelled it without nesting."""
    google = object_of(object_of(holder.get("extra_content")).get("google"))
    value = string_of(google.get("thought_signature") or holder.get("thought_signature"))
    if not value:
        return None
    wrapped = unwrap(value)
    return wrapped[0] if wrapped is not None else Signature("gemini", value)


def write_signature(signature: Signature | None) -> Json:
    """The members that carry a signature; none for other vendors', which this protocol has no place for."""
    if signature is None or signature.vendor != "gemini":
        return {}
    return {"extra_content": {"google": {"thought_signature": signature.value}}}


def accepts(signature: Signature | None, capabilities: Capabilities) -> bool:
    """Whether an upstream is to be sent a signature: Google's endpoint, with the family of models that made it."""
    if signature is None or signature.vendor != "gemini" or "extra_content" not in capabilities.dialect.takes:
        return False
    return not (signature.family and capabilities.family) or signature.family == capabilities.family

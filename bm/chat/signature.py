"""Tokens by which a vendor recognizes its own earlier thinking, and how other protocols carry them."""

from __future__ import annotations

import base64
import hashlib

import msgspec

SELF = "self"
"""`about`: it is the signature of the thinking block that carries it."""
NEXT = "next"
"""`about`: it belongs to the part after the thinking block or reasoning item that carries it."""
PREVIOUS = "previous"
"""`about`: it belongs to the part before, because it arrived after that part had been sent."""
REDACTED = "redacted"
"""`about`: it is another vendor's encrypted thinking itself."""

_MARK = b"bm1\x1f"
MARK_BYTES = base64.b64encode(_MARK)[:5]
_MARK_BASE64 = MARK_BYTES.decode()


class Signature(msgspec.Struct, frozen=True):
    """A vendor's token. `vendor` is `anthropic`, `gemini`, `openai` or, for `reasoning_details` of services that speak
    Chat Completions, `chat`; `family` narrows it to the models that take it.

    `value` is the text as the vendor wrote it. Compare Gemini's by `spelling`, since its SDK changes the alphabet.
    """

    vendor: str
    value: str
    family: str = ""

    @property
    def spelling(self) -> tuple[str, str]:
        """The vendor, and the value in one base64 alphabet without padding."""
        return self.vendor, _alphabet(self.value)


def accepted(signature: Signature | None, vendor: str, family: str) -> Signature | None:
    """The signature if a model of `family` at `vendor` accepts it, else None. An empty family is any."""
    if signature is None or signature.vendor != vendor:
        return None
    return signature if not (signature.family and family) or signature.family == family else None


def _alphabet(value: str) -> str:
    return value.translate({0x2D: "+", 0x5F: "/"}).rstrip("=")


def wrap(signature: Signature, about: str = "") -> str:
    """Encode a signature so that it can be put into another vendor's signature field.

    `about` names what it belongs to: `SELF`, `NEXT`, `PREVIOUS`, `REDACTED`, or nothing where the place is clear. A
    codec that reads another value takes the signature for the carrier's own. The result is standard base64, because
    google-genai fails on anything else.
    """
    fields = (signature.vendor, signature.family, about, signature.value)
    return base64.b64encode(_MARK + "\x1f".join(fields).encode()).decode()


def unwrap(text: str) -> tuple[Signature, str] | None:
    """Return the signature and its `about` from what `wrap` wrote, in either base64 alphabet; None for all else."""
    if not text.startswith(_MARK_BASE64):
        return None
    spelled = _alphabet(text)
    try:
        raw = base64.b64decode(spelled + "=" * (-len(spelled) % 4), validate=True)
        vendor, family, about, value = raw.removeprefix(_MARK).decode().split("\x1f", 3)
    except ValueError:
        return None
    return Signature(vendor=vendor, value=value, family=family), about


_PIECES = 64
"""So many pieces of a text are digested at once, which costs less than one by one."""


class TextKey:
    """The key under which the signature of a text is stored: a digest, since texts have no id.

    A text that arrives in pieces is not kept for it, but for the last few. `size` is its length so far.
    """

    def __init__(self, text: str = "") -> None:
        self._digest = hashlib.sha256()
        self._pieces = [text]
        self._size = 0

    def add(self, piece: str) -> None:
        """Take the next piece of the text."""
        pieces = self._pieces
        pieces.append(piece)
        if len(pieces) >= _PIECES:
            self._digest_pieces()

    def _digest_pieces(self) -> str:
        """Digest the last pieces; returns their text."""
        text = "".join(self._pieces)
        self._digest.update(text.encode("utf-8", "surrogatepass"))
        self._size += len(text)
        self._pieces.clear()
        return text

    @property
    def size(self) -> int:
        self._digest_pieces()
        return self._size

    @property
    def value(self) -> str:
        self._digest_pieces()
        return f"text:{self._digest.hexdigest()[:32]}"


def text_key(text: str) -> str:
    """The key of a whole text."""
    return TextKey(text).value

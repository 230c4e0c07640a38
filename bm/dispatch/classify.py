"""From a failure to its outcome: the table of docs/dispatch.md, as data."""

from __future__ import annotations

import re
from typing import Final

from bm.dispatch.outcome import AccountEffect, EffectKind, Outcome, RequestEffect
from bm.errors import Failure, FailureKind

_TABLE: Final[dict[FailureKind, tuple[EffectKind, RequestEffect]]] = {
    "bad_request": ("none", "return"),
    "not_found": ("none", "return"),
    "too_large": ("none", "return"),
    "method": ("none", "return"),
    "unauthorized": ("none", "return"),
    "forbidden": ("none", "return"),
    "context_too_long": ("none", "larger"),
    "upstream_auth": ("disabled", "next"),
    "billing": ("disabled", "next"),
    "permission": ("disabled", "next"),
    "rate_limited": ("backoff", "next"),
    "quota_exhausted": ("daily", "next"),
    "server": ("fault", "retry"),
    "connection": ("fault", "retry"),
    "truncated": ("fault", "retry"),
    "malformed": ("fault", "next"),
    "overloaded": ("overload", "next"),
    "blocked": ("overload", "next"),
    "declined": ("none", "next"),
    "timeout": ("fault", "silent"),
    "unavailable": ("none", "next"),
}

_NO_MEDIA: Final = re.compile(
    r"(?=.*(?:image|vision|multi-?modal|audio|video|\bdocuments?\b|pdf|mime|\bfile uri))"
    r"(?=.*(?:support|not an? multi|at most \d+ image|unknown variant|not enabled|mmproj|missing data))"
    r"|.*unknown part type|.*input tag '(?:image|document|image_url|file)' found"
    r"|.*(?:part|content)\b.{0,40}\bfile\b.{0,80}(?:not supported|unsupported|expected tags)"
    r"|.*(?:unsupported|invalid) content type\W{1,3}file"
    r"|.*content\.type\b.{0,60}\[.?text"
    r"|.*\bimages?\b.{0,40}(?:not represent a valid|is not valid)|.*could not process (?:image|pdf|document)",
    re.IGNORECASE | re.DOTALL,
)
"""A refusal of media. Each service has its own wording, some with status 404 or 500."""

_ONE_MEDIUM: Final = re.compile(
    r"\bmime|\bformats?\b|valid image|invalid (?:image|pdf|file|base64)|(?:image|file|media)[ _]type|\buri\b"
    r"|dimension|pixel|corrupt|process|download|fetch|too (?:large|many|big)|at most [1-9]|exceed|\bsize\b|empty"
    r"|\burls?\b(?! is only)",
    re.IGNORECASE,
)
"""What is said of one image or document, and not of a kind of media."""


def takes_no_media(failure: Failure) -> bool:
    """Whether an upstream has refused a request because of media in it."""
    return failure.kind in ("bad_request", "not_found", "server") and _NO_MEDIA.search(failure.message) is not None


def lacks_media(failure: Failure) -> bool:
    """Whether a refusal of media is one of their kind, and not of the media in this request."""
    return takes_no_media(failure) and _ONE_MEDIUM.search(failure.message) is None


def classify(failure: Failure | None, streaming_started: bool = False) -> Outcome:
    """The outcome of an attempt; no failure means success.

    Once the client has received a byte (`streaming_started`), the failure can only be returned.
    """
    if failure is None:
        return Outcome(account=AccountEffect("answered"))
    effect, request = _TABLE[failure.kind]
    if streaming_started:
        request = "return"
    elif failure.kind == "malformed" and failure.should_retry:
        # The model wrote a broken tool call. The account is fine, and on a second try most models do better.
        effect, request = "none", "retry"
    return Outcome(failure=failure, account=_effect(failure, effect), request=request)


def _effect(failure: Failure, effect: EffectKind) -> AccountEffect:
    """The effect from the table, refined by the details of the failure."""
    if failure.kind == "rate_limited" and failure.retry_after is not None:
        effect = "cooldown"
    elif failure.kind == "quota_exhausted" and failure.code == "not_in_tier":
        effect = "excluded"
    elif failure.kind == "permission" and "model" in f"{failure.param} {failure.code}".lower():
        # The account works; only this model is closed to it.
        effect = "excluded"
    seconds = failure.retry_after if effect in ("cooldown", "daily", "overload") else None
    return AccountEffect(effect, seconds, "" if effect == "none" else failure.message)

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
    "timeout": ("fault", "silent"),
    "unavailable": ("none", "next"),
}

_SCHEMA: Final = re.compile(
    r"schema|function_?declarations?|functionDeclarations|tools?\[|tools\.\d+|\bparameters\b|too many states",
    re.IGNORECASE,
)
"""How upstreams speak of a tool's schema in a 400: Gemini by its path in `function_declarations`, others say schema."""


_UNSEEN: Final = re.compile(
    r"(?=.*(?:image|vision|multi-?modal|audio|video|document|pdf))"
    r"(?=.*(?:support|not an? multi|at most 0|unknown variant|not enabled|mmproj|missing data))",
    re.IGNORECASE | re.DOTALL,
)
"""How services say that a model cannot be shown media: each in its own words, and some with 404 or 500."""


def takes_no_media(failure: Failure) -> bool:
    """Whether an upstream has refused a request for the media in it."""
    return failure.kind in ("bad_request", "not_found", "server") and _UNSEEN.search(failure.message) is not None


def classify(failure: Failure | None, streaming_started: bool = False, translated: bool = False) -> Outcome:
    """Say what an attempt's end means; None is an answer.

    Once the client has received a byte (`streaming_started`) it can only be told. `translated` says that bm wrote the
    request, so a refused tool schema may be bm's to simplify.
    """
    if failure is None:
        return Outcome(account=AccountEffect("answered"))
    effect, request = _TABLE[failure.kind]
    if streaming_started:
        request = "return"
    elif translated and failure.kind == "bad_request" and _SCHEMA.search(f"{failure.param} {failure.message}"):
        request = "simplify"
    elif failure.kind == "malformed" and failure.should_retry:
        # The model wrote a broken tool call; the account is well, and asked again the model mostly does better.
        effect, request = "none", "retry"
    return Outcome(failure=failure, account=_booked(failure, effect), request=request)


def _booked(failure: Failure, effect: EffectKind) -> AccountEffect:
    """The table's effect, made exact by what else the failure tells."""
    if failure.kind == "rate_limited" and failure.retry_after is not None:
        effect = "cooldown"
    elif failure.kind == "quota_exhausted" and failure.code == "not_in_tier":
        effect = "excluded"
    elif failure.kind == "permission" and "model" in f"{failure.param} {failure.code}".lower():
        # The account is well, this one model is closed to it.
        effect = "excluded"
    told = failure.retry_after if effect in ("cooldown", "daily", "overload") else None
    return AccountEffect(effect, told, "" if effect == "none" else failure.message)

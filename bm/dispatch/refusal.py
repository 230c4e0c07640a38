"""The failure returned to the client when no target is left: with an honest delay, and the remedy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bm.dispatch.candidates import Candidate
from bm.dispatch.snapshot import Limits
from bm.errors import Failure, FailureKind
from bm.providers.catalog import GEMINI

MAX_CLIENT_WAIT = 45.0
"""Claude Code waits up to 45 s, and gives up at once on a delay over 60 s (measured, version 2.1)."""

KEY_FAILURES: frozenset[FailureKind] = frozenset({"upstream_auth", "billing", "permission"})
"""Failures of bm's own account. The client's key is fine, so the client never gets 401 or 403 for them."""

LIMIT_FAILURES: frozenset[FailureKind] = frozenset({"rate_limited", "quota_exhausted"})


def unavailable(message: str) -> Failure:
    """No request can be served until a person acts; retrying does not help."""
    return Failure(kind="unavailable", message=message, should_retry=False)


def cooling_down(message: str, seconds: float, limits: Limits, *, limited: bool = True) -> Failure:
    """All targets are cooling down, the first for `seconds` more. `limited` means that rate limits are the reason.

    A client that returns after 45 s is held for the rest of a delay up to `max_wait`, so it is asked to do so.
    """
    helps = seconds <= MAX_CLIENT_WAIT + limits.max_wait
    delay = min(seconds, MAX_CLIENT_WAIT) if helps else seconds
    kind: FailureKind = "rate_limited" if limited else "overloaded"
    return Failure(kind=kind, message=message, retry_after=float(max(1, _whole(delay))), should_retry=helps)


def _whole(seconds: float) -> int:
    """Seconds rounded up, but for the rounding error of added times."""
    return math.ceil(round(seconds, 3))


def presentable(failure: Failure, provider: str, account: str) -> Failure:
    """An upstream's failure as the client may see it. One of bm's key becomes 503 and names the remedy."""
    if failure.kind not in KEY_FAILURES:
        return failure
    remedy = "" if "(bm " in failure.message else f" ({_remedy(provider, account)})"
    message = f"{provider} refused the key of account {account}: {failure.message}{remedy}"
    return msgspec.structs.replace(
        failure, message=message, status=0, upstream_status=0, upstream_body=b"", should_retry=False
    )


def _remedy(provider: str, account: str) -> str:
    return f"bm accounts verify {account}" if provider == GEMINI.name else f"bm providers key {provider}"


def no_candidate(model: str, candidates: Sequence[Candidate], hints: Sequence[str], limits: Limits) -> Failure:
    """Why no candidate can serve `model` now. `hints` say why providers are left out, each with the remedy."""
    cooling = [candidate for candidate in candidates if candidate.verdict == "cooling down"]
    if cooling:
        first = min(cooling, key=lambda candidate: candidate.seconds)
        message = (
            f"every account that can serve {model} is cooling down; the first, {first.target.account} of "
            f"{first.target.provider}, recovers in {_whole(first.seconds)} s ({first.reason})"
        )
        limited = not any(candidate.overloaded for candidate in cooling)
        return cooling_down(message, first.seconds, limits, limited=limited)
    if found := [candidate for candidate in candidates if candidate.verdict in ("unsuitable", "too long")]:
        return _unsuitable(found)
    reasons = dict.fromkeys([*map(_reason, candidates), *hints])
    return unavailable(f"no account can serve {model}: {'; '.join(reasons) or 'bm accounts add NAME'}")


def _reason(candidate: Candidate) -> str:
    named = candidate.verdict != "disabled" or "(bm " in candidate.reason
    remedy = "" if named else f" ({_remedy(*candidate.target.account_id)})"
    return f"{candidate.target.account} of {candidate.target.provider}: {candidate.reason}{remedy}"


def _unsuitable(candidates: Sequence[Candidate]) -> Failure:
    """No model takes what the request contains. Clients look for the wording about the length."""
    if all(candidate.verdict == "too long" for candidate in candidates):
        largest = max(candidates, key=lambda candidate: candidate.context)
        return Failure(kind="context_too_long", message=f"prompt is too long: {largest.reason}")
    reasons = dict.fromkeys(f"{candidate.target.provider}: {candidate.reason}" for candidate in candidates)
    return Failure(kind="bad_request", message=f"no available model can serve the request ({'; '.join(reasons)})")

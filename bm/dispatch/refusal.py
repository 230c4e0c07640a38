"""What a client is told when no target is left: an honest delay, whether to try again, and the cure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from bm.dispatch.candidates import Candidate
from bm.dispatch.snapshot import Limits
from bm.errors import Failure, FailureKind
from bm.providers.catalog import GEMINI

LONGEST_CLIENT_WAIT = 45.0
"""Claude Code waits when told up to 45 s and gives up at once when told more than 60 s (measured, version 2.1)."""

KEY_TROUBLE: frozenset[FailureKind] = frozenset({"upstream_auth", "billing", "permission"})
"""Kinds that are about bm's own account: the client's key is fine, so it never sees 401 or 403 for them."""

LIMITS: frozenset[FailureKind] = frozenset({"rate_limited", "quota_exhausted"})


def unavailable(message: str) -> Failure:
    """Nothing can serve the request until a person does something; trying again is of no use."""
    return Failure(kind="unavailable", message=message, should_retry=False)


def resting(message: str, seconds: float, limits: Limits, *, limited: bool = True) -> Failure:
    """Everything rests, the first target for `seconds` more; `limited` when rate limits are the reason.

    A client that comes back after 45 s is held for the rest of a delay within `max_wait`, so it is told to.
    """
    helps = seconds <= LONGEST_CLIENT_WAIT + limits.max_wait
    told = min(seconds, LONGEST_CLIENT_WAIT) if helps else seconds
    kind: FailureKind = "rate_limited" if limited else "overloaded"
    return Failure(kind=kind, message=message, retry_after=float(max(1, _whole(told))), should_retry=helps)


def _whole(seconds: float) -> int:
    """Whole seconds, none too few; what adding up times leaves behind the comma does not make one more."""
    return math.ceil(round(seconds, 3))


def presentable(failure: Failure, provider: str, account: str) -> Failure:
    """An upstream's failure as the client may see it: trouble with bm's key becomes 503 and names the cure."""
    if failure.kind not in KEY_TROUBLE:
        return failure
    told = "" if "(bm " in failure.message else f" ({_cure(provider, account)})"
    message = f"{provider} refused the key of account {account}: {failure.message}{told}"
    return msgspec.structs.replace(
        failure, message=message, status=0, upstream_status=0, upstream_body=b"", should_retry=False
    )


def _cure(provider: str, account: str) -> str:
    """The command that gives an account a key that works."""
    return f"bm accounts verify {account}" if provider == GEMINI.name else f"bm providers key {provider}"


def nothing(model: str, candidates: Sequence[Candidate], hints: Sequence[str], limits: Limits) -> Failure:
    """Why no candidate can serve `model` now. `hints` say why providers are out, each with its cure."""
    cooling = [candidate for candidate in candidates if candidate.verdict == "cooling"]
    if cooling:
        first = min(cooling, key=lambda candidate: candidate.seconds)
        message = (
            f"every account that can serve {model} rests; the first, {first.target.account} of "
            f"{first.target.provider}, recovers in {_whole(first.seconds)} s ({first.reason})"
        )
        return resting(message, first.seconds, limits, limited=not any(candidate.overloaded for candidate in cooling))
    if found := [candidate for candidate in candidates if candidate.bar in ("needs", "context")]:
        return _unable(found)
    told = dict.fromkeys([*map(_trouble, candidates), *hints])
    return unavailable(f"no account can serve {model}: {'; '.join(told) or 'bm accounts add NAME'}")


def _trouble(candidate: Candidate) -> str:
    told = candidate.bar != "disabled" or "(bm " in candidate.reason
    cure = "" if told else f" ({_cure(*candidate.target.account_id)})"
    return f"{candidate.target.account} of {candidate.target.provider}: {candidate.reason}{cure}"


def _unable(candidates: Sequence[Candidate]) -> Failure:
    """No model at hand takes what the request holds. The wording about length is the one clients look for."""
    if all(candidate.bar == "context" for candidate in candidates):
        largest = max(candidates, key=lambda candidate: candidate.context)
        return Failure(kind="context_too_long", message=f"prompt is too long: {largest.reason}")
    reasons = dict.fromkeys(f"{candidate.target.provider}: {candidate.reason}" for candidate in candidates)
    return Failure(kind="bad_request", message=f"no model at hand can serve the request ({'; '.join(reasons)})")

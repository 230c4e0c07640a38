"""The failure returned to the client when no target is left: with an honest delay, and the remedy."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Sequence

import msgspec

from bm.dispatch.candidates import Candidate
from bm.dispatch.snapshot import Limits
from bm.dispatch.target import Target
from bm.duration import duration
from bm.errors import Failure, FailureKind
from bm.providers.catalog import GEMINI

MAX_CLIENT_WAIT = 45.0
"""Claude Code waits up to 45 s, and gives up at once on a delay over 60 s (measured, version 2.1)."""

KEY_FAILURES: frozenset[FailureKind] = frozenset({"upstream_auth", "billing", "permission"})
"""Failures of bm's own account. The client's key is fine, so the client never gets 401 or 403 for them."""

_OWN_REMEDY = re.compile(r"\((bm [^()]*)\)")
"""A command that bm's own code has put into a failure, such as the sign-in that a refused token needs."""

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
    """An upstream's failure as the client may see it: one of bm's key in bm's words, which name the remedy.

    What is declined or limited gets the upstream's words, but not its 402 or 403, which tools take for their sign-in.
    A status that says too large or too much is kept.
    """
    declined = failure.kind == "declined" and failure.upstream_status not in (413, 429)
    if declined or (failure.kind in LIMIT_FAILURES and failure.upstream_status in (402, 403)):
        return msgspec.structs.replace(failure, upstream_status=0, upstream_body=b"")
    if failure.kind not in KEY_FAILURES:
        return failure
    return refused(failure, [_of_key(failure, provider, account)])


def refused(failure: Failure, reasons: Iterable[str]) -> Failure:
    """The failure of requests that only a person can make succeed.

    The upstream's words stay in the record: tools take words about a key for their own sign-in.
    """
    message = f"{'; '.join(dict.fromkeys(reasons))}. What the service said: bm why last"
    return msgspec.structs.replace(
        failure, message=message, status=0, upstream_status=0, upstream_body=b"", code="", param="", should_retry=False
    )


_OF_KIND = {
    "upstream_auth": "{0} does not accept the key of account {1}",
    "billing": "account {1} of {0} is out of credit",
    "permission": "account {1} of {0} is not permitted to do this",
}


def refused_keys(failures: Iterable[tuple[Target, Failure]]) -> list[str]:
    """Which accounts were refused, and the command that helps each of them."""
    return [_of_key(failure, target.provider, target.account) for target, failure in failures]


def _of_key(failure: Failure, provider: str, account: str) -> str:
    found = _OWN_REMEDY.search(failure.message)
    remedy = found.group(1) if found is not None else _remedy(provider, account)
    return f"{_OF_KIND[failure.kind].format(provider, account)} ({remedy})"


def _remedy(provider: str, account: str) -> str:
    own = provider == GEMINI.name or account not in ("config", "main")
    return f"bm accounts verify {shlex.quote(account)}" if own else f"bm providers key {provider}"


def no_candidate(model: str, candidates: Sequence[Candidate], hints: Sequence[str], limits: Limits) -> Failure:
    """Why no candidate can serve `model` now. `hints` say why providers are left out, each with the remedy."""
    cooling = [candidate for candidate in candidates if candidate.verdict == "cooling down"]
    if cooling:
        first = min(cooling, key=lambda candidate: candidate.seconds)
        message = (
            f"every account that can serve {model} is cooling down; the first, {first.target.account} of "
            f"{first.target.provider}, recovers in {duration(_whole(first.seconds))} ({first.reason})"
        )
        limited = not any(candidate.overloaded for candidate in cooling)
        return cooling_down(message, first.seconds, limits, limited=limited)
    if found := [candidate for candidate in candidates if candidate.verdict in ("unsuitable", "too long")]:
        return _unsuitable(found)
    reasons = dict.fromkeys([*map(reason_of, candidates), *hints])
    return unavailable(f"no account can serve {model}: {'; '.join(reasons) or 'bm accounts add NAME'}")


def reason_of(candidate: Candidate) -> str:
    """Why an account cannot serve, in bm's words, with the command that helps."""
    target = candidate.target
    if candidate.refused:
        return f"{target.provider} does not accept account {target.account} ({_remedy(*target.account_id)})"
    named = candidate.verdict != "disabled" or "(bm " in candidate.reason
    remedy = "" if named else f" ({_remedy(*target.account_id)})"
    return f"{target.account} of {target.provider}: {candidate.reason}{remedy}"


def _unsuitable(candidates: Sequence[Candidate]) -> Failure:
    """No model takes what the request contains. Clients look for the wording about the length."""
    if all(candidate.verdict == "too long" for candidate in candidates):
        largest = max(candidates, key=lambda candidate: candidate.context)
        return Failure(kind="context_too_long", message=f"prompt is too long: {largest.reason}")
    reasons = dict.fromkeys(f"{candidate.target.provider}: {candidate.reason}" for candidate in candidates)
    return Failure(kind="bad_request", message=f"no available model can serve the request ({'; '.join(reasons)})")

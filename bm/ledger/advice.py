"""What a person can do about a request that went wrong, from the record of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bm.duration import duration

_DISABLED = "disabled"
_CURES = {
    "bad_request": "the request itself was refused, and no other account would take it: mend what the message names",
    "too_large": "the request is too large for the service: send less at once",
    "not_found": "see which models can be had: bm models",
    "context_too_long": "shorten the conversation (/compact in Claude Code), or add a model with a larger context",
    "timeout": "try again; if the service is merely slow, give it more time: bm config edit, [timeouts]",
    "connection": "look at the network and the service's address: bm doctor",
    "truncated": "try again, or let another target finish cut answers: bm config set pool.rescue true",
    "malformed": "try again, or ask another model",
    "server": "try again: the service has failed, and the accounts are well",
    "overloaded": "try again in a while: the service is overloaded",
}
_LIMITS = ("rate_limited", "quota_exhausted")


def advice(found: dict[str, Any]) -> Iterator[str]:
    """A line for each thing to do: about accounts whose key was refused, then about the failure."""
    refused = {(each["provider"], each["account"]) for each in found["attempts"] if each["effect"] == _DISABLED}
    for provider, account in sorted(refused):
        cure = f"bm accounts verify {account}" if provider == "gemini" else f"bm providers key {provider}"
        yield f"{cure} (the key of {account} was refused, and it stays disabled until then)"
    failure = found["failure"]
    if failure is None or found["client_left"] or refused:
        return
    if failure["kind"] in _LIMITS:
        yield _limited(found, failure["retry_after"])
    elif (cure := _CURES.get(failure["kind"], "")) and "(bm " not in failure["message"]:
        yield cure


def _limited(found: dict[str, Any], seconds: float | None) -> str:
    """Every target was at its limit: when to come back, and who could serve meanwhile."""
    wait = f"try again in {duration(seconds)}" if seconds else "try again later"
    stages = {each["stage"] for each in found["targets"]}
    if "exclusive" in stages:
        name = found["targets"][0]["provider"]
        return f"{wait}, or let others help: bm providers mode {name} pooled"
    if "fallback" in stages:
        return f"{wait}, or add an account: bm accounts add NAME"
    return f"{wait}, or add an account (bm accounts add NAME) or a fallback (bm providers mode NAME fallback)"

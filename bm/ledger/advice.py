"""Advice about a failed request, from its record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from bm.duration import duration

_DISABLED = "disabled"
_REMEDIES = {
    "bad_request": "the request itself was refused, and every account would refuse it: fix what the message names",
    "too_large": "the request is too large for the service: send less",
    "not_found": "list the available models: bm models",
    "context_too_long": "shorten the conversation (/compact in Claude Code), or add a model with a larger context",
    "timeout": "try again; if the service is only slow, allow it more time: bm config edit, [timeouts]",
    "connection": "check the network and the service's address: bm doctor",
    "truncated": "try again; another account or a fallback can finish text that was cut off, unless pool.rescue is off",
    "malformed": "try again, or use another model",
    "server": "try again: the service failed, the accounts are usable",
    "overloaded": "try again later: the service is overloaded",
}
_COMMAND = re.compile(r"[(:] ?bm [a-z]")
"""A message that names a command says itself what to do."""
_LIMITS = ("rate_limited", "quota_exhausted")


def advice(found: dict[str, Any]) -> Iterator[str]:
    """One line per remedy: for accounts whose key was refused, then for the failure."""
    refused = {(each["provider"], each["account"]) for each in found["attempts"] if each["effect"] == _DISABLED}
    for provider, account in sorted(refused):
        remedy = f"bm accounts verify {account}" if provider == "gemini" else f"bm providers key {provider}"
        yield f"{remedy} (the key of {account} was refused, so it is disabled until then)"
    failure = found["failure"]
    if failure is None or found["client_left"] or refused:
        return
    if failure["kind"] in _LIMITS:
        yield _limited(found, failure["retry_after"])
    elif (remedy := _REMEDIES.get(failure["kind"], "")) and not _COMMAND.search(failure["message"]):
        yield remedy


def _limited(found: dict[str, Any], seconds: float | None) -> str:
    """Every target is rate limited: when to try again, and what to add."""
    wait = f"try again in {duration(seconds)}" if seconds else "try again later"
    stages = {each["stage"] for each in found["targets"]}
    if "exclusive" in stages:
        name = found["targets"][0]["provider"]
        return f"{wait}, or let others serve too: bm providers mode {name} pooled"
    if "fallback" in stages:
        names = dict.fromkeys(each["provider"] for each in found["targets"] if each["stage"] == "fallback")
        limited = f"the fallback {', '.join(names)} is at its limit too: it serves again when that ends"
        return f"{wait}, or add an account: bm accounts add NAME ({limited})"
    return f"{wait}, or add an account (bm accounts add NAME) or a fallback (bm providers mode NAME fallback)"

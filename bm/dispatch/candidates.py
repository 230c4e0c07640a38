"""Which accounts of a provider can serve a request now, which later, which not, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from bm.chat.capabilities import Capabilities
from bm.dispatch.snapshot import AccountState, Member, ModelState, Requirements, RouteQuery
from bm.dispatch.target import Target
from bm.providers.provider import Provider
from bm.providers.resolve import Mapped, model_for

PROBE_PAUSE = 1.0
"""Seconds after which an account whose half-open circuit is being tried by another request is worth a look."""

_WEAK = 0.5
"""Below this health an account comes after the healthy ones."""

_FEATURES = ("tools", "images", "documents", "audio", "video")
_NOTHING = Requirements()

Verdict = Literal["ready", "cooling", "out"]
Bar = Literal["", "disabled", "excluded", "needs", "context"]


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One account as the request sees it. `bar` says what kind of obstacle puts it out; `context` is in tokens.

    `without` names the media that would have to be left out for its model; `overloaded` says that no limit has it rest.
    """

    target: Target
    verdict: Verdict
    reason: str
    mapping: str
    seconds: float = 0.0
    overloaded: bool = False
    bar: Bar = ""
    context: int = 0
    without: frozenset[str] = frozenset()
    turn: tuple[bool, bool, bool, int, float] = (False, False, False, 0, 0.0)
    """Sorts ready candidates: probes, weak and nearly spent accounts last, then the idlest first."""


def absence(provider: Provider, query: RouteQuery) -> str:
    """Why a provider does not match the request at all, with the cure; empty when it matches."""
    if off := switched_off(provider):
        return off
    if query.protocol not in provider.protocols:
        return f"it serves {', '.join(provider.protocols) or 'no'} requests, this is {query.protocol}"
    if not provider.fits(query.model):
        return f"no pattern of its match_models fits {query.model}"
    return ""


def switched_off(provider: Provider) -> str:
    """Why a provider is not to be used even when asked for by name, with the command that turns it on."""
    if not provider.enabled and (provider.pool or provider.mode != "off"):
        return f"{provider.name} is disabled: bm providers enable {provider.name}"
    if provider.mode == "off" and not provider.pool:
        return f"{provider.name} is off: bm providers mode {provider.name} fallback"
    return "" if provider.enabled else f"{provider.name} is disabled: bm providers enable {provider.name}"


def lacks_key(provider: Provider) -> str:
    """What to do about a provider without any account."""
    where = f" (get a key at {provider.console})" if provider.console else ""
    command = "bm accounts add NAME" if provider.pool else f"bm providers key {provider.name}"
    return f"{provider.name} has no key: {command}{where}"


def candidates_of(member: Member, query: RouteQuery, model: str) -> Iterator[Candidate]:
    """Judge every account of a member. `model` is the name after prefix and aliases; each account maps it anew."""
    provider = member.provider
    protocol = provider.speaks_with(query.protocol)
    found: dict[frozenset[str] | None, tuple[Mapped, Capabilities]] = {}
    for account in member.account_states:
        if account.models not in found:
            mapped = model_for(provider, model, account.models)
            found[account.models] = mapped, provider.capabilities(protocol, mapped.model)
        mapped, capabilities = found[account.models]
        target = Target(provider.name, account.name, mapped.model, protocol)
        context = capabilities.context
        if "context" not in provider.said(mapped.model):
            context = member.contexts.get(mapped.model, 0) or context
        candidate = Candidate(target=target, verdict="ready", reason="", mapping=mapped.reason, context=context)
        yield _judged(candidate, account, query.requirements, capabilities)


def _judged(
    candidate: Candidate, account: AccountState, requirements: Requirements, capabilities: Capabilities
) -> Candidate:
    model = candidate.target.model
    state = account.state(model)
    if account.disabled:
        return _out(candidate, "disabled", f"out of use: {account.disabled}")
    if state.excluded:
        return _out(candidate, "excluded", f"{model} is not to be had with this account: {state.excluded}")
    missing = _missing(requirements, capabilities)
    if barred := [name for name in missing if name not in requirements.past]:
        return _out(candidate, "needs", f"{model} takes no {barred[0]}")
    if missing:
        reason = f"{model} takes no {' and no '.join(missing)}: a last resort, with a note in place of the earlier ones"
        candidate = msgspec.structs.replace(candidate, without=frozenset(missing), reason=reason)
    if candidate.context and requirements.tokens > candidate.context:
        return _out(
            candidate,
            "context",
            f"{model} takes {candidate.context} tokens, the request has {requirements.tokens} or more",
        )
    if state.cooldown > 0:
        return _cooling(candidate, state.cooldown, state.reason or "rests", state)
    if state.circuit == "open":
        return _cooling(candidate, PROBE_PAUSE, state.reason or "was overloaded repeatedly", state)
    probing = state.circuit == "half_open"
    idle = float("inf") if account.idle is None else account.idle
    return msgspec.structs.replace(
        candidate, turn=(probing, account.health < _WEAK, state.nearly_spent, account.inflight, -idle)
    )


def _out(candidate: Candidate, bar: Bar, reason: str) -> Candidate:
    return msgspec.structs.replace(candidate, verdict="out", bar=bar, reason=reason)


def _cooling(candidate: Candidate, seconds: float, reason: str, state: ModelState) -> Candidate:
    return msgspec.structs.replace(
        candidate, verdict="cooling", seconds=seconds, reason=reason, overloaded=state.overloaded
    )


def _missing(requirements: Requirements, capabilities: Capabilities) -> list[str]:
    """What the request holds and the model does not take."""
    if requirements == _NOTHING:
        return []
    return [name for name in _FEATURES if getattr(requirements, name) and not getattr(capabilities, name)]

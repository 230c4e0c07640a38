"""Which accounts of a provider can serve a request now, which later, which not at all, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from bm.chat.capabilities import Capabilities
from bm.dispatch.rotation import Rank
from bm.dispatch.snapshot import AccountState, Member, ModelState, Requirements, RouteQuery
from bm.dispatch.target import Target
from bm.names import ProtocolName
from bm.providers.provider import Provider
from bm.providers.resolve import Mapped, bare, model_for

PROBE_PAUSE = 1.0
"""Seconds until an account is tried again whose half-open circuit another request is probing."""

_WEAK = 0.5
"""Accounts with a lower health are tried after the healthy ones."""

_FEATURES = ("tools", "images", "documents", "audio", "video")
_NOTHING = Requirements()

Stage = Literal["named", "exclusive", "pool", "fallback"]
"""The part of a plan that a provider belongs to."""

Verdict = Literal["ready", "cooling down", "disabled", "excluded", "unsuitable", "too long"]
"""`disabled` is an account or provider; `excluded` an account without the model, or a provider not asked. A model is
`unsuitable` if it does not take what the request contains; `too long` is a request for its context."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One account as a possible target of the request, the reason for its verdict, and how its model was found.

    `seconds` is the time left while it is cooling down, `overloaded` means that no limit is the cause. `context` is in
    tokens, 0 if unknown. `chosen` means that bm or its configuration has chosen the
    model, and not the client. `refused` means that the service has refused the account, and the reason is in its words.
    `without` names the media that its model does not take and that a note replaces. `stand_in` is the same account
    with the provider's default, where it is not known whether the provider has the model that the client named.
    `link` is the place in the chain of the name that it serves.
    """

    target: Target
    stage: Stage
    verdict: Verdict = "ready"
    reason: str = ""
    mapping: str
    chosen: bool = False
    refused: bool = False
    seconds: float = 0.0
    overloaded: bool = False
    context: int = 0
    without: frozenset[str] = frozenset()
    stand_in: Candidate | None = None
    link: int = 0
    rank: Rank = (False, False, 0, False, 0, 0.0)


def mismatch(provider: Provider, query: RouteQuery) -> str:
    """Why a provider does not match the request, with the remedy; empty if it matches."""
    if off := switched_off(provider):
        return off
    if query.protocol not in provider.protocols:
        return f"it serves {', '.join(provider.protocols) or 'no'} requests, this is {query.protocol}"
    if not provider.fits(query.model):
        return f"no pattern of its match_models fits {query.model}"
    return ""


def switched_off(provider: Provider) -> str:
    """Why a provider is not used even when it is named, with the command that enables it; empty if it is used."""
    if not provider.enabled and (provider.pool or provider.mode != "off"):
        return f"{provider.name} is disabled: bm providers enable {provider.name}"
    if provider.mode == "off" and not provider.pool:
        return f"{provider.name} is off: bm providers mode {provider.name} fallback"
    return "" if provider.enabled else f"{provider.name} is disabled: bm providers enable {provider.name}"


def missing_key(provider: Provider) -> str:
    """What to do about a provider without any account."""
    where = f" (get a key at {provider.console})" if provider.console else ""
    command = "bm accounts add NAME" if provider.pool else f"bm providers key {provider.name}"
    return f"{provider.name} has no key: {command}{where}"


def candidates_of(member: Member, stage: Stage, query: RouteQuery, model: str) -> Iterator[Candidate]:
    """Every account of a member. `model` is the name after prefix and aliases, which each account maps for itself."""
    provider, needs = member.provider, query.requirements
    served: dict[str, tuple[ProtocolName, Capabilities]] = {}
    mappings: dict[frozenset[str] | None, Mapped] = {}

    def candidate(account: AccountState, mapped: Mapped, stand_in: Candidate | None = None) -> Candidate:
        if mapped.model not in served:
            protocol = provider.speaks_with(
                query.protocol, mapped.model, tools=needs.tools, effort=needs.effort, wires=member.wires
            )
            facts = member.facts.get(mapped.model, {})
            served[mapped.model] = protocol, provider.capabilities(protocol, mapped.model, facts)
        protocol, capabilities = served[mapped.model]
        context = capabilities.context
        if "context" not in provider.said(mapped.model):
            context = member.contexts.get(mapped.model, 0) or context
        found = Candidate(
            target=Target(provider.name, account.name, mapped.model, protocol),
            stage=stage,
            mapping=mapped.reason,
            chosen=not bare(query.model).endswith(mapped.model),
            context=context,
            stand_in=stand_in,
        )
        return _judged(found, account, needs, capabilities)

    for account in member.account_states:
        if account.models not in mappings:
            mappings[account.models] = model_for(provider, model, account.models)
        mapped = mappings[account.models]
        default = _default_for(provider, mapped) if account.models is None else None
        yield candidate(account, mapped, candidate(account, default) if default else None)


def _default_for(provider: Provider, mapped: Mapped) -> Mapped | None:
    """The provider's default, where it is not known whether the provider has the model; None where it is no other."""
    default = provider.models.get("default", "")
    if mapped.rule != "as is" or provider.serves or default in ("", mapped.model):
        return None
    return Mapped(default, "default", f"{provider.name} has no {mapped.model}: its default is {default}")


def _judged(
    candidate: Candidate, account: AccountState, requirements: Requirements, capabilities: Capabilities
) -> Candidate:
    model = candidate.target.model
    state = account.state(model)
    if account.disabled:
        candidate = msgspec.structs.replace(candidate, refused=account.refused)
        return _with(candidate, "disabled", f"disabled: {account.disabled}")
    if state.excluded:
        return _with(candidate, "excluded", f"this account does not have {model}: {state.excluded}")
    missing = _missing(requirements, capabilities)
    if required := [name for name in missing if name not in requirements.replaceable]:
        return _with(candidate, "unsuitable", f"{model} takes no {required[0]}")
    if missing:
        reason = f"{model} takes no {' and no '.join(missing)}: a last resort, with a note in place of the earlier ones"
        candidate = msgspec.structs.replace(candidate, without=frozenset(missing), reason=reason)
    if exceeds(candidate.context, requirements.tokens):
        return too_long(candidate, requirements.tokens)
    if state.cooldown > 0:
        return _cooling_down(candidate, state.cooldown, state.reason or "cooling down", state)
    if state.circuit == "open":
        return _cooling_down(candidate, PROBE_PAUSE, state.reason or "overloaded repeatedly", state)
    return msgspec.structs.replace(candidate, rank=rank_of(account, model))


def exceeds(context: int, tokens: int) -> bool:
    """Whether a request is too long for a model. `context` is 0 if unknown."""
    return 0 < context < tokens


def too_long(candidate: Candidate, tokens: int) -> Candidate:
    """The account as a request finds it that is too long for its model."""
    reason = f"{candidate.target.model} takes {candidate.context} tokens, the request has {tokens} or more"
    return _with(candidate, "too long", reason)


def is_usable(account: AccountState, model: str) -> bool:
    """Whether a model can be asked of an account now, whatever the request contains."""
    state = account.state(model)
    return not (account.disabled or state.excluded or state.cooldown > 0 or state.circuit == "open")


def rank_of(account: AccountState, model: str) -> Rank:
    """The rank of an account that can be asked for a model; see `Rotation`."""
    state = account.state(model)
    idle = float("inf") if account.idle is None else account.idle
    weak, probing = account.health < _WEAK, state.circuit == "half_open"
    return probing, weak, account.tier, state.nearly_spent, account.inflight, -idle


def _with(candidate: Candidate, verdict: Verdict, reason: str) -> Candidate:
    return msgspec.structs.replace(candidate, verdict=verdict, reason=reason)


def _cooling_down(candidate: Candidate, seconds: float, reason: str, state: ModelState) -> Candidate:
    return msgspec.structs.replace(
        candidate, verdict="cooling down", seconds=seconds, reason=reason, overloaded=state.overloaded
    )


def _missing(requirements: Requirements, capabilities: Capabilities) -> list[str]:
    """The features that the request needs and the model does not have."""
    if requirements == _NOTHING:
        return []
    return [name for name in _FEATURES if getattr(requirements, name) and not getattr(capabilities, name)]

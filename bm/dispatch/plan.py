"""Which targets a request goes to, in which order, and why: the four dispatch modes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from bm.dispatch.candidates import Candidate, Verdict, absence, candidates_of, lacks_key, switched_off
from bm.dispatch.refusal import nothing
from bm.dispatch.snapshot import Affinity, Limits, Member, RouteQuery, Snapshot
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.names import Mode
from bm.providers.resolve import Name, name_of

Stage = Literal["named", "exclusive", "pool", "fallback"]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A target of the plan, why it stands where it does, and how its model was found. `context` in tokens, 0 unknown.

    `seconds` is how long it still rests; such a choice is only worth waiting for. `without` names the media that are to
    be left out for it.
    """

    target: Target
    stage: Stage
    reason: str
    mapping: str
    context: int = 0
    seconds: float = 0.0
    without: frozenset[str] = frozenset()


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `bm route`: a provider or one of its accounts, whether it is in, and why."""

    provider: str
    account: str = ""
    model: str = ""
    verdict: Verdict
    reason: str
    seconds: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to try for a request.

    `choices` are usable now, in order. `cooling` recover later, the soonest first. `considered` tells of every
    provider and account. `failure` is set when no choice is usable and waiting within the limit would not help.
    `steps` say how prefix and aliases were read. `past` names the media that a note may stand for.
    """

    asked: str
    steps: tuple[str, ...] = ()
    choices: tuple[Choice, ...] = ()
    cooling: tuple[Choice, ...] = ()
    considered: tuple[Considered, ...] = ()
    failure: Failure | None = None
    roll: float = 0.0
    past: frozenset[str] = frozenset()

    @property
    def targets(self) -> tuple[Target, ...]:
        """The usable targets, in order."""
        return tuple(choice.target for choice in self.choices)


class _Group(msgspec.Struct, frozen=True):
    """A member that takes part in the plan, with its judged candidates."""

    member: Member
    stage: Stage
    candidates: tuple[Candidate, ...]

    @property
    def ready(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.verdict == "ready" and not candidate.without]

    @property
    def last_resort(self) -> list[Candidate]:
        """Those that cannot be shown all of the conversation."""
        return [candidate for candidate in self.candidates if candidate.verdict == "ready" and candidate.without]


def plan(snapshot: Snapshot, query: RouteQuery, *, roll: float) -> Plan:
    """Order the targets for a request. `roll` is a number in [0, 1) drawn by the caller; equal rolls, equal plans."""
    names = [member.provider.name for member in snapshot.members]
    name = name_of(query.model, names, snapshot.aliases)
    if name.error:
        circle = Failure(kind="bad_request", message=f"{name.error} (bm config edit)", param="model")
        return Plan(asked=query.model, failure=circle, roll=roll)
    members = [each for each in snapshot.members if each.provider.configured or each.provider.name == name.provider]
    staged, absent = _staged(members, msgspec.structs.replace(query, model=name.model), name)
    groups = [_Group(member, stage, tuple(candidates_of(member, query, name.model))) for member, stage in staged]
    choices = _ordered(groups, snapshot.affinity, roll)
    cooling = _cooling(groups)
    failure = _failure(name, groups, absent, choices, cooling, snapshot.limits)
    return Plan(
        asked=query.model,
        steps=name.steps,
        choices=tuple(choices),
        cooling=tuple(cooling),
        considered=tuple(_considered(groups, absent, choices)),
        failure=failure,
        roll=roll,
        past=query.requirements.past,
    )


def _staged(
    members: Sequence[Member], query: RouteQuery, name: Name
) -> tuple[list[tuple[Member, Stage]], dict[str, str]]:
    """Who takes part and as what; and of all others, why not."""
    if not name.provider:
        return _by_mode(members, query)
    named = next(member for member in members if member.provider.name == name.provider)
    others = [member for member in members if member is not named]
    if off := switched_off(named.provider):
        return [], _all_out(others, f"the request asks for {name.provider}") | {name.provider: off}
    if not named.provider.allow_failover:
        return [(named, "named")], _all_out(others, f"the request asks for {name.provider} alone")
    rest, absent = _by_mode(others, query)
    return [(named, "named"), *rest], absent


def _by_mode(members: Sequence[Member], query: RouteQuery) -> tuple[list[tuple[Member, Stage]], dict[str, str]]:
    absent = {member.provider.name: why for member in members if (why := absence(member.provider, query))}
    present = [member for member in members if member.provider.name not in absent]
    exclusive = next((member for member in present if _mode(member) == "exclusive"), None)
    if exclusive:
        others = [member for member in present if member is not exclusive]
        return [(exclusive, "exclusive")], absent | _all_out(others, f"{exclusive.provider.name} is exclusive")
    pool: list[tuple[Member, Stage]] = [(member, "pool") for member in present if _mode(member) == "pooled"]
    return pool + [(member, "fallback") for member in present if _mode(member) == "fallback"], absent


def _mode(member: Member) -> Mode:
    return "pooled" if member.provider.pool else member.provider.mode


def _all_out(members: Iterable[Member], reason: str) -> dict[str, str]:
    return {member.provider.name: reason for member in members}


def _ordered(groups: Sequence[_Group], affinity: Affinity | None, roll: float) -> list[Choice]:
    """The ready candidates in the order of trying: a provider asked for, the pool by lot, then the fallbacks."""
    before = [group for group in groups if group.stage in ("named", "exclusive")]
    pool = [group for group in groups if group.stage == "pool"]
    after = [group for group in groups if group.stage == "fallback"]
    choices = [choice for group in before for choice in _stuck(_alone(group, roll), affinity)]
    choices += _stuck(_drawn(pool, roll), affinity)
    reason = "fallback: when no account of the pool is usable or all have failed"
    fallback = [choice for group in after for choice in _choices(group.stage, _in_turn(group.ready, roll), reason)]
    last = [choice for group in groups for choice in _choices(group.stage, _in_turn(group.last_resort, roll), "")]
    return choices + _stuck(fallback, affinity) + last


def _alone(group: _Group, roll: float) -> list[Choice]:
    if group.stage == "exclusive":
        reason = f"{group.member.provider.name} is exclusive: nothing else is tried"
    else:
        reason = f"the request asks for {group.member.provider.name}"
    return _choices(group.stage, _in_turn(group.ready, roll), reason)


def _drawn(pool: Sequence[_Group], roll: float) -> list[Choice]:
    """Draw a slot: each usable Gemini account is one, each usable pooled provider is one."""
    free = [candidate for group in pool if group.member.provider.pool for candidate in group.ready]
    paid = [group.ready for group in pool if not group.member.provider.pool and group.ready]
    slots = len(free) + len(paid)
    if not slots:
        return []
    drawn = min(int(roll * slots), slots - 1)
    within = roll * slots - drawn  # the part of the lot that the draw has not used up
    share = f"1/{slots}"
    accounts = _in_turn(free, drawn / len(free) if drawn < len(free) else within) if free else []
    if drawn < len(free):
        first, rest = accounts[:1], accounts[1:]
        reason = f"in turn among {len(free)} Gemini accounts, each {share} of the requests"
        reason = reason if slots > 1 else "the only Gemini account that is usable"
    else:
        turn = drawn - len(free)
        first, rest = _in_turn(paid.pop(turn), within), accounts
        reason = f"drawn by lot: a pooled provider has {share} of the requests"
    rest = rest + [candidate for candidates in paid for candidate in _in_turn(candidates, within)]
    return _choices("pool", first, reason) + _choices("pool", rest, "rest of the pool, when those before have failed")


def _in_turn(candidates: Sequence[Candidate], roll: float) -> list[Candidate]:
    """The longest unused first, probes and weak accounts last; the lot decides between equals."""
    start = min(int(roll * len(candidates) + 1e-9), len(candidates) - 1) if candidates else 0
    return sorted([*candidates[start:], *candidates[:start]], key=lambda candidate: candidate.turn)


def _choices(stage: Stage, candidates: Iterable[Candidate], reason: str) -> list[Choice]:
    """Candidates as choices, for that reason or else their own."""
    return [
        Choice(
            target=candidate.target,
            stage=stage,
            reason=reason or candidate.reason,
            mapping=candidate.mapping,
            context=candidate.context,
            seconds=candidate.seconds,
            without=candidate.without,
        )
        for candidate in candidates
    ]


def _stuck(choices: list[Choice], affinity: Affinity | None) -> list[Choice]:
    """Put the target that served the conversation before first."""
    candidate = (affinity.provider, affinity.account) if affinity else None
    same = [choice for choice in choices if choice.target.account_id == candidate]
    told = [msgspec.structs.replace(choice, reason="this conversation was served here before") for choice in same]
    return told + [choice for choice in choices if choice.target.account_id != candidate]


def _cooling(groups: Sequence[_Group]) -> list[Choice]:
    resting = [
        choice
        for group in groups
        for candidate in group.candidates
        if candidate.verdict == "cooling"
        for choice in _choices(group.stage, [candidate], candidate.reason)
    ]
    return sorted(resting, key=lambda choice: choice.seconds)


def _failure(
    name: Name,
    groups: Sequence[_Group],
    absent: dict[str, str],
    choices: Sequence[Choice],
    cooling: Sequence[Choice],
    limits: Limits,
) -> Failure | None:
    if choices or (cooling and cooling[0].seconds <= limits.max_wait):
        return None
    if name.provider and not groups:
        return Failure(kind="bad_request", message=absent[name.provider], param="model")
    candidates = [candidate for group in groups for candidate in group.candidates]
    keyless = [lacks_key(group.member.provider) for group in groups if not group.candidates]
    return nothing(name.model, candidates, [*keyless, *absent.values()], limits)


def _considered(groups: Sequence[_Group], absent: dict[str, str], choices: Sequence[Choice]) -> Iterable[Considered]:
    """One line an account that takes part, one line a configured provider that does not."""
    reasons = {choice.target: choice.reason for choice in choices}
    for group in groups:
        provider = group.member.provider
        if not group.candidates:
            yield Considered(provider=provider.name, verdict="out", reason=lacks_key(provider))
        for candidate in group.candidates:
            yield Considered(
                provider=provider.name,
                account=candidate.target.account,
                model=candidate.target.model,
                verdict=candidate.verdict,
                reason=reasons.get(candidate.target, candidate.reason),
                seconds=candidate.seconds,
            )
    for name, reason in absent.items():
        yield Considered(provider=name, verdict="out", reason=reason)

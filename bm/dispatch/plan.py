"""Which targets a request goes to, in which order, and why: the four dispatch modes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from bm.dispatch.candidates import Candidate, Stage, Verdict, candidates_of, mismatch, missing_key, switched_off
from bm.dispatch.refusal import no_candidate, reason_of
from bm.dispatch.routes import Resolved, misspelt, resolve
from bm.dispatch.snapshot import Limits, Member, RouteQuery, Snapshot
from bm.dispatch.target import AccountId, Target
from bm.errors import Failure
from bm.names import Mode
from bm.providers.resolve import Name, bare, family

AFFINE = "this conversation was served here before"
FALLBACK = "fallback: when no account of the pool is usable or all have failed"
REST = "rest of the pool, when those before have failed"


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `bm route`: a provider or one of its accounts, whether it is in the plan, and why."""

    provider: str
    account: str = ""
    model: str = ""
    verdict: Verdict
    reason: str
    seconds: float = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The targets to try for a request.

    `choices` are ready, in order. Those in `cooling_down` recover later, the soonest first. `considered` lists every
    provider and account. `failure` is set if no choice is ready and waiting within the limit would not help. `steps`
    tell how prefix and aliases were resolved, and `route` is the key of the setting of `[routes]` that was used, empty
    for none. `replaceable` names the media that a note may replace. `disabled` says of each disabled account why, in
    bm's words. A partial plan holds the first choice alone, and the `query` for the others when they are needed. Its
    `considered` lists each account only where there are few; `unlisted` is how many lines it lacks.
    """

    asked: str
    route: str = ""
    steps: tuple[str, ...] = ()
    choices: tuple[Candidate, ...] = ()
    cooling_down: tuple[Candidate, ...] = ()
    considered: tuple[Considered, ...] = ()
    failure: Failure | None = None
    random_number: float = 0.0
    replaceable: frozenset[str] = frozenset()
    disabled: tuple[str, ...] = ()
    query: RouteQuery | None = None
    unlisted: int = 0

    @property
    def targets(self) -> tuple[Target, ...]:
        return tuple(choice.target for choice in self.choices)


class Group(msgspec.Struct, frozen=True):
    """A provider that takes part in the plan, with its candidates."""

    member: Member
    stage: Stage
    candidates: tuple[Candidate, ...]

    @property
    def ready(self) -> list[Candidate]:
        return [candidate for candidate in self.candidates if candidate.verdict == "ready" and not candidate.without]

    @property
    def last_resort(self) -> list[Candidate]:
        """Those that do not take all media of the conversation."""
        return [candidate for candidate in self.candidates if candidate.verdict == "ready" and candidate.without]


class Link(msgspec.Struct, frozen=True):
    """A name of the chain with the providers that take part for it, and those that do not."""

    name: Name
    groups: tuple[Group, ...]
    absent: tuple[Considered, ...]
    steps: tuple[str, ...]

    @property
    def candidates(self) -> list[Candidate]:
        return [candidate for group in self.groups for candidate in group.candidates]


def plan(snapshot: Snapshot, query: RouteQuery, *, random_number: float, first: Candidate | None = None) -> Plan:
    """Order the targets for a request. The caller draws the number in [0, 1); equal numbers give equal plans.

    With `first`, the plan begins with that choice, which was made before: see `bm.dispatch.lineup`.
    """
    resolved = resolve(query, snapshot.names, snapshot.aliases, snapshot.routes)
    if refusal := misspelt(resolved, query, snapshot):
        failure = Failure(kind="not_found", message=refusal, param="model", should_retry=False)
        steps = resolved.names[0].steps
        return Plan(asked=query.model, steps=steps, failure=failure, random_number=random_number)
    links = links_of(resolved, snapshot, query)
    if first is not None:
        links = [_without(link, first.target) for link in links]
    choices = _ordered(links, snapshot.affinity, random_number)
    if first is not None:
        choices = [first, *_behind(first, choices, links, snapshot.affinity)]
    cooling_down = _cooling_down(links)
    return Plan(
        asked=query.model,
        route=resolved.route,
        steps=tuple(dict.fromkeys(step for link in links for step in link.steps)),
        choices=tuple(choices),
        cooling_down=tuple(cooling_down),
        considered=(*([line_of(first)] if first else ()), *_considered(links, choices)),
        failure=_failure(links, choices, cooling_down, snapshot.limits),
        random_number=random_number,
        replaceable=query.requirements.replaceable,
        disabled=tuple(reason_of(each) for link in links for each in link.candidates if each.verdict == "disabled"),
    )


def links_of(resolved: Resolved, snapshot: Snapshot, query: RouteQuery) -> list[Link]:
    """The names of the chain in the order of this request, each with the candidates it leads to."""
    links = [_link(name, snapshot, query) for name in resolved.names]
    return _distinct(_chosen_first(links, snapshot)) if len(links) > 1 else links


def _link(name: Name, snapshot: Snapshot, query: RouteQuery) -> Link:
    """A name of the chain with its candidates, all accounts of the providers that take part for it."""
    members = [each for each in snapshot.members if each.provider.configured or each.provider.name == name.provider]
    staged, absent = _staged(members, msgspec.structs.replace(query, model=name.model), name)
    groups = tuple(
        Group(member, stage, tuple(candidates_of(member, stage, query, name.model))) for member, stage in staged
    )
    return Link(name, groups, tuple(absent), (*name.steps, *_listed_by(staged, name)))


def _chosen_first(links: Sequence[Link], snapshot: Snapshot) -> Iterator[Link]:
    """The links with those of each choice in the order of this request: by price, or as chosen by weight.

    A conversation stays with the link of a weighted choice that served it before, if its account tells which it was.
    """
    for choice, found in groupby(links, key=lambda link: link.name.choice):
        same = [*found]
        if choice.startswith("cheapest"):
            same.sort(key=lambda link: _price(link, snapshot))
        elif choice:
            before = [link for link in same if any(_is_at(each, snapshot.affinity) for each in link.candidates)]
            same = before + [link for link in same if link is not before[0]] if len(before) == 1 else same
        yield from same


def _is_at(candidate: Candidate, account_id: AccountId | None) -> bool:
    return candidate.target.account_id == account_id


def _price(link: Link, snapshot: Snapshot) -> float:
    """What the link's first model that can serve costs, or else its first; unknown prices come last."""
    ready = [each for each in link.candidates if each.verdict == "ready"] or link.candidates
    prices = [snapshot.price(each.target.provider, each.target.model) for each in ready[:1]]
    return next((price for price in prices if price is not None), math.inf)


def _distinct(links: Iterable[Link]) -> list[Link]:
    """The links numbered in their order, each without the targets of those before.

    The user's configuration has chosen the models of a chain, also where one is named as the client's, and where one is
    gone the next link follows.
    """
    seen: set[Target] = set()
    found = []
    for number, link in enumerate(links):
        groups = []
        for group in link.groups:
            kept = [each for each in group.candidates if each.target not in seen]
            kept = [msgspec.structs.replace(each, link=number, chosen=True, stand_in=None) for each in kept]
            groups.append(msgspec.structs.replace(group, candidates=tuple(kept)))
        seen.update(each.target for each in link.candidates)
        found.append(msgspec.structs.replace(link, groups=tuple(groups)))
    return found


def _without(link: Link, target: Target) -> Link:
    """The link without a target that has been chosen already."""
    groups = [
        msgspec.structs.replace(group, candidates=tuple(each for each in group.candidates if each.target != target))
        for group in link.groups
    ]
    return msgspec.structs.replace(link, groups=tuple(groups))


def _behind(
    first: Candidate, choices: Sequence[Candidate], links: Sequence[Link], affinity: AccountId | None
) -> Iterator[Candidate]:
    """The choices after the first. Those of its slot come next, if it was not affinity, then the free ones."""
    if first.stage != "pool" or first.target.account_id == affinity:
        yield from choices
        return
    free = {group.member.provider.name for link in links for group in link.groups if group.member.provider.pool}
    rest = [each for each in choices if (each.stage, each.link) == ("pool", first.link) and not each.without]
    rest.sort(key=lambda each: (each.target.provider != first.target.provider, each.target.provider not in free))
    targets, in_order = {each.target for each in rest}, iter(_because(rest, REST))
    for choice in choices:
        yield next(in_order) if choice.target in targets else choice


_Staged = list[tuple[Member, Stage]]


def _listed_by(staged: _Staged, name: Name) -> Iterator[str]:
    """Which providers list exactly the model that is named, when the pool answers with its default in its place.

    They are asked in the order of their modes all the same: a tool that names gpt-5 would else never use the pool.
    """
    pool = [member for member, _ in staged if member.provider.pool]
    if name.provider or not pool or family(bare(name.model)) or any(_lists(member, name.model) for member in pool):
        return
    for member, _ in staged:
        provider = member.provider
        if _lists(member, name.model):
            remedy = f"ask for {provider.name}:{name.model}"
            yield f"{provider.name} lists {name.model}, but its mode puts the pool first or beside it: {remedy}"


def _lists(member: Member, model: str) -> bool:
    return model in member.facts or any(model in account.models for account in member.accounts if account.models)


def _staged(members: Sequence[Member], query: RouteQuery, name: Name) -> tuple[_Staged, list[Considered]]:
    """The providers that take part, each with its stage, and the others."""
    if not name.provider:
        return _by_mode(members, query)
    named = next(member for member in members if member.provider.name == name.provider)
    others = [member for member in members if member is not named]
    if off := switched_off(named.provider) or named.barred:
        named_off = Considered(provider=name.provider, verdict="disabled", reason=off)
        return [], [*_excluded(others, f"the request asks for {name.provider}"), named_off]
    if not named.provider.allow_failover:
        return [(named, "named")], _excluded(others, f"the request asks for {name.provider} alone")
    rest, left_out = _by_mode(others, query)
    return [(named, "named"), *rest], left_out


def _by_mode(members: Sequence[Member], query: RouteQuery) -> tuple[_Staged, list[Considered]]:
    absent: list[Considered] = []
    present: list[Member] = []
    for member in members:
        provider = member.provider
        if reason := mismatch(provider, query) or member.barred:
            verdict: Verdict = "disabled" if switched_off(provider) else "excluded"
            absent.append(Considered(provider=provider.name, verdict=verdict, reason=reason))
        else:
            present.append(member)
    exclusive = next((member for member in present if _mode(member) == "exclusive"), None)
    if exclusive:
        others = [member for member in present if member is not exclusive]
        return [(exclusive, "exclusive")], [*absent, *_excluded(others, f"{exclusive.provider.name} is exclusive")]
    pool: _Staged = [(member, "pool") for member in present if _mode(member) == "pooled"]
    fallbacks = [member for member in present if _mode(member) == "fallback"]
    # Those that need no translation first.
    fallbacks.sort(key=lambda member: query.protocol not in member.provider.speaks)
    return pool + [(member, "fallback") for member in fallbacks], absent


def _mode(member: Member) -> Mode:
    return "pooled" if member.provider.pool else member.provider.mode


def _excluded(members: Iterable[Member], reason: str) -> list[Considered]:
    return [Considered(provider=member.provider.name, verdict="excluded", reason=reason) for member in members]


def _ordered(links: Sequence[Link], affinity: AccountId | None, random_number: float) -> list[Candidate]:
    """The ready candidates in order: those of each link, and after all links those that do not take all media."""
    ready: list[Candidate] = []
    for number, link in enumerate(links, 1):
        choices = _in_order(link.groups, affinity, random_number)
        if len(links) > 1:
            named = f"{link.name.provider}:{link.name.model}" if link.name.provider else ""
            choices = [
                msgspec.structs.replace(each, reason=f"choice {number}: {named or each.reason}") for each in choices
            ]
        ready += choices
    groups = [group for link in links for group in link.groups]
    return ready + [candidate for group in groups for candidate in _by_rank(group.last_resort, random_number)]


def _in_order(groups: Sequence[Group], affinity: AccountId | None, random_number: float) -> list[Candidate]:
    """The ready candidates of a link: a named or exclusive provider, the pool, then the fallbacks."""
    first = [group for group in groups if group.stage in ("named", "exclusive")]
    pool = [group for group in groups if group.stage == "pool"]
    fallbacks = [group for group in groups if group.stage == "fallback"]
    choices = [choice for group in first for choice in _affine_first(_alone(group, random_number), affinity)]
    choices += _affine_first(_pooled(pool, random_number), affinity)
    ready = [candidate for group in fallbacks for candidate in _by_rank(group.ready, random_number)]
    return choices + _affine_first(_because(ready, FALLBACK), affinity)


def _alone(group: Group, random_number: float) -> list[Candidate]:
    return _because(_by_rank(group.ready, random_number), reason_alone(group.stage, group.member.provider.name))


def reason_alone(stage: Stage, provider: str) -> str:
    """Why a request goes to a provider that is named or exclusive."""
    return (
        f"{provider} is exclusive: nothing else is tried"
        if stage == "exclusive"
        else f"the request asks for {provider}"
    )


def reason_in_turn(free: int, slots: int, *, lowest_tier: bool) -> str:
    """Why a request goes to a Gemini account. `lowest_tier` means that there are usable ones of higher tiers."""
    if slots == 1:
        return "the only Gemini account that is usable"
    if lowest_tier:
        return "in turn among the Gemini accounts of the lowest tier that is usable"
    return f"in turn among {free} Gemini accounts, which get {free}/{slots} of the requests"


def reason_at_random(slots: int) -> str:
    """Why a request goes to a pooled provider."""
    return f"chosen at random: a pooled provider has 1/{slots} of the requests"


def _pooled(pool: Sequence[Group], random_number: float) -> list[Candidate]:
    """Choose a slot at random: each usable Gemini account is one, and each usable pooled provider is one."""
    free = [candidate for group in pool if group.member.provider.pool for candidate in group.ready]
    paid = [group.ready for group in pool if not group.member.provider.pool and group.ready]
    slots = len(free) + len(paid)
    if not slots:
        return []
    slot = min(int(random_number * slots), slots - 1)
    remainder = random_number * slots - slot  # again evenly distributed in [0, 1)
    accounts = _by_rank(free, slot / len(free) if slot < len(free) else remainder) if free else []
    if slot < len(free):
        first, rest = accounts[:1], accounts[1:]
        lowest_tier = any(account.rank[2] > first[0].rank[2] for account in rest)
        reason = reason_in_turn(len(free), slots, lowest_tier=lowest_tier)
    else:
        first, rest = _by_rank(paid.pop(slot - len(free)), remainder), accounts
        reason = reason_at_random(slots)
    rest = rest + [candidate for candidates in paid for candidate in _by_rank(candidates, remainder)]
    return _because(first, reason) + _because(rest, REST)


def _by_rank(candidates: Sequence[Candidate], random_number: float) -> list[Candidate]:
    """The candidates by rank; the random number decides between equals."""
    start = min(int(random_number * len(candidates) + 1e-9), len(candidates) - 1) if candidates else 0
    return sorted([*candidates[start:], *candidates[:start]], key=lambda candidate: candidate.rank)


def _because(candidates: Iterable[Candidate], reason: str) -> list[Candidate]:
    return [msgspec.structs.replace(candidate, reason=reason) for candidate in candidates]


def _affine_first(choices: list[Candidate], affinity: AccountId | None) -> list[Candidate]:
    """Move the account that served the conversation last to the front."""
    same = [choice for choice in choices if choice.target.account_id == affinity]
    others = [choice for choice in choices if choice.target.account_id != affinity]
    return _because(same, AFFINE) + others


def _cooling_down(links: Sequence[Link]) -> list[Candidate]:
    found = [each for link in links for each in link.candidates if each.verdict == "cooling down"]
    return sorted(found, key=lambda candidate: candidate.seconds)


def _failure(
    links: Sequence[Link], choices: Sequence[Candidate], cooling_down: Sequence[Candidate], limits: Limits
) -> Failure | None:
    if choices or (cooling_down and cooling_down[0].seconds <= limits.max_wait):
        return None
    hints: list[str] = []
    for link in links:
        named = link.name.provider
        hints += [missing_key(group.member.provider) for group in link.groups if not group.member.account_states]
        hints += [each.reason for each in link.absent if named in ("", each.provider)]
    if len(links) == 1 and links[0].name.provider and not links[0].groups:
        return Failure(kind="bad_request", message=hints[0], param="model")
    candidates = [candidate for link in links for candidate in link.candidates]
    return no_candidate(" or ".join(dict.fromkeys(link.name.model for link in links)), candidates, hints, limits)


def _considered(links: Sequence[Link], choices: Sequence[Candidate]) -> Iterator[Considered]:
    """A line for each account that takes part, and for each configured provider that does not."""
    reasons = {choice.target: choice.reason for choice in choices}
    for group in (group for link in links for group in link.groups):
        provider = group.member.provider
        if not group.member.account_states:
            yield Considered(provider=provider.name, verdict="disabled", reason=missing_key(provider))
        for candidate in group.candidates:
            yield line_of(msgspec.structs.replace(candidate, reason=reasons.get(candidate.target, candidate.reason)))
    yield from absent_from(links)


def absent_from(links: Sequence[Link]) -> Iterator[Considered]:
    """A line for each configured provider that does not take part: first those that would if they were not disabled."""
    seen = {group.member.provider.name for link in links for group in link.groups}
    absent = [_not_named(each, link) if len(links) > 1 else each for link in links for each in link.absent]
    for each in sorted(absent, key=lambda each: each.verdict != "disabled"):
        if each.provider not in seen:
            seen.add(each.provider)
            yield each


def _not_named(absent: Considered, link: Link) -> Considered:
    """Why a provider does not take part in a chain, if the link names another one."""
    if link.name.provider in ("", absent.provider):
        return absent
    return msgspec.structs.replace(absent, verdict="excluded", reason="the chain does not name it")


def line_of(candidate: Candidate) -> Considered:
    """The line of an account."""
    target = candidate.target
    return Considered(
        provider=target.provider,
        account=target.account,
        model=target.model,
        verdict=candidate.verdict,
        reason=candidate.reason,
        seconds=candidate.seconds,
    )

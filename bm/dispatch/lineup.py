"""The first target of a plan without the plan: what a request leads to is compiled once and kept until it changes.

Most requests are answered by their first target. So the providers that take part, what each of their models takes and
the reasons of those that do not take part are worked out once, by the code that makes a plan, for accounts against
which there is nothing. What is left for a request is to take the first account of a rotation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeAlias

import msgspec

from bm.dispatch.candidates import Candidate, Stage, candidates_of, exceeds, missing_key, too_long
from bm.dispatch.plan import (
    AFFINE,
    FALLBACK,
    REST,
    Considered,
    Group,
    Link,
    Plan,
    absent_from,
    line_of,
    links_of,
    reason_alone,
    reason_at_random,
    reason_in_turn,
)
from bm.dispatch.rotation import Rotation
from bm.dispatch.routes import Resolved, misspelt
from bm.dispatch.snapshot import AccountState, Member, RouteQuery, Snapshot
from bm.dispatch.target import AccountId, Target

MOST_LINES = 40
"""Lines of a partial plan."""
MOST_NAMED = 8
"""Usable accounts of one provider that have a line each; more of them share one."""


class Accounts(Protocol):
    """The accounts of a provider with one model list, as requests for one model find them: `bm.accounts.roster`."""

    rotation: Rotation
    out: dict[int, tuple[AccountState, float]]

    @property
    def next_change(self) -> float: ...

    def refresh(self, now: float) -> None: ...

    def number(self, account_id: AccountId, /) -> int | None: ...

    def name(self, number: int, /) -> str: ...

    def state(self, number: int, now: float, /) -> AccountState: ...


class Part:
    """The accounts of a provider for which the same holds. `template` is one of them against which there is nothing."""

    def __init__(self, member: Member, query: RouteQuery, name: str, template: Candidate, accounts: Accounts) -> None:
        self.member, self.query, self.name, self.template, self.accounts = member, query, name, template, accounts
        self.takes = template.verdict == "ready" and not template.without
        self._lines: dict[int, tuple[AccountState, Considered]] = {}

    def ready(self, now: float, tokens: int) -> bool:
        """Whether one of the accounts can serve a request of so many tokens now."""
        self.accounts.refresh(now)
        return self.takes and not exceeds(self.template.context, tokens) and len(self.accounts.rotation) > 0

    def candidate(self, number: int, reason: str, now: float) -> Candidate:
        """A usable account as the choice of a request."""
        template = self.template
        if template.stand_in is not None:
            # Whether the account has the default as well depends on its state.
            return msgspec.structs.replace(self._judged(self.accounts.state(number, now)), reason=reason)
        old = template.target
        target = Target(old.provider, self.accounts.name(number), old.model, old.protocol)
        return msgspec.structs.replace(template, target=target, reason=reason)

    def _judged(self, state: AccountState) -> Candidate:
        member = msgspec.structs.replace(self.member, accounts=(state,))
        return next(candidates_of(member, self.template.stage, self.query, self.name))

    def lines(self, first: Target, tokens: int, now: float) -> Iterator[Considered]:
        """A line for each account that is out, and for the others but `first`, which has one."""
        self.accounts.refresh(now)
        for number, (state, at) in islice(self.accounts.out.items(), MOST_LINES):
            known, line = self._lines.get(number, (None, None))
            if known is not state or line is None:
                line = line_of(self._judged(state))
                self._lines[number] = state, line
            yield msgspec.structs.replace(line, seconds=max(0.0, line.seconds - (now - at))) if line.seconds else line
        rotation, target = self.accounts.rotation, self.template.target
        here = (first.provider, first.model, first.protocol) == (target.provider, target.model, target.protocol)
        chosen = self.accounts.number(first.account_id) if here else None
        others = len(rotation) - (chosen is not None)
        line = line_of(self._of_request(tokens))
        if others > MOST_NAMED:
            yield msgspec.structs.replace(line, account="", reason=f"{others} more accounts: {line.reason}")
        elif others:
            names = (self.accounts.name(number) for number in rotation if number != chosen)
            yield from (msgspec.structs.replace(line, account=name) for name in names)

    def _of_request(self, tokens: int) -> Candidate:
        """A usable account as a request of so many tokens finds it, with the reason for its place."""
        template = self.template
        if template.verdict == "ready" and exceeds(template.context, tokens):
            return too_long(template, tokens)
        if template.reason:
            return template
        reason = FALLBACK if template.stage == "fallback" else REST
        if template.stage in ("named", "exclusive"):
            reason = reason_alone(template.stage, template.target.provider)
        return msgspec.structs.replace(template, reason=reason)


class Section(msgspec.Struct, frozen=True):
    """A provider that takes part, with its accounts by model list. `free` marks the Gemini API."""

    provider: str
    stage: Stage
    free: bool
    parts: tuple[Part, ...]
    keyless: tuple[Considered, ...] = ()


_Ready: TypeAlias = list[tuple[Section, list[Part]]]
_Choose: TypeAlias = Callable[[_Ready, float, float], Candidate]


class Lineup:
    """What requests lead to that differ in their length and in nothing else that decides.

    It holds as long as the snapshot that it was compiled from; accounts come and go in their rotations.
    """

    def __init__(self, sections: Sequence[Section], absent: Iterable[Considered], notes: Iterable[str]) -> None:
        self._sections, self._stages = sections, [*_stages(sections)]
        self._absent, self._notes = tuple(absent), tuple(notes)

    def first(
        self, now: float, *, tokens: int, affinity: AccountId | None, random_number: float, patience: float
    ) -> Candidate | None:
        """The first choice of a plan; None if only a plan tells, because nothing is ready or something worth a wait.

        `patience` is how many seconds an account of the pool may be waited for before a fallback is asked.
        """
        passed: list[Part] = []
        for sections, choose in self._stages:
            ready = [(section, parts) for section in sections if (parts := _ready(section, now, tokens))]
            if ready:
                if any(part.accounts.next_change <= now + patience for part in passed):
                    return None
                return _affine(ready, affinity, now) or choose(ready, random_number, now)
            passed += [part for section in sections for part in section.parts]
        return None

    def plan(self, first: Candidate, query: RouteQuery, resolved: Resolved, random_number: float, now: float) -> Plan:
        """The partial plan that begins with `first`."""
        considered, unlisted = self._considered(first, query.requirements.tokens, now)
        return Plan(
            asked=query.model,
            route=resolved.route,
            steps=tuple(dict.fromkeys((*resolved.names[0].steps, *self._notes))),
            choices=(first,),
            considered=considered,
            random_number=random_number,
            replaceable=query.requirements.replaceable,
            query=query,
            unlisted=unlisted,
        )

    def _considered(self, first: Candidate, tokens: int, now: float) -> tuple[tuple[Considered, ...], int]:
        """The lines of a partial plan, and how many providers have none."""
        lines = [line_of(first)]
        for number, section in enumerate(self._sections):
            if len(lines) >= MOST_LINES:
                return tuple(lines), len(self._sections) - number + len(self._absent)
            lines += section.keyless
            for part in section.parts:
                lines += part.lines(first.target, tokens, now)
        return (*lines, *self._absent), 0


def compiled(
    resolved: Resolved, snapshot: Snapshot, query: RouteQuery, accounts_of: Callable[[str, int, str], Accounts]
) -> Lineup | None:
    """What a request leads to; None if each request must be planned, as with a chain of names.

    The snapshot has an account for each model list of a provider, named by the number of the list; `accounts_of` gives
    the accounts with that list for a model.
    """
    if len(resolved.names) > 1 or misspelt(resolved, query, snapshot):
        return None
    plain = msgspec.structs.replace(query, requirements=msgspec.structs.replace(query.requirements, tokens=0))
    (link,) = links_of(resolved, snapshot, plain)
    sections = []
    for group in link.groups:
        if (section := _section(group, link, plain, accounts_of)) is None:
            return None
        sections.append(section)
    return Lineup(sections, absent_from([link]), link.steps[len(link.name.steps) :])


def _section(
    group: Group, link: Link, query: RouteQuery, accounts_of: Callable[[str, int, str], Accounts]
) -> Section | None:
    """A provider that takes part; None if one of its accounts is none of the pool."""
    provider, parts = group.member.provider, []
    for template in group.candidates:
        target = template.target
        if not target.account.isdecimal():
            return None
        accounts = accounts_of(target.provider, int(target.account), target.model)
        parts.append(Part(group.member, query, link.name.model, template, accounts))
    keyless: tuple[Considered, ...] = ()
    if not group.member.account_states:
        keyless = (Considered(provider=provider.name, verdict="disabled", reason=missing_key(provider)),)
    return Section(provider.name, group.stage, provider.pool, tuple(parts), keyless)


def _stages(sections: Sequence[Section]) -> Iterator[tuple[list[Section], _Choose]]:
    """The sections of a name in their order, those together among which one is chosen."""
    for section in sections:
        if section.stage in ("named", "exclusive"):
            yield [section], _alone
    yield [section for section in sections if section.stage == "pool"], _pooled
    yield [section for section in sections if section.stage == "fallback"], _alone


def _ready(section: Section, now: float, tokens: int) -> list[Part]:
    return [part for part in section.parts if part.ready(now, tokens)]


def _affine(ready: _Ready, affinity: AccountId | None, now: float) -> Candidate | None:
    """The account that served the conversation last."""
    for section, parts in ready:
        if affinity is not None and section.provider == affinity[0]:
            for part in parts:
                number = part.accounts.number(affinity)
                if number is not None and number in part.accounts.rotation:
                    return part.candidate(number, AFFINE, now)
    return None


def _alone(ready: _Ready, random_number: float, now: float) -> Candidate:
    section, parts = ready[0]
    part, number = _best(parts, random_number)
    reason = FALLBACK if section.stage == "fallback" else reason_alone(section.stage, section.provider)
    return part.candidate(number, reason, now)


def _pooled(ready: _Ready, random_number: float, now: float) -> Candidate:
    """Choose a slot at random: each usable Gemini account is one, and each usable pooled provider is one."""
    free = [part for section, parts in ready if section.free for part in parts]
    paid = [parts for section, parts in ready if not section.free]
    count = sum(len(part.accounts.rotation) for part in free)
    slots = count + len(paid)
    slot = min(int(random_number * slots), slots - 1)
    if slot >= count:
        part, number = _best(paid[slot - count], random_number * slots - slot)
        return part.candidate(number, reason_at_random(slots), now)
    part, number = _best(free, slot / count)
    tier = part.accounts.rotation.rank(number)[2]
    higher = any(other > tier for each in free for other in each.accounts.rotation.tiers)
    return part.candidate(number, reason_in_turn(count, slots, lowest_tier=higher), now)


def _best(parts: Sequence[Part], random_number: float) -> tuple[Part, int]:
    """The first account of all parts; the random number decides between equals."""
    best = min(part.accounts.rotation.best for part in parts)
    equals = [part for part in parts if part.accounts.rotation.best == best]
    at = random_number * len(equals)
    part = equals[min(int(at), len(equals) - 1)]
    return part, part.accounts.rotation.first(at % 1)

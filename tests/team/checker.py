"""Finds in a history of a team what must not happen. Each check gives the faults it has found, as sentences."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import TypeVar

from tests.team.history import Answered, Asked, Called, Changed, Event, History, Known, Lost, Recorded, Spent

SETTLED = 3.0
"""Seconds after a part has come back until the others must have noticed."""
FLUSHED = 0.5
"""Seconds before a node is killed whose requests may not have reached its disk."""
WITHIN = 0.05
"""How far the load may be from the optimum."""
FEW = 5
"""Requests that it may be off besides, which counts in a short run only: those under way at its beginning and end."""
PROPER = frozenset({400, 429, 503})
"""Refusals: a budget that is spent, a limit, and no account or store that could serve now."""
_CLOCKS = 0.05
_MONEY = 1e-6

Kind = TypeVar("Kind", bound=Event)


def check(history: History) -> list[str]:
    """All faults of a history."""
    return [fault for find in CHECKS for fault in find(history)]


def every_request_has_its_answer(history: History) -> Iterator[str]:
    """A whole answer, or a proper refusal; only a node that dies takes requests along."""
    away = _away(history)
    answers = Counter(each.request for each in _all(history, Answered))
    lost = {each.request: each for each in _all(history, Lost)}
    for asked in _all(history, Asked):
        count = answers[asked.request]
        if count > 1:
            yield f"request {asked.request} has {count} answers"
        if count == 0 and asked.request not in lost:
            yield f"request {asked.request} was never answered"
    for each in lost.values():
        if each.node and not away.touches(each.at - SETTLED, each.at, part=each.node):
            yield f"request {each.request} was lost although {each.node} was there: {each.why}"


def refusals_are_proper(history: History) -> Iterator[str]:
    """With a status that tools understand, and words; when to come again unless a person has to act."""
    for each in _all(history, Answered):
        if each.status == 200:
            continue
        if each.status not in PROPER or not each.message:
            yield f"request {each.request} was refused with {each.status} {each.message!r}"
        elif each.status != 400 and not each.retry_after:
            yield f"request {each.request} was refused with {each.status} without a time to come again"


def answers_are_right(history: History) -> Iterator[str]:
    """Each says what its request asked for."""
    for each in _all(history, Answered):
        if each.status == 200 and not each.right:
            yield f"request {each.request} was answered wrongly: {each.message[:200]}"


def no_account_is_asked_while_it_cools(history: History) -> Iterator[str]:
    """Once it has refused, every node knows after one replication; without the store each learns it by itself."""
    away, delay = _away(history), history.terms.replication
    for account, calls in _by_account(history).items():
        refusal: Called | None = None
        for call in calls:
            if refusal is not None and refusal.ends is not None and call.at < refusal.ends - _CLOCKS:
                late = call.at - refusal.answered
                if late > delay and not away.touches(refusal.answered - delay, call.at):
                    left = refusal.ends - call.at
                    yield f"{account} was asked {late:.2f} s after it had refused for {left:.2f} s more"
            elif call.ends is not None:
                refusal = call


def the_load_is_shared(history: History) -> Iterator[str]:
    """As long as nothing breaks, as many are served as the accounts could: all, or all that their limits allow."""
    served, optimum = _served(history)
    if served < optimum * (1 - WITHIN) - FEW:
        yield f"{served} requests were served, of {optimum:.0f} that could be"


def share_served(history: History) -> float:
    """The part that was served of what could be as long as nothing broke."""
    served, optimum = _served(history)
    return served / optimum if optimum else 1.0


def shares_of_accounts(history: History) -> list[float]:
    """The part of its quota that each account has served as long as nothing broke. Windows begin with a call, so it may
    be more than all of it."""
    end, windows = _calm(history)
    answered = Counter(each.account for each in _all(history, Called) if each.ends is None and each.at < end)
    return [answered[account] / (quota * windows) for account, quota in history.terms.quotas.items()]


def _calm(history: History) -> tuple[float, float]:
    """The end of the time in which nothing broke, and how many windows of the quotas that was."""
    terms = history.terms
    end = min((each.at for each in _all(history, Changed)), default=terms.ended)
    return end, max(1.0, (end - terms.began) / terms.window)


def _served(history: History) -> tuple[int, float]:
    terms = history.terms
    end, windows = _calm(history)
    lost = {each.request for each in _all(history, Lost)}
    asked = {each.request for each in _all(history, Asked) if each.at < end} - lost
    refused = {each.request for each in _all(history, Answered) if each.status == 400}
    served = sum(each.status == 200 and each.request in asked for each in _all(history, Answered))
    return served, min(len(asked - refused), sum(terms.quotas.values()) * windows)


def conversations_keep_their_account(history: History) -> Iterator[str]:
    """Unless that has refused, or has nothing left, or the nodes could not tell each other."""
    away, asked = _away(history), {each.request: each for each in _all(history, Asked)}
    used_up = {account: list(_used_up(history, account, calls)) for account, calls in _by_account(history).items()}
    turns = defaultdict(list)
    for each in sorted(_all(history, Answered), key=lambda each: each.at):
        if each.status == 200 and each.account and asked[each.request].conversation:
            turns[asked[each.request].conversation].append(each)
    for name, answers in turns.items():
        for before, after in pairwise(answers):
            began = asked[before.request].at
            if before.account == after.account or away.touches(began - SETTLED, after.at):
                continue
            if not any(began <= end and begin <= after.at for begin, end in used_up.get(before.account, ())):
                yield f"conversation {name} went from {before.account} to {after.account} without a reason"


def the_ledger_has_each_request_once(history: History) -> Iterator[str]:
    """Also over deaths of nodes; only what had not reached the disk by then may be missing."""
    away, rows = _away(history), Counter(each.id for each in _all(history, Recorded))
    for name, count in rows.items():
        if count > 1:
            yield f"the ledger has {name} {count} times"
    for each in _all(history, Answered):
        if each.id and not rows[each.id] and not away.begins(each.at, each.at + FLUSHED, part=each.node):
            yield f"the ledger does not have {each.id}, request {each.request}, of {each.node}"


def budgets_hold(history: History) -> Iterator[str]:
    """What was spent exceeds none by more than one reservation; by one for each node while they were apart."""
    terms, apart = history.terms, any(_all(history, Changed))
    for key, limit in terms.budgets.items():
        spent = sum(each.money for each in _all(history, Recorded) if each.key == key)
        most = limit + terms.reservation * (len(terms.nodes) if apart else 1)
        if spent > most + _MONEY:
            yield f"the key {key} has spent {spent:.4f}, its budget of {limit:.4f} allows {most:.4f}"
        refused = [each for each in _refused_for(history, key) if each.status == 400]
        if refused and spent < limit - terms.reservation * len(terms.nodes):
            yield f"request {refused[0].request} was refused although the key {key} has spent {spent:.4f} only"


def nodes_agree_about_budgets(history: History) -> Iterator[str]:
    """At the end nothing is reserved, and every node knows the same sum."""
    for key, said in groupby(sorted(_all(history, Spent), key=lambda each: each.key), lambda each: each.key):
        found = list(said)
        amounts = [each.spent for each in found]
        if max(amounts) - min(amounts) > _MONEY:
            yield f"the nodes know different sums of the key {key}: {amounts}"
        for each in found:
            if each.reserved > _MONEY:
                yield f"{each.node} still reserves {each.reserved:.4f} of the key {key}"


def nodes_agree_about_accounts(history: History) -> Iterator[str]:
    """At the end, when all is healed, every node knows the same cooldowns."""
    ordered = sorted(_all(history, Known), key=lambda each: each.account)
    for account, said in groupby(ordered, lambda each: each.account):
        found = list(said)
        ends = [each.ends or 0.0 for each in found]
        if len({each.state for each in found}) > 1 or max(ends) - min(ends) > 1 + _CLOCKS:
            states = ", ".join(f"{each.node} says {each.state} until {each.ends}" for each in found)
            yield f"the nodes disagree about {account}: {states}"
        if len(found) != len(history.terms.nodes):
            yield f"only {len(found)} nodes know {account}"


CHECKS: tuple[Callable[[History], Iterator[str]], ...] = (
    every_request_has_its_answer,
    refusals_are_proper,
    answers_are_right,
    no_account_is_asked_while_it_cools,
    the_load_is_shared,
    conversations_keep_their_account,
    the_ledger_has_each_request_once,
    budgets_hold,
    nodes_agree_about_budgets,
    nodes_agree_about_accounts,
)


def _used_up(history: History, account: str, calls: Sequence[Called]) -> Iterator[tuple[float, float]]:
    """When an account had nothing left, or so little that each node may think that it has taken the last of it."""
    terms = history.terms
    began, used = float("-inf"), 0
    for call in calls:
        if call.ends is not None:
            yield call.at, call.ends
        elif call.at - began >= terms.window:
            began, used = call.at, 1
        else:
            used += 1
        if used >= terms.quotas[account] - len(terms.nodes):
            yield call.at, began + terms.window


class _Away:
    """When which parts were away."""

    def __init__(self, changes: Iterable[Changed]) -> None:
        self._spans: list[tuple[str, float, float]] = []
        open_: dict[str, float] = {}
        for each in sorted(changes, key=lambda each: each.at):
            if each.state == "away":
                open_.setdefault(each.part, each.at)
            elif each.part in open_:
                self._spans.append((each.part, open_.pop(each.part), each.at))
        self._spans += [(part, begin, float("inf")) for part, begin in open_.items()]

    def touches(self, begin: float, end: float, part: str = "") -> bool:
        """Whether a part, or any, was away in a span or had just come back."""
        return any(away <= end and back + SETTLED >= begin and part in ("", name) for name, away, back in self._spans)

    def begins(self, begin: float, end: float, part: str) -> bool:
        """Whether a part went away in a span."""
        return any(begin <= away <= end and name == part for name, away, _ in self._spans)


def _away(history: History) -> _Away:
    return _Away(_all(history, Changed))


def _all(history: History, kind: type[Kind]) -> list[Kind]:
    return [each for each in history.events if isinstance(each, kind)]


def _by_account(history: History) -> dict[str, list[Called]]:
    found: dict[str, list[Called]] = defaultdict(list)
    for each in sorted(_all(history, Called), key=lambda each: each.at):
        found[each.account].append(each)
    return found


def _refused_for(history: History, key: str) -> list[Answered]:
    asked = {each.request for each in _all(history, Asked) if each.key == key}
    return [each for each in _all(history, Answered) if each.request in asked]

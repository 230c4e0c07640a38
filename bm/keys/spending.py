"""What was spent, and what is reserved for requests that are running, against every budget.

A request is admitted while what was spent and what is reserved are below each of its budgets. It reserves what it may
cost at most, by an estimate, and settles what it has cost. So a budget is exceeded by one reservation at most, and by
what estimates are wrong. Money is in US dollars; all times are Unix times that are handed in.

Where several nodes share the budgets, each keeps what all of them have spent and reserved as it last heard it, beside
what it knows of itself (`bm.keys.common`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Literal, NamedTuple

from bm.config.budget import Limit, said
from bm.duration import duration
from bm.keys.period import bounds
from bm.names import MAIN_KEY

State = Literal["", "nearly", "spent"]
ScopeKind = Literal["total", "provider", "key"]

_MOST_UNREPORTED = 10_000
RESERVED_WAIT = 5
"""Seconds after which a client tries again when the rest of a budget is reserved: running requests end any moment."""
APART_WAIT = 30
"""Seconds after which it does when this node's share of a budget is used up, and the others cannot be asked."""


class Scope(NamedTuple):
    """Whose requests a budget counts: all of them, those to a provider, or those with a key."""

    kind: ScopeKind
    name: str = ""

    @property
    def remedy(self) -> str:
        """What changes a budget of this scope."""
        by_key = self.kind == "key" and self.name != MAIN_KEY
        return f"bm keys change {self.name} --budget" if by_key else "[budgets] in bm config edit"

    def __str__(self) -> str:
        return "the budget" if self.kind == "total" else f"the budget of the {self.kind} {self.name}"


class Used(NamedTuple):
    """What one service has used for a request. Money is 0 where the price is unknown."""

    provider: str
    money: float
    tokens: int


class Spent(NamedTuple):
    """What a request has used that came in at a time, with the name of its key."""

    key: str
    at: float
    used: Used


class Saved(NamedTuple):
    """What was spent of a budget in the period that began at a time."""

    scope: Scope
    unit: str
    period: str
    begin: float
    spent: float


class Budget:
    """One limit, and how far it is used in the current period."""

    def __init__(self, scope: Scope, limit: Limit, wall: float, zone: tzinfo | None) -> None:
        self.scope, self.limit, self.spent = scope, limit, 0.0
        self.since, self.before = wall, 0.0
        """When it began to count, and what of `spent` is from before."""
        self.settled = self.held = 0.0
        """What requests of this node have used in the period, and have reserved."""
        self.elsewhere = 0.0
        """What requests of other nodes have reserved, or what is left to them while the nodes are apart."""
        self.apart = 1
        """The nodes among which the rest is divided because they cannot ask each other; 1 while they can."""
        self.reported: State = ""
        self.round = 0
        """Counts the periods, so that what was reserved in an earlier one is not settled in this one."""
        self._zone = zone
        self.begin, self.end = bounds(limit.period, wall, zone)

    def advance(self, wall: float) -> None:
        """Begin anew if the period has ended. A clock that was set back ends none, so that nothing is forgotten."""
        if self.begin <= wall < self.end:
            return
        if wall >= self.end:
            self.spent = self.before = self.settled = self.held = self.elsewhere = 0.0
            self._leave_to_others(self.limit.amount)
            self.reported = ""
            self.round += 1
        self.begin, self.end = bounds(self.limit.period, wall, self._zone)

    def amount(self, used: Used) -> float:
        """What of a use it counts."""
        return used.money if self.limit.unit == "money" else used.tokens

    def use(self, amount: float) -> None:
        """A request of this node has used so much."""
        self.spent += amount
        self.settled += amount

    def divide(self, nodes: int) -> None:
        """Leave its part of the rest to each of so many nodes, which cannot ask each other any more."""
        if nodes != self.apart:
            self.apart = nodes
            self._leave_to_others(max(0.0, self.limit.amount - self.spent - self.reserved))

    def _leave_to_others(self, rest: float) -> None:
        self.elsewhere += rest * (1 - 1 / self.apart)

    @property
    def reserved(self) -> float:
        return self.held + self.elsewhere

    @property
    def is_spent(self) -> bool:
        return self.spent >= self.limit.amount

    def state(self, warn: float) -> State:
        """Whether it is spent, or `warn` of it."""
        return "spent" if self.is_spent else "nearly" if self.spent >= warn * self.limit.amount else ""

    @property
    def is_taken(self) -> bool:
        """Whether nothing is left for another request, spent or reserved."""
        return self.spent + self.reserved >= self.limit.amount


class Denial(NamedTuple):
    """Why a request may not go to a provider now, and what raises the budget.

    `retry_after` is in seconds, None if only a new period helps. `apart` means that other nodes may have some left.
    """

    message: str
    remedy: str
    counts_money: bool
    retry_after: int | None
    apart: bool = False


class Spending:
    """All budgets. `unread` are those whose period began before this run, and whose spending is still to be read."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._budgets: dict[tuple[Scope, str, str], Budget] = {}
        self._by_scope: dict[Scope, list[Budget]] = {}
        self._free: frozenset[str] = frozenset()
        self.is_shared = False
        """Whether other nodes spend from the same budgets, and a store knows what all of them have spent."""
        self.unread: list[Budget] = []
        self.journal: deque[Spent] | None = None
        """What was settled, once another daemon wants to know."""
        self.warn = 1.0
        """The part of a budget from which on it counts as nearly spent."""
        self.unpriced: dict[tuple[str, str], None] = {}
        """Models that were asked although their price is unknown."""

    def __iter__(self) -> Iterator[Budget]:
        return iter(self._budgets.values())

    def now(self, wall: float) -> Iterator[Budget]:
        """All budgets in their current periods."""
        for budget in self:
            budget.advance(wall)
            yield budget

    @property
    def active(self) -> bool:
        """Whether there is any budget."""
        return bool(self._budgets)

    @property
    def counts_money(self) -> bool:
        return any(budget.limit.unit == "money" for budget in self)

    def configure(
        self, limits: Iterable[tuple[Scope, Limit]], free: frozenset[str], wall: float, *, warn: float = 0.8
    ) -> None:
        """Use these budgets from now on. What was spent stays with those that count the same.

        Of several for the same scope, unit and period the lowest counts. Requests to `free` providers cost no money.
        """
        self._free, self.warn = free, warn
        before, self._budgets, self._by_scope = self._budgets, {}, {}
        for scope, limit in limits:
            place = scope, limit.unit, limit.period
            known = self._budgets.get(place)
            if known is not None:
                known.limit = min(known.limit, limit, key=lambda each: each.amount)
                continue
            budget = before.get(place)
            if budget is None:
                budget = Budget(scope, limit, wall, self._zone)
                self.unread.append(budget)
            budget.limit, budget.reported = limit, ""
            self._budgets[place] = budget
            self._by_scope.setdefault(scope, []).append(budget)
        self.unread = [budget for budget in self.unread if budget in self._budgets.values()]

    def denial(self, key: str, provider: str, wall: float) -> Denial | None:
        """Why a request may not go to this provider now; None if it may."""
        found = [budget for budget in self._of(key, provider, wall) if budget.is_taken]
        if not found:
            return None
        worst = max(found, key=lambda budget: (budget.is_spent, budget.end))
        apart = not worst.is_spent and worst.apart > 1
        wait = None if worst.is_spent else APART_WAIT if apart else RESERVED_WAIT
        return Denial(words(worst, wall), worst.scope.remedy, worst.limit.unit == "money", wait, apart)

    def _of(self, key: str, provider: str, wall: float) -> Iterator[Budget]:
        """The budgets that count a request with this key to this provider, in their current period."""
        for scope in (Scope("total"), Scope("provider", provider), Scope("key", key)):
            for budget in self._by_scope.get(scope, ()):
                if budget.limit.unit == "tokens" or provider not in self._free:
                    budget.advance(wall)
                    yield budget

    def concerned(self, key: str, wall: float) -> Iterator[Budget]:
        """The budgets that may count a request with this key."""
        for budget in self.now(wall):
            if budget.scope.kind != "key" or budget.scope.name == key:
                yield budget

    def restore(self, budget: Budget, rows: Iterable[tuple[str, Used]]) -> None:
        """Count on one budget what requests with these keys have used in its current period.

        If it is shared, its store may have counted the same, and more.
        """
        found = 0.0
        for key, used in rows:
            scope = budget.scope
            counts = scope.kind == "total" or scope.name == (key if scope.kind == "key" else used.provider)
            if counts and (budget.limit.unit == "tokens" or used.provider not in self._free):
                found += budget.amount(used)
        budget.spent = max(budget.spent, found) if self.is_shared else budget.spent + found - budget.before
        budget.before = found

    def saved(self, wall: float) -> list[Saved]:
        """What was spent in the current periods, for a run that cannot read it from the ledger."""
        spent = [budget for budget in self.now(wall) if budget.spent]
        return [Saved(each.scope, each.limit.unit, each.limit.period, each.begin, each.spent) for each in spent]

    def recall(self, saved: Iterable[Saved]) -> None:
        """Begin with what an earlier run has saved."""
        for each in saved:
            budget = self._budgets.get((each.scope, each.unit, each.period))
            if budget is not None and round(budget.begin) == round(each.begin):
                budget.spent += each.spent
                budget.before += each.spent

    def hold(self, key: str) -> Hold:
        """What a request with this key reserves and settles."""
        return Hold(self, key)

    def count(self, spent: Iterable[Spent], wall: float) -> None:
        """Count what requests have used that another daemon has served, in the current periods."""
        for each in spent:
            for budget in self._of(each.key, each.used.provider, wall):
                if each.at >= budget.begin:
                    budget.use(budget.amount(each.used))

    def take_journal(self) -> tuple[Spent, ...]:
        """What was settled since the last time, if that was asked for before; nothing that a store counts."""
        if self.is_shared:
            return ()
        found, self.journal = tuple(self.journal or ()), deque(maxlen=_MOST_UNREPORTED)
        return found

    def news(self, budget: Budget, wall: float) -> list[str]:
        """What to tell of a budget: once in a period that it is nearly spent, and once that it is."""
        state = budget.state(self.warn)
        if state in ("", budget.reported):
            return []
        budget.reported = state
        if state == "spent":
            return [words(budget, wall)]
        share = f"{budget.spent / budget.limit.amount:.0%} of {budget.scope}, {budget.limit},"
        return [f"{share} is spent: it begins anew {when(budget, wall)}"]


class Hold:
    """The reservation of one request. It reserves once for each provider that it goes to."""

    def __init__(self, spending: Spending, key: str) -> None:
        self._spending, self._key = spending, key
        self._held: list[tuple[Budget, int, float]] = []
        self.providers: set[str] = set()

    def concerned(self, wall: float) -> Iterator[Budget]:
        """The budgets that may count the request, whichever provider it goes to."""
        return self._spending.concerned(self._key, wall)

    def wants(self, most: Used, wall: float) -> list[tuple[Budget, float]]:
        """What to reserve for a provider that may use so much at most, on which budgets; nothing the second time."""
        if most.provider in self.providers:
            return []
        return [(budget, budget.amount(most)) for budget in self._spending._of(self._key, most.provider, wall)]

    def take(self, provider: str, amounts: Iterable[tuple[Budget, float]]) -> None:
        """Hold what `wants` has named for a provider."""
        self.providers.add(provider)
        for budget, amount in amounts:
            budget.held += amount
            self._held.append((budget, budget.round, amount))

    def reserve(self, most: Used, wall: float) -> None:
        """Reserve what a provider may use at most, in one step."""
        self.take(most.provider, self.wants(most, wall))

    def settle(self, used: Iterable[Used], wall: float, at: float = 0.0) -> list[str]:
        """Release what is reserved and count what was used instead, in the period in which that was reserved.

        `at` is when the request came in.

        Returns what to tell of budgets that are newly spent, or nearly.
        """
        rounds = {id(budget): number for budget, number, _ in self._held}
        for budget, number, amount in self._held:
            if budget.round == number:
                left = budget.held - amount
                # What rounding leaves is nothing.
                budget.held = left if left > 1e-9 else 0.0
        self._held.clear()
        news = []
        for each in used:
            if self._spending.journal is not None:
                self._spending.journal.append(Spent(self._key, at, each))
            for budget in self._spending._of(self._key, each.provider, wall):
                if rounds.get(id(budget), budget.round) == budget.round:
                    budget.use(budget.amount(each))
                    news += self._spending.news(budget, wall)
        return news


def words(budget: Budget, wall: float) -> str:
    """That nothing is left of a budget, and until when."""
    limit = f"{budget.scope}, {budget.limit},"
    if not budget.is_spent and budget.apart > 1:
        share = f"this node's share of {limit} is used up or reserved"
        return f"{share}, and the store by which the nodes share it is away: try again in {APART_WAIT} s"
    if not budget.is_spent:
        return f"the rest of {limit} is reserved by requests that are running: try again in {RESERVED_WAIT} s"
    return f"{limit} is spent ({said(budget.spent, budget.limit.unit)}): it begins anew {when(budget, wall)}"


def when(budget: Budget, wall: float) -> str:
    """The end of the current period: `at 00:00 on 1 December (in 3 h 20 min)`."""
    at = datetime.fromtimestamp(budget.end, budget._zone)
    return f"at {at:%H:%M} on {at.day} {at:%B} (in {duration(max(1.0, budget.end - wall))})"

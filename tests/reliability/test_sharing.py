"""Accounts, pool, plan and attempts together, in simulated time.

Load is shared, and no account is asked before its cooldown ends.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bm.accounts.pool import Lease, Pool
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt, request_at_fault, still_cooling_down
from bm.dispatch.outcome import Outcome
from bm.dispatch.plan import plan
from bm.dispatch.snapshot import Limits, Member, RouteQuery, Snapshot
from bm.dispatch.target import Target
from bm.errors import Failure
from tests.accounts.build import NOON, credential
from tests.dispatch.transcript import attempts
from tests.dispatch.world import MODEL, gemini

LATENCY = 0.3
"""Seconds until an account refuses."""
ANSWER = 2.0
"""Seconds until it answers, at most."""
PROVIDER = gemini().provider


@dataclass
class Upstream:
    """Accounts that each allow so many requests a minute and say how long to wait for more."""

    quotas: dict[str, int]
    served: Counter[str] = field(default_factory=Counter)
    asked: dict[str, list[float]] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    minute: Counter[tuple[str, int]] = field(default_factory=Counter)

    def ask(self, account: str, now: float) -> Failure | None:
        """Answer a request that arrives now."""
        self.asked.setdefault(account, []).append(now)
        window = account, int(now // 60)
        if self.minute[window] < self.quotas[account]:
            self.minute[window] += 1
            self.served[account] += 1
            return None
        return Failure(kind="rate_limited", message="quota", retry_after=60 - now % 60)


class World:
    """Requests that come and go in simulated time, each as the daemon would drive it."""

    def __init__(self, quotas: dict[str, int], limits: Limits, seed: int) -> None:
        self.upstream, self.limits, self.rng = Upstream(quotas), limits, random.Random(seed)
        self.pool = Pool(credential(name) for name in quotas)
        self.now = 0.0
        self.answered = self.refused = 0
        self.early: list[tuple[str, float]] = []
        self.denied: list[tuple[str, float]] = []
        self._events: list[tuple[float, int, Generator[float, None, None]]] = []
        self._numbers = itertools.count()

    def run(self, arrivals: list[float]) -> None:
        """Serve requests that come at these moments, to the last."""
        for at in arrivals:
            self._at(at, self._request())
        while self._events:
            self.now, _, request = heapq.heappop(self._events)
            pause = next(request, None)
            if pause is not None:
                self._at(self.now + pause, request)

    def _at(self, moment: float, request: Generator[float, None, None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), request))

    def _request(self) -> Generator[float, None, None]:
        """One request; it yields the seconds until it goes on."""
        snapshot = Snapshot(members=(Member(provider=PROVIDER, accounts=self.pool.states(self.now)["gemini"]),))
        query = RouteQuery(model=MODEL, protocol="gemini")
        steps = attempts(plan(snapshot, query, random_number=self.rng.random()), self.limits)
        leases: list[Lease] = []
        transcript: list[tuple[Attempt, Outcome]] = []
        try:
            attempt = next(steps)
            while True:
                if attempt.wait:
                    yield attempt.wait
                if not attempt.repeat and (seconds := self.pool.cooldown_left(attempt.target, self.now)):
                    attempt = steps.send(still_cooling_down(seconds))
                    continue
                lease, failure = self._send(attempt.target)
                leases.append(lease)
                yield LATENCY if failure else self.rng.uniform(0.1, ANSWER)
                outcome = self._settled(lease, failure)
                transcript.append((attempt, outcome))
                attempt = steps.send(outcome)
        except StopIteration as end:
            for innocent in request_at_fault(transcript):
                self.pool.roll_back(
                    receipt for lease in leases if lease.target == innocent for receipt in lease.receipts
                )
                self.upstream.ends.pop(innocent.account, None)
            self.answered += end.value is None
            self.refused += end.value is not None
            if end.value is not None and len(transcript) < self.limits.max_attempts:
                self.denied += [(name, self.now) for name in self.upstream.quotas if self._can_serve(name)]

    def _can_serve(self, account: str) -> bool:
        """Whether an account has quota left, and no word of its own says that it has none."""
        cooling = self.pool.cooldown_left(Target("gemini", account, MODEL, "gemini"), self.now)
        return not cooling and self.upstream.minute[account, int(self.now // 60)] < self.upstream.quotas[account]

    def _send(self, target: Target) -> tuple[Lease, Failure | None]:
        if self.now < self.upstream.ends.get(target.account, 0.0) - 1e-6:
            self.early.append((target.account, self.now))
        lease = self.pool.begin(target, now=self.now, wall=NOON + self.now)
        return lease, self.upstream.ask(target.account, self.now)

    def _settled(self, lease: Lease, failure: Failure | None) -> Outcome:
        lease.end()
        outcome = msgspec.structs.replace(classify(failure), elapsed=self.now - lease.sent)
        outcome = lease.settle(outcome, now=self.now, wall=NOON + self.now, jitter=self.rng.random())
        if outcome.cooldown:
            self.upstream.ends[lease.target.account] = self.now + outcome.cooldown
        return outcome


def steady(rate: float, minutes: int, rng: random.Random) -> list[float]:
    """Moments at which requests come."""
    moments, now = [], 0.0
    while now < minutes * 60:
        moments.append(now)
        now += rng.expovariate(rate)
    return moments


@pytest.mark.parametrize("accounts", [1, 2, 5, 10, 20])
def test_unequal_quotas_are_used_to_within_5_percent_of_the_optimum(accounts: int) -> None:
    quotas = {f"a{number}": 5 * (number % 6 + 2) for number in range(accounts)}
    world = World(quotas, Limits(max_wait=0), seed=accounts)
    world.run(steady(sum(quotas.values()) / 60 * 2, 4, random.Random(accounts)))
    assert sum(world.upstream.served.values()) >= 0.95 * 4 * sum(quotas.values())
    assert not world.early
    assert not world.denied


@pytest.mark.parametrize("accounts", [1, 3, 20])
def test_requests_that_wait_lose_nothing_either(accounts: int) -> None:
    quotas = {f"a{number}": 4 * (number % 5 + 1) for number in range(accounts)}
    world = World(quotas, Limits(max_wait=60), seed=accounts)
    world.run(steady(sum(quotas.values()) / 60 * 1.2, 4, random.Random(accounts)))
    assert sum(world.upstream.served.values()) >= 0.95 * 4 * sum(quotas.values())
    assert not world.early
    assert not world.denied


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=20),
    st.sampled_from([0.0, 10.0, 30.0]),
    st.floats(0.2, 3.0),
    st.integers(0, 2**16),
)
@settings(max_examples=15)
def test_no_account_is_asked_before_its_cooldown_ends_and_no_request_refused_while_one_has_quota_left(
    sizes: list[int], max_wait: float, pressure: float, seed: int
) -> None:
    quotas = {f"a{number}": size for number, size in enumerate(sizes)}
    world = World(quotas, Limits(max_wait=max_wait), seed)
    rate = min(4.0, max(0.2, sum(sizes) / 60 * pressure))
    world.run(steady(rate, 2, random.Random(seed)))
    assert not world.early
    assert not world.denied


def waiting(quotas: dict[str, int], clients: int) -> Upstream:
    """Accounts that are used up at 30 s, clients that come soon after and wait for the next minute."""
    world = World(quotas, Limits(max_wait=60), seed=3)
    world.run([*(30 + number / 50 for number in range(sum(quotas.values()))), *(36 + n / 100 for n in range(clients))])
    assert not world.early and not world.denied
    return world.upstream


def at_once(upstream: Upstream, account: str) -> int:
    """How many came within the time of the first refusal after the minute."""
    moments = [moment for moment in upstream.asked[account] if moment >= 60]
    return sum(moment < moments[0] + LATENCY for moment in moments)


def test_those_who_wait_for_one_account_do_not_all_come_at_once() -> None:
    assert at_once(waiting({"a": 1}, 100), "a") <= 20


def test_those_who_wait_share_the_accounts_that_recover_together() -> None:
    quotas = {f"a{number}": 4 for number in range(8)}
    upstream = waiting(quotas, 60)
    assert all(at_once(upstream, account) <= quotas[account] for account in quotas)
    asked = sum(moment >= 60 for moments in upstream.asked.values() for moment in moments)
    assert asked <= 60, "hardly any of them asks in vain"

"""The pool and the plan together, in simulated time: which accounts are asked, and none during its cooldown."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bm.accounts.pool import Pool
from bm.config.schema import Config
from bm.dispatch.classify import classify
from bm.dispatch.plan import plan
from bm.dispatch.snapshot import Member, RouteQuery, Snapshot
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.providers.provider import effective
from tests.accounts.build import NOON, credential

MODEL = "gemini-3.8-flash"
GEMINI = effective(Config())[0]


class Upstream:
    """Accounts that each allow so many requests a minute, and say (or do not say) how long to wait."""

    def __init__(self, quotas: dict[str, int], *, tells: bool) -> None:
        self.quotas, self.tells = quotas, tells
        self.served: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._minute: Counter[tuple[str, int]] = Counter()

    def ask(self, account: str, now: float) -> Failure | None:
        window = account, int(now // 60)
        if self._minute[window] < self.quotas[account]:
            self._minute[window] += 1
            self.served[account] += 1
            return None
        self.refused[account] += 1
        return Failure(kind="rate_limited", message="quota", retry_after=60 - now % 60 if self.tells else None)


def choices(pool: Pool, now: float, random_number: float) -> tuple[Target, ...]:
    snapshot = Snapshot(members=(Member(provider=GEMINI, accounts=pool.states(now)["gemini"]),))
    return plan(snapshot, RouteQuery(model=MODEL, protocol="gemini"), random_number=random_number).targets


def minutes(pool: Pool, upstream: Upstream, *, count: int, rate: float, rng: random.Random) -> int:
    """Requests at a steady rate, each going through its plan until it is answered. Gives how many were."""
    answered, ends = 0, dict.fromkeys(upstream.quotas, 0.0)
    for number in range(int(count * 60 * rate)):
        now = number / rate
        for target in choices(pool, now, rng.random()):
            assert now >= ends[target.account] - 1e-6, f"{target} was asked during its cooldown"
            failure = upstream.ask(target.account, now)
            lease = pool.begin(target, now=now, wall=NOON + now)
            lease.end()
            receipt = lease.apply(classify(failure).account, now=now, wall=NOON + now, jitter=rng.random())
            ends[target.account] = now + receipt.seconds
            if failure is None:
                answered += 1
                break
    return answered


@pytest.mark.parametrize("accounts", [1, 2, 5, 20])
def test_accounts_without_limits_are_asked_equally_often(accounts: int) -> None:
    names = [f"a{number}" for number in range(accounts)]
    upstream = Upstream(dict.fromkeys(names, 10_000), tells=True)
    pool = Pool(credential(name) for name in names)
    minutes(pool, upstream, count=2, rate=5, rng=random.Random(1))
    assert max(upstream.served.values()) - min(upstream.served.values()) <= 1


def test_accounts_are_asked_in_proportion_to_their_weights() -> None:
    weights = {"a": 1, "b": 3, "c": 2}
    upstream = Upstream(dict.fromkeys(weights, 10_000), tells=True)
    pool = Pool(credential(name, weight=weight) for name, weight in weights.items())
    minutes(pool, upstream, count=2, rate=5, rng=random.Random(1))
    assert upstream.served == {"a": 100, "b": 300, "c": 200}


def test_requests_at_once_go_to_accounts_in_proportion_to_their_weights() -> None:
    pool = Pool([credential("a"), credential("b", weight=3)])
    asked = Counter(
        pool.begin(choices(pool, number / 100, 0.5)[0], now=number / 100, wall=NOON).target.account
        for number in range(40)
    )
    assert asked == {"a": 10, "b": 30}


def test_without_a_delay_from_the_upstream_refusals_stay_few() -> None:
    quotas = {"a": 10, "b": 30}
    upstream = Upstream(quotas, tells=False)
    pool = Pool(credential(name) for name in quotas)
    answered = minutes(pool, upstream, count=5, rate=2, rng=random.Random(3))
    assert answered >= 0.95 * 5 * sum(quotas.values())
    assert max(upstream.refused.values()) <= 5 * 6

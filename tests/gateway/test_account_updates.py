"""What the attempts of a call change in the state of accounts."""

from __future__ import annotations

import time
from typing import Any

import pytest

from bm.accounts.pool import Pool
from bm.dispatch.classify import classify
from bm.dispatch.failover import Attempt
from bm.dispatch.outcome import Outcome
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.account_updates import AccountUpdates
from bm.gateway.record import AttemptRecord, Record
from tests.accounts.build import credential, target

LIMITED = Failure(kind="rate_limited", message="slow down", retry_after=20.0)
NEVER = float("-inf")


class Updates:
    """The updates of a call to a pool of two accounts."""

    def __init__(self, pool: Pool | None = None, *, body: bytes = b"{}", **fields: Any) -> None:
        self.pool = pool or Pool([credential("a"), credential("b")])
        given: dict[str, Any] = {"id": "req_1", "at": 0.0, "protocol": "anthropic", "model": "m", "stream": False}
        self.record = Record(**(given | fields))
        self.updates = AccountUpdates(self.pool, self.record, body)
        self.transcript: list[tuple[Attempt, Outcome]] = []

    def attempt(self, at: Target, failure: Failure | None, *, disturbed: float = NEVER) -> AttemptRecord:
        """One attempt from its beginning to its entry."""
        entry = AttemptRecord(target=at, reason="first")
        self.record.attempts.append(entry)
        lease = self.updates.begin(at)
        lease.end()
        outcome = self.updates.settle(lease, entry, classify(failure), disturbed=disturbed)
        self.transcript.append((Attempt(target=at), outcome))
        return entry


def test_an_answer_starts_no_cooldown() -> None:
    call = Updates()
    entry = call.attempt(target("a"), None)
    assert (entry.outcome, entry.effect, entry.cooldown) == ("answered", "", 0.0)
    assert call.updates.cooldown_left(target("a")) == 0.0


def test_a_refusal_is_recorded_with_its_message_and_cooldown() -> None:
    call = Updates()
    entry = call.attempt(target("a"), LIMITED)
    assert (entry.outcome, entry.message, entry.effect) == ("rate_limited", "slow down", "cooldown")
    assert 15 < entry.cooldown <= 20
    assert call.updates.cooldown_left(target("a")) > 15 and call.updates.cooldown_left(target("b")) == 0.0


def test_a_connection_broken_by_sleep_has_no_effect_on_the_account() -> None:
    call = Updates()
    broken = Failure(kind="connection", message="closed", code="reset")
    assert call.attempt(target("a"), broken, disturbed=time.monotonic() + 60).effect == ""
    assert call.attempt(target("b"), broken).effect == "fault"


def test_a_call_that_working_accounts_refuse_leaves_no_cooldown() -> None:
    call = Updates()
    for name in ("a", "b"):
        lease = call.updates.begin(target(name))
        Updates(call.pool, body=b'{"other": 1}').attempt(target(name), None)
        entry = AttemptRecord(target=target(name), reason="first")
        call.record.attempts.append(entry)
        outcome = call.updates.settle(lease, entry, classify(LIMITED), disturbed=NEVER)
        call.transcript.append((Attempt(target=target(name)), outcome))
    assert all(outcome.answers_others for _, outcome in call.transcript)
    call.updates.roll_back(call.transcript)
    assert [entry.effect for entry in call.record.attempts] == ["cooldown, rolled back"] * 2
    assert all(call.updates.cooldown_left(target(name)) == 0.0 for name in ("a", "b"))


def test_a_refusal_that_names_a_used_up_limit_is_not_the_calls_fault() -> None:
    call = Updates()
    spent = {"x-ratelimit-limit-requests": "30", "x-ratelimit-remaining-requests": "0"}
    lease = call.updates.begin(target("a"))
    Updates(call.pool, body=b'{"other": 1}').attempt(target("a"), None)
    call.updates.refused(lease, LIMITED, spent, b"{}")
    entry = AttemptRecord(target=target("a"), reason="first")
    assert not call.updates.settle(lease, entry, classify(LIMITED), disturbed=NEVER).answers_others


@pytest.mark.parametrize(("left", "cooling"), [("0", True), ("1", False)])
def test_an_account_cools_down_once_an_answer_reports_a_used_up_limit(left: str, cooling: bool) -> None:
    call = Updates()
    headers = [
        ("content-type", "text/event-stream"),
        ("anthropic-ratelimit-requests-limit", "50"),
        ("anthropic-ratelimit-requests-remaining", left),
        ("anthropic-ratelimit-requests-reset", "2026-04-01T19:00:30Z"),
        ("date", "Wed, 01 Apr 2026 19:00:00 GMT"),
    ]
    call.updates.limits_reported(call.updates.begin(target("a")), headers)
    assert (call.updates.cooldown_left(target("a")) > 20) is cooling


def test_only_generation_counts_towards_limits() -> None:
    def used(operation: str) -> int:
        call = Updates(operation=operation)
        call.updates.count_tokens(call.updates.begin(target("a")), 500)
        gauges = call.pool.runtimes["gemini", "a"].meter.gauges(time.monotonic())
        return sum(gauge.used for gauge in gauges if gauge.unit == "requests" and gauge.window == "minute")

    assert (used("generate"), used("count_tokens")) == (1, 0)

"""Applies a call's outcomes to account state, and reverts them if the call was at fault."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping

import msgspec

from bm.accounts.google import NO_TOKEN
from bm.accounts.pool import Lease, Pool
from bm.dispatch.failover import NO_ANSWER, Transcript, network_at_fault, refused_alike, request_at_fault
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.refusal import LIMIT_FAILURES
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.record import AttemptRecord, Record
from bm.protocols.limits import Allowance, allowances_in_body, allowances_in_headers, names_limits, used_up
from bm.upstream.client import NO_DESCRIPTOR
from bm.upstream.headers import Headers

_BROKEN = NO_ANSWER | {"truncated"}
_ANSWERED = AccountEffect("answered")
_PATIENCE = 0.15
"""Seconds that a request waits for the store, which says whether another node probes."""


class AccountUpdates:
    """One call's changes to the pool. `body` is what goes upstream: a call that is repeated has the same.

    Each attempt has the `Lease` of its account that `begin` returns; several may be under way.
    """

    def __init__(self, pool: Pool, record: Record, body: bytes) -> None:
        self._pool, self._record, self._body = pool, record, body
        self._fingerprint = hash(body)
        self._leases: list[Lease] = []
        self._at_limit: set[Target] = set()
        self._at_limit_before: set[Target] = set()
        self._patience = _PATIENCE

    def cooldown_left(self, target: Target) -> float:
        """Seconds until the target may be asked."""
        metered = self._record.operation == "generate"
        return self._pool.cooldown_left(target, time.monotonic(), self._fingerprint, metered=metered)

    async def cooldown_once_known(self, target: Target) -> float:
        """The same, once it is known whether another node probes the target; all targets together wait `_PATIENCE`."""
        if self._pool.probes is not None and (patience := self._patience) > 0:
            began = time.monotonic()
            await self._pool.probes.decided(patience)
            self._patience -= time.monotonic() - began
        return self.cooldown_left(target)

    def overloaded(self, target: Target) -> bool:
        """Whether the target is cooling down because of overload rather than a limit."""
        return self._pool.overloaded(target, time.monotonic())

    def was_silent(self, target: Target) -> bool:
        """Whether the target gave no sign of life when it was asked last."""
        runtime = self._pool.runtimes.get(target.account_id)
        return runtime is not None and target.model in runtime.silent

    def note_silence(self, lease: Lease) -> None:
        """The target gave no sign of life, and another has answered. That is no fault, but next time bm waits less."""
        lease.runtime.silent.add(lease.target.model)

    def begin(self, target: Target) -> Lease:
        """Record that a request is sent. `Lease.end` must follow, whatever happens."""
        metered = self._record.operation == "generate"
        now, wall = time.monotonic(), time.time()
        lease = self._pool.begin(target, now=now, wall=wall, metered=metered, fingerprint=self._fingerprint)
        self._leases.append(lease)
        return lease

    def answered(self, lease: Lease) -> None:
        """A response has come so far without a failure: the account works."""
        lease.apply(_ANSWERED, now=time.monotonic(), wall=time.time())

    def limits_reported(self, lease: Lease, headers: Headers) -> None:
        """Apply the limits in an answer's headers. One that is used up starts a cooldown at once."""
        named = dict(headers)
        if not names_limits(named):
            return
        wall = time.time()
        self._learn(lease, allowances_in_headers(named, wall, lease.target.provider))
        if wait := used_up(named, wall):
            effect = AccountEffect("proactive", wait, "its limit is used up")
            lease.apply(effect, now=time.monotonic(), wall=wall)

    def refused(self, lease: Lease, failure: Failure, headers: Mapping[str, str], body: bytes) -> None:
        """Apply the limits that a refusal names. One that is used up was not used up by this request alone."""
        if failure.kind not in LIMIT_FAILURES:
            return
        allowances = allowances_in_body(body, failure.retry_after)
        allowances = allowances or allowances_in_headers(headers, time.time(), lease.target.provider)
        self._learn(lease, allowances)
        size = len(self._body)
        spent = [each for each in allowances if each.is_spent(size)]
        if spent:
            self._at_limit.add(lease.target)
        if any(each.is_hardly_touched(size) for each in spent):
            self._at_limit_before.add(lease.target)

    def _learn(self, lease: Lease, allowances: Iterable[Allowance]) -> None:
        now, wall = time.monotonic(), time.time()
        for each in allowances:
            gauge = lease.target.model, each.window, each.unit
            lease.runtime.meter.learn(gauge, each.limit, left=each.left, resets=each.resets, now=now, wall=wall)

    def count_tokens(self, lease: Lease, tokens: int) -> None:
        """The model has read this many tokens."""
        lease.runtime.meter.count(lease.target.model, tokens, "tokens", now=time.monotonic(), wall=time.time())

    def settle(self, lease: Lease, entry: AttemptRecord, outcome: Outcome, *, disturbed: float) -> Outcome:
        """Apply the outcome of an attempt to its account, and add to it what only the pool knows.

        A broken connection does not count against the account if the machine slept or lost its network meanwhile, or
        has no descriptors left; `disturbed` is when the former happened last.
        """
        failure, effect = outcome.failure, outcome.account
        now, wall, jitter = time.monotonic(), time.time(), random.random()
        outcome = msgspec.structs.replace(outcome, elapsed=entry.took)
        if failure is None:
            entry.outcome = "answered"
            return lease.settle(outcome, now=now, wall=wall)
        if failure.kind in _BROKEN and (lease.sent < disturbed or failure.code == NO_DESCRIPTOR):
            effect = AccountEffect()
        message = self._record.redact(failure.message, self._body)
        effect = msgspec.structs.replace(effect, reason=message if effect.reason else "")
        outcome = lease.settle(msgspec.structs.replace(outcome, account=effect), now=now, wall=wall, jitter=jitter)
        if effect.kind == "none" and failure.code == NO_TOKEN:
            lease.runtime.note_error(message)
        entry.outcome, entry.message, entry.cooldown = failure.kind, message, outcome.cooldown or 0.0
        entry.effect = "" if effect.kind in ("none", "answered") else effect.kind
        others = outcome.answers_others and entry.target not in self._at_limit
        return msgspec.structs.replace(outcome, answers_others=others)

    def suspect(self, transcript: Transcript) -> None:
        """Report accounts that have refused the request alike, since the request itself may be the cause.

        A refusal that names a used-up limit is not the request's fault, unless the request is a large part of it.
        """
        for group in refused_alike([step for step in transcript if step[0].target not in self._at_limit_before]):
            self._pool.suspect([lease for lease in self._leases if lease.target in group], now=time.monotonic())

    def roll_back(self, transcript: Transcript) -> None:
        """The call is over: undo the effects that the request itself or the network has caused."""
        if all(outcome.failure is None for _, outcome in transcript):
            return
        if not (innocent := request_at_fault(transcript) or network_at_fault(transcript)):
            return
        leases = [lease for lease in self._leases if lease.target in innocent]
        self._pool.roll_back(receipt for lease in leases for receipt in lease.receipts)
        for entry in self._record.attempts:
            if entry.target in innocent and entry.effect:
                entry.effect, entry.cooldown = f"{entry.effect}, rolled back", 0.0

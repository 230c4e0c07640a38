"""What one call's attempts mean for the accounts: entered, learnt from, taken back where the call was the cause."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Mapping

import msgspec

from bm.accounts.google import NO_TOKEN
from bm.accounts.pool import Pool, Receipt
from bm.dispatch.failover import ABSENT, Transcript, out_of_reach, poisoned, refused_alike
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.refusal import LIMITS
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.gateway.record import AttemptRecord, Record
from bm.protocols.allowances import Allowance, in_body, in_headers
from bm.protocols.rate_limits import used_up
from bm.upstream.headers import Headers

_BROKEN = ABSENT | {"truncated"}
_ANSWERED = AccountEffect("answered")


class Books:
    """One call's bookings in the pool. `body` is all that goes upstream; a call that is repeated has the same."""

    def __init__(self, pool: Pool, record: Record, body: bytes) -> None:
        self._pool, self._record, self._body = pool, record, body
        self._asking = hash(body)
        self._marks: dict[Target, list[Receipt]] = {}
        self._spent: set[Target] = set()
        self._believed: set[Target] = set()
        self._sent = 0.0

    def rest(self, target: Target) -> float:
        """Seconds for which the target is not to be asked."""
        return self._pool.rest(target, time.monotonic(), self._asking)

    def overloaded(self, target: Target) -> bool:
        """Whether it rests because it was overloaded, and for no limit."""
        return self._pool.overloaded(target, time.monotonic())

    def begin(self, target: Target) -> float:
        """A request goes out, at the moment given back. `end` must follow, whatever comes of it."""
        self._sent = time.monotonic()
        metered = self._record.operation == "generate"
        self._pool.begin(target, now=self._sent, wall=time.time(), metered=metered, asking=self._asking)
        return self._sent

    def end(self, target: Target) -> None:
        """The request is over: answered, failed, or its client gone."""
        self._pool.done(target)

    def answered(self, target: Target) -> None:
        """The first content is here: the account works, however long the rest takes."""
        self._book(target, _ANSWERED)

    def _book(self, target: Target, effect: AccountEffect) -> Receipt:
        now, wall, roll = time.monotonic(), time.time(), random.random()
        return self._pool.book(target, effect, now=now, wall=wall, roll=roll, sent=self._sent, asking=self._asking)

    def enter(self, entry: AttemptRecord, outcome: Outcome, *, disturbed: float) -> Outcome:
        """Enter what came of an attempt; add to it what only the pool knows.

        What broke off is not held against an account if the machine slept or lost its network meanwhile: `disturbed` is
        when it did so last.
        """
        target, failure, effect = entry.target, outcome.failure, outcome.account
        if failure is None:
            self._book(target, effect)
            entry.outcome = "answered"
            return msgspec.structs.replace(outcome, elapsed=entry.took)
        if self._sent < disturbed and failure.kind in _BROKEN:
            effect = AccountEffect()
        words = self._record.redact(failure.message, self._body)
        mark = self._book(target, msgspec.structs.replace(effect, reason=words if effect.reason else ""))
        self._marks.setdefault(target, []).append(mark)
        if effect.kind == "none" and failure.code == NO_TOKEN:
            self._pool.note(target.account_id, words)
        entry.outcome, entry.message, entry.rests = failure.kind, words, mark.seconds
        entry.booked = "" if effect.kind in ("none", "answered") else effect.kind
        return msgspec.structs.replace(
            outcome,
            cooldown=mark.seconds if mark.id else None,
            elapsed=entry.took,
            answers_others=target not in self._spent and self._pool.answered_since(target, self._sent),
            worked_lately=self._pool.worked_lately(target, time.monotonic()),
        )

    def suspect(self, transcript: Transcript) -> None:
        """Several accounts have refused the request alike: that may be its own fault.

        Not where they named a limit that is used up, which is no request's fault. A large one may leave tokens enough
        for others, though.
        """
        for group in refused_alike([step for step in transcript if step[0].target not in self._believed]):
            marks = {target: self._marks.get(target, []) for target in group}
            self._pool.suspect(marks, now=time.monotonic(), asking=self._asking)

    def acquit(self, transcript: Transcript) -> None:
        """The call is over: take out of the accounts' books what the request or the network has put there."""
        if not self._marks or not (innocent := poisoned(transcript) or out_of_reach(transcript)):
            return
        self._pool.roll_back(mark for target in innocent for mark in self._marks.get(target, ()))
        for entry in self._record.attempts:
            if entry.target in innocent and entry.booked:
                entry.booked, entry.rests = f"{entry.booked}, rolled back", 0.0

    def pace(self, target: Target, headers: Headers) -> None:
        """Let an account rest that has just used up its limit: the next request need not be refused first."""
        told = dict(headers)
        if not any("ratelimit" in name for name in told):
            return
        wall = time.time()
        self._learn(target, in_headers(told, wall, target.provider))
        if wait := used_up(told, wall):
            effect = AccountEffect("paced", wait, "its limit is used up")
            self._pool.book(target, effect, now=time.monotonic(), wall=wall, roll=0.0)

    def refused(self, target: Target, failure: Failure, headers: Mapping[str, str], body: bytes) -> None:
        """Learn which limit a refusal names; one that is used up was not spent by this request alone."""
        if failure.kind not in LIMITS:
            return
        told = in_body(body, failure.retry_after) or in_headers(headers, time.time(), target.provider)
        self._learn(target, told)
        size = len(self._body)
        spent = [each for each in told if each.is_spent(size)]
        if spent:
            self._spent.add(target)
        if any(each.is_hardly_touched(size) for each in spent):
            self._believed.add(target)

    def _learn(self, target: Target, told: Iterable[Allowance]) -> None:
        """Take the service's word for what it allows."""
        now, wall = time.monotonic(), time.time()
        for each in told:
            self._pool.learn_limit(
                target, each.window, each.unit, each.limit, left=each.left, resets=each.resets, now=now, wall=wall
            )

    def read(self, target: Target, tokens: int) -> None:
        """The model has read so many tokens."""
        self._pool.count_tokens(target, tokens, now=time.monotonic(), wall=time.time())

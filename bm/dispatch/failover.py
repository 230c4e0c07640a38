"""One request's way from target to target, as a generator: it yields attempts and is sent their outcomes.

    steps = attempts(plan, limits)
    attempt = next(steps)              # StopIteration.value is what the client is told, None after an answer
    attempt = steps.send(outcome)

The caller sleeps `attempt.wait` seconds before it calls upstream. Nothing here knows the time; the generator counts
the waits and what the outcomes say they took.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Sequence

import msgspec

from bm.dispatch.classify import takes_no_media
from bm.dispatch.outcome import AccountEffect, EffectKind, Outcome
from bm.dispatch.plan import Choice, Plan
from bm.dispatch.refusal import KEY_TROUBLE, LIMITS, presentable, resting
from bm.dispatch.snapshot import Limits
from bm.dispatch.target import Target
from bm.errors import Failure, FailureKind

VISITS = 4
"""Calls one request may make to one target; a `retry` or a `simplify` counts too."""

FIRST_PAUSE = 1.0
"""Seconds before a target is asked again that named no delay; doubled each time."""

SPREAD = 0.5
"""Waiting requests come back within this many seconds of a cooldown's end, and a tenth of their wait: not all at once.
They also share the targets that recover so soon after the first."""

ALIKE = 2
"""So many accounts that serve others refuse a request alike: then the request is the cause."""

STUBBORN = 4
"""So many accounts that worked minutes ago fail on a request in the same words: then no further one will serve it."""

FAULTS: frozenset[FailureKind] = frozenset({"server", "overloaded"})
"""Kinds of which a request can be the cause and a limit cannot."""

RESTS: frozenset[EffectKind] = frozenset({"cooldown", "backoff", "overload", "daily"})
"""What ends by itself. When a day ends only the pool can tell."""

ABSENT: frozenset[FailureKind] = frozenset({"timeout", "connection"})
"""Kinds by which nobody answers."""


UNREACHED = frozenset({"connect", "dns", "proxy", "tls"})
"""Codes of failures to get through to anybody; an upstream that closes the connection was reached."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream call: sleep `wait` seconds, then send. `number` counts from 1.

    A `fresh` one is not made while the target rests; one that repeats a call is its own reason for a rest. `nudge` asks
    for the request with a word to the model, whose call of a tool could not be used. `without` names the media that the
    model is not to be sent.
    """

    target: Target
    wait: float = 0.0
    reason: str = ""
    simplify_schema: bool = False
    nudge: bool = False
    fresh: bool = True
    without: frozenset[str] = frozenset()
    number: int = 1


Transcript = Sequence[tuple[Attempt, Outcome]]


def attempts(plan: Plan, limits: Limits) -> Generator[Attempt, Outcome, Failure | None]:
    """Drive a plan. Returns None once an attempt was answered, else the failure for the client."""
    if plan.failure:
        return plan.failure
    course = _Course(plan, limits)
    while attempt := course.next():
        outcome = yield attempt
        course.book(attempt, outcome)
        if outcome.request == "done":
            return None
        if course.final:
            return course.final
    return course.verdict()


def still_cooling_down(seconds: float, *, overloaded: bool = False) -> Outcome:
    """The outcome of an attempt that is not made, because another request has made the target rest since the plan."""
    kind: FailureKind = "overloaded" if overloaded else "rate_limited"
    failure = Failure(kind=kind, message="the account rests", retry_after=seconds)
    return Outcome(failure=failure, account=AccountEffect("cooldown"), request="next", cooldown=seconds, sent=False)


def poisoned(transcript: Transcript) -> tuple[Target, ...]:
    """The targets whose cooldowns must be rolled back, because the request is the cause.

    They are those of a provider where two or more accounts, which answered others meanwhile, refused it alike.
    """
    told = {attempt.target.account_id for attempt, outcome in transcript if outcome.answers_others}
    groups = refused_alike([step for step in transcript if step[0].target.account_id in told])
    return tuple(target for targets in groups for target in targets)


def refused_alike(transcript: Transcript) -> list[tuple[Target, ...]]:
    """The targets of one provider by which two or more accounts have refused the request in the same way."""
    alike: dict[tuple[str, str], dict[Target, None]] = {}
    for attempt, outcome in transcript:
        if outcome.failure and outcome.failure.kind in ("rate_limited", "server", "overloaded"):
            alike.setdefault((attempt.target.provider, outcome.failure.kind), {})[attempt.target] = None
    return [tuple(targets) for targets in alike.values() if len({target.account_id for target in targets}) >= ALIKE]


def failing_alike(transcript: Transcript, kinds: frozenset[FailureKind], provider: str) -> int:
    """How many accounts of a provider, which worked minutes ago, have failed on the request in the same words."""
    alike: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for attempt, outcome in transcript:
        failure = outcome.failure
        if failure and failure.kind in kinds and outcome.worked_lately and attempt.target.provider == provider:
            alike.setdefault((failure.kind, _wording(failure.message)), set()).add(attempt.target.account_id)
    return max(map(len, alike.values()), default=0)


def out_of_reach(transcript: Transcript) -> tuple[Target, ...]:
    """The targets whose bookings must be rolled back, because this machine's network is the cause.

    They are all there were, when none of them could be reached at all.
    """
    kinds = [(_kind(outcome), outcome.failure.code if outcome.failure else "") for _, outcome in transcript]
    if not kinds or any(kind not in ABSENT or code not in UNREACHED for kind, code in kinds):
        return ()
    return tuple({attempt.target: None for attempt, _ in transcript})


class _Course:
    """Where a request stands between two attempts."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self.limits = limits
        self.roll = plan.roll
        self.choices = {choice.target: choice for choice in (*plan.choices, *plan.cooling)}
        self.queue = deque(plan.choices)
        self.ready_at = {choice.target: choice.seconds for choice in plan.cooling}
        self.transcript: list[tuple[Attempt, Outcome]] = []
        self.visits: Counter[Target] = Counter()
        self.again: Attempt | None = None
        self.retried: set[Target] = set()
        self.simplified: set[str] = set()
        self.past = plan.past
        self.blind: set[tuple[str, str]] = set()
        self.too_long: list[Choice] = []
        self.clumsy: set[str] = set()
        self.now = 0.0
        self.waited = 0.0
        self.limited = True
        self.final: Failure | None = None

    def next(self) -> Attempt | None:
        """The next attempt, None when nothing is left that is worth one."""
        if len(self.transcript) >= self.limits.max_attempts:
            return None
        if self.again:
            return self._numbered(self.again)
        while self.queue:
            choice = self.queue.popleft()
            if self._serves(choice):
                return self._numbered(Attempt(target=choice.target, reason=choice.reason))
        return self._patient()

    def _numbered(self, attempt: Attempt) -> Attempt:
        simplify = attempt.simplify_schema or attempt.target.protocol in self.simplified
        target = attempt.target
        without = self.past if (target.provider, target.model) in self.blind else self.choices[target].without
        number = len(self.transcript) + 1
        return msgspec.structs.replace(attempt, number=number, simplify_schema=simplify, without=without)

    def _serves(self, choice: Choice) -> bool:
        """Whether a target can still help, after what the others have said about the request."""
        provider = choice.target.provider
        if provider in {target.provider for target in poisoned(self.transcript)}:
            return False
        if failing_alike(self.transcript, frozenset({"server"}), provider) >= STUBBORN:
            return False
        if choice.target.model in self.clumsy:
            return False
        if any(choice.target.model == refused.target.model for refused in self.too_long):
            return False
        least = max((refused.context for refused in self.too_long), default=0)
        return not (choice.context and least) or choice.context > least

    def _patient(self) -> Attempt | None:
        """Wait for the target that recovers soonest, the pool's before a fallback's and a last resort, in the limit."""
        room = self.now + self.limits.max_wait - self.waited
        ready = [
            (self._rank(self.choices[target]), at, target)
            for target, at in self.ready_at.items()
            if at <= room and self.visits[target] < VISITS and self._serves(self.choices[target])
        ]
        if not ready:
            return None
        ready.sort(key=lambda item: item[:2])
        best, soonest, _ = ready[0]
        near = [(at, target) for rank, at, target in ready if rank == best and at <= soonest + SPREAD]
        at, target = near[int(self.roll * len(near))]
        del self.ready_at[target]
        wait = max(0.0, at - self.now)
        self.waited += wait
        reason = f"nothing else is left and it recovers in {wait:.1f} s"
        # What the choice among the near ones has not used up of the lot.
        lot = self.roll * len(near) % 1
        return self._numbered(Attempt(target=target, wait=wait + lot * (SPREAD + wait / 10), reason=reason))

    def _rank(self, choice: Choice) -> tuple[bool, bool]:
        """In which order recovering targets are waited for: such as need nothing left out first, then the pool's."""
        return bool(choice.without), choice.stage == "fallback"

    def book(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take in what came of an attempt."""
        self.again = None
        self.now += attempt.wait + outcome.elapsed
        target, failure = attempt.target, outcome.failure
        if not outcome.sent:
            self.limited &= _kind(outcome) != "overloaded"
            self.ready_at[target] = self.now + max(outcome.cooldown or 0.0, FIRST_PAUSE)
            return
        self.transcript.append((attempt, outcome))
        self.visits[target] += 1
        if failure is None:
            return
        if self.past and not attempt.without and takes_no_media(failure):
            self.blind.add((target.provider, target.model))
            self._repeat(target, 0.0, "it cannot be shown media: once more with a note in place of the earlier ones")
            return
        if self._hardly_the_accounts(target.provider):
            self.queue = deque(sorted(self.queue, key=lambda choice: choice.target.provider == target.provider))
        self._go_on(attempt, outcome, failure)

    def _go_on(self, attempt: Attempt, outcome: Outcome, failure: Failure) -> None:
        """Draw from a failure what it means for the request."""
        target = attempt.target
        match outcome.request:
            case "return":
                self.final = presentable(failure, target.provider, target.account)
            case "simplify" if attempt.simplify_schema:
                self.final = failure
            case "simplify":
                self.simplified.add(target.protocol)
                self._repeat(target, 0.0, "its tool schema was refused: once more with the simplified one")
            case "larger":
                self.too_long.append(self.choices[target])
            case "retry" if target not in self.retried and failure.should_retry is not False:
                self.retried.add(target)
                clumsy = failure.kind == "malformed"
                self._repeat(target, 0.2 + 0.3 * self.roll, f"once more after {failure.kind}", nudge=clumsy)
            case "retry" if failure.kind == "malformed":
                self.clumsy.add(target.model)
            case "resume" if target not in self.retried and not any(self._serves(choice) for choice in self.queue):
                self.retried.add(target)
                self._repeat(target, 0.2 + 0.3 * self.roll, "there is no other target to go on with the cut answer")
            case "next":
                self._rest(target, failure, outcome)

    def _hardly_the_accounts(self, provider: str) -> bool:
        """Whether other providers come first now: two accounts of this one got no answer, or fail alike."""
        unanswered = {attempt.target.account_id for attempt, outcome in self.transcript if _kind(outcome) in ABSENT}
        absent = len({candidate for candidate in unanswered if candidate[0] == provider})
        return absent >= ALIKE or failing_alike(self.transcript, FAULTS, provider) >= ALIKE

    def _repeat(self, target: Target, wait: float, reason: str, *, nudge: bool = False) -> None:
        self.again = Attempt(target=target, wait=wait, reason=reason, nudge=nudge, fresh=False)

    def _rest(self, target: Target, failure: Failure, outcome: Outcome) -> None:
        """Note when a target that is only limited or overloaded may be asked again."""
        kind = outcome.account.kind
        if kind not in RESTS or (kind == "daily" and outcome.cooldown is None):
            return
        pause = FIRST_PAUSE * 2 ** (self.visits[target] - 1)
        told = failure.retry_after if outcome.cooldown is None else outcome.cooldown
        self.ready_at[target] = self.now + (pause if told is None else max(told, FIRST_PAUSE))

    def verdict(self) -> Failure:
        """What the client is told when nothing is left: the upstream's words and the earliest honest delay."""
        failures = [(attempt.target, outcome.failure) for attempt, outcome in self.transcript if outcome.failure]
        recovering = [at for target, at in self.ready_at.items() if self._serves(self.choices[target])]
        seconds = max(0.0, min(recovering) - self.now) if recovering else None
        if not failures:
            message = "every account that could serve the request rests"
            return resting(message, seconds or 0.0, self.limits, limited=self.limited)
        target, last = _telling(failures)
        if seconds is None and last.kind == "quota_exhausted":
            # The delay beside a daily quota is that of a minute (Gemini's RetryInfo): telling it would be a lie.
            return msgspec.structs.replace(last, retry_after=None, should_retry=False)
        if seconds is None:
            return presentable(last, target.provider, target.account)
        limited = all(failure.kind in LIMITS for _, failure in failures)
        told = resting(last.message, seconds, self.limits, limited=limited)
        if last.kind not in LIMITS and last.kind != "overloaded":
            return told
        return msgspec.structs.replace(last, retry_after=told.retry_after, should_retry=told.should_retry)


def _kind(outcome: Outcome) -> str:
    return outcome.failure.kind if outcome.failure else ""


def _wording(message: str) -> str:
    """A message without what differs each time: words with digits in them, such as ids and times."""
    return " ".join(word for word in message.split() if not any(map(str.isdigit, word)))


def _telling(failures: Iterable[tuple[Target, Failure]]) -> tuple[Target, Failure]:
    """The last failure that says something about the request's chances; trouble with a key only if all had it."""
    found = list(failures)
    return next((each for each in reversed(found) if each[1].kind not in KEY_TROUBLE), found[-1])

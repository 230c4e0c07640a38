"""The course of one request from target to target: it names the next attempt and takes the outcome of each.

    course = Course(plan, limits)
    while attempt := course.next():
        course.record(attempt, outcome)
    course.result                      # the failure for the client, None after a success

The caller sleeps `attempt.wait` seconds before it calls upstream. The course reads no clock: it adds up the waits and
the times that it is given. Several attempts may be under way, once the course has been asked for one `beside` another.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence

import msgspec

from bm.dispatch.candidates import Candidate
from bm.dispatch.classify import takes_no_media
from bm.dispatch.outcome import AccountEffect, EffectKind, Outcome
from bm.dispatch.plan import Plan
from bm.dispatch.refusal import KEY_FAILURES, LIMIT_FAILURES, cooling_down, presentable, refused, refused_keys
from bm.dispatch.snapshot import Limits
from bm.dispatch.target import Target
from bm.errors import Failure, FailureKind

MAX_CALLS = 4
"""Calls that one request may make to one target, retries included."""

MAX_REMEDIES = 5
"""Changed requests in a row to one target that refuses them all."""

MIN_PAUSE = 1.0
"""Seconds until a target is tried again that named no delay; doubled each time."""

SPREAD = 0.5
"""Waiting requests return within this many seconds after a cooldown ends, plus a tenth of their wait, so that they do
not all come at once. They also share the targets that recover within this time after the first."""

MIN_ALIKE = 2
"""Accounts that serve other requests and refuse this one alike: from this number on the request is the cause."""

MAX_ALIKE = 4
"""Accounts that worked lately and fail on this request with the same message: no further account will serve it."""

FAULTS: frozenset[FailureKind] = frozenset({"server", "overloaded", "blocked"})
"""Failures that a request can cause and a limit cannot."""

NO_ANSWER: frozenset[FailureKind] = frozenset({"timeout", "connection"})

_NO_ENDPOINT: frozenset[FailureKind] = frozenset({"not_found", "method", "blocked"})
"""How services answer at an address that they do not have."""

UNREACHABLE = frozenset({"connect", "dns", "proxy", "tls"})
"""Codes of failures to connect. An upstream that closes the connection was reached."""

COOLDOWNS: frozenset[EffectKind] = frozenset({"cooldown", "backoff", "overload", "daily"})
"""Effects that end by themselves. Only the pool knows when a day ends."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One upstream call to make after `wait` seconds, which is `at` seconds after the start. `number` counts from 1.

    A `repeat` of a call is made even though the target may be cooling down because of the first one; any other attempt
    is not. One `beside` another is made while that one is silent. `retry_hint` asks for a note to the model, whose tool
    call was malformed or left out. `without` names the media to be replaced by a note.
    """

    target: Target
    wait: float = 0.0
    at: float = 0.0
    reason: str = ""
    retry_hint: bool = False
    repeat: bool = False
    beside: bool = False
    without: frozenset[str] = frozenset()
    number: int = 1


Transcript = Sequence[tuple[Attempt, Outcome]]


def still_cooling_down(seconds: float, *, overloaded: bool = False) -> Outcome:
    """The outcome of an attempt that is not made, because the target has started to cool down since the plan."""
    kind: FailureKind = "overloaded" if overloaded else "rate_limited"
    failure = Failure(kind=kind, message="the account is cooling down", retry_after=seconds)
    return Outcome(failure=failure, account=AccountEffect("cooldown"), request="next", cooldown=seconds, sent=False)


def request_at_fault(transcript: Transcript) -> tuple[Target, ...]:
    """The targets whose cooldowns the request itself has caused, and which must be rolled back.

    Two or more accounts of one provider refused it alike although they answered others meanwhile.
    """
    working = {attempt.target.account_id for attempt, outcome in transcript if outcome.answers_others}
    groups = refused_alike([step for step in transcript if step[0].target.account_id in working])
    return tuple(target for targets in groups for target in targets)


def network_at_fault(transcript: Transcript) -> tuple[Target, ...]:
    """The targets whose cooldowns the network has caused.

    They are all, if none of them could be reached; else those whose accounts were all shown the same page.
    """
    kinds = [(_kind(outcome), outcome.failure.code if outcome.failure else "") for _, outcome in transcript]
    if not kinds or any(kind not in NO_ANSWER or code not in UNREACHABLE for kind, code in kinds):
        return _shown_alike(transcript)
    return tuple({attempt.target: None for attempt, _ in transcript})


def _shown_alike(transcript: Transcript) -> tuple[Target, ...]:
    """The targets of two or more accounts in whose place the same page or proxy has answered."""
    alike: dict[str, dict[Target, None]] = {}
    for attempt, outcome in transcript:
        if outcome.failure is not None and outcome.failure.kind == "blocked":
            alike.setdefault(_wording(outcome.failure.message), {})[attempt.target] = None
    several = [found for found in alike.values() if len({target.account_id for target in found}) >= MIN_ALIKE]
    return tuple(target for found in several for target in found)


def refused_alike(transcript: Transcript) -> list[tuple[Target, ...]]:
    """The targets of a provider of which two or more accounts refused the request in the same way."""
    alike: dict[tuple[str, str], dict[Target, None]] = {}
    for attempt, outcome in transcript:
        if outcome.failure and outcome.failure.kind in ("rate_limited", "server", "overloaded"):
            alike.setdefault((attempt.target.provider, outcome.failure.kind), {})[attempt.target] = None
    return [tuple(targets) for targets in alike.values() if len({target.account_id for target in targets}) >= MIN_ALIKE]


def failing_alike(transcript: Transcript, kinds: frozenset[FailureKind], provider: str) -> int:
    """How many accounts of a provider that worked lately have failed on the request with the same message."""
    alike: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for attempt, outcome in transcript:
        failure = outcome.failure
        if failure and failure.kind in kinds and outcome.worked_lately and attempt.target.provider == provider:
            alike.setdefault((failure.kind, _wording(failure.message)), set()).add(attempt.target.account_id)
    return max(map(len, alike.values()), default=0)


class Course:
    """The state of a request between its attempts. `now` is in seconds since its start."""

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self.limits = limits
        self.partial = plan.query is not None
        self.random_number = plan.random_number
        self.choices = {choice.target: choice for choice in (*plan.choices, *plan.cooling_down)}
        self.queue = deque(plan.choices)
        self.ready_at = {choice.target: choice.seconds for choice in plan.cooling_down}
        self.at_limit = {choice.target for choice in plan.cooling_down if not choice.overloaded}
        self.transcript: list[tuple[Attempt, Outcome]] = []
        self.under_way: list[Attempt] = []
        self.cancellations = 0
        self.calls: defaultdict[Target, int] = defaultdict(int)
        self.repeat: Attempt | None = None
        self.retried: set[Target] = set()
        self.healed: defaultdict[Target, int] = defaultdict(int)
        self.gone: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.refusals: dict[Target, Failure] = {}
        self.replaceable = plan.replaceable
        self.disabled = plan.disabled
        self.no_media: set[tuple[str, str]] = set()
        self.no_tools: set[str] = set()
        self.too_long: list[Candidate] = []
        self.now = 0.0
        self.waited = 0.0
        self.limited = True
        self.answered = False
        self.final = plan.failure

    @property
    def result(self) -> Failure | None:
        """The failure for the client when no attempt is left; None after a success."""
        return None if self.answered else self.final or self.failure()

    def complete(self, plan: Plan, now: float) -> None:
        """Take the other choices of a partial plan, as they are `now`: see `Plan`."""
        self.partial = False
        new = [choice for choice in plan.choices if choice.target not in self.choices]
        self.choices |= {choice.target: choice for choice in (*new, *plan.cooling_down)}
        self.queue.extend(new)
        self.ready_at |= {choice.target: now + choice.seconds for choice in plan.cooling_down}
        self.at_limit |= {choice.target for choice in plan.cooling_down if not choice.overloaded}
        self.disabled = plan.disabled

    def next(self) -> Attempt | None:
        """The next attempt; None after a success, and if no target is worth one."""
        if self.answered or self.final or self._made >= self.limits.max_attempts:
            return None
        attempt = self.repeat or self._queued() or self._after_cooldown()
        return self._begun(attempt) if attempt else None

    def beside(self, now: float) -> Attempt | None:
        """An attempt at the next target while the one under way has been silent until `now`; None if there is none.

        It is the target to which a failure would lead, unless that has to recover first or does not take all media.
        """
        self.now = max(self.now, now)
        if self._made >= self.limits.max_attempts:
            return None
        self._prefer_others(self.under_way[-1].target.provider, [attempt.target for attempt in self.under_way])
        if not self.queue or self.queue[0].without or (attempt := self._queued()) is None:
            return None
        reason = f"asked beside {self.under_way[-1].target}, which is silent; {attempt.reason}"
        return self._begun(msgspec.structs.replace(attempt, reason=reason, beside=True))

    @property
    def _made(self) -> int:
        return len(self.transcript) + len(self.under_way) + self.cancellations

    def _queued(self) -> Attempt | None:
        """An attempt at the first target in the queue that may serve the request."""
        while self.queue:
            if (awaited := self._patient(self.queue[0])) is not None:
                return awaited
            choice = self.queue.popleft()
            if self._can_serve(choice):
                return Attempt(target=choice.target, reason=choice.reason)
        return None

    def _begun(self, attempt: Attempt) -> Attempt:
        """The attempt with its number, its time, and the media that its model does not take."""
        target = attempt.target
        no_media = (target.provider, target.model) in self.no_media
        without = self.replaceable if no_media else self.choices[target].without
        at, number = self.now + attempt.wait, self._made + 1
        begun = msgspec.structs.replace(attempt, at=at, number=number, without=without)
        self.under_way.append(begun)
        return begun

    def _can_serve(self, choice: Candidate) -> bool:
        """Whether a target may serve the request, considering how the others have failed."""
        if not self.transcript:
            return True
        target = choice.target
        if target.provider in {target.provider for target in request_at_fault(self.transcript)}:
            return False
        if failing_alike(self.transcript, frozenset({"server"}), target.provider) >= MAX_ALIKE:
            return False
        if self.gone[target.provider, target.model] >= MIN_ALIKE:
            return False
        if target.model in self.no_tools or target.model in {refused.target.model for refused in self.too_long}:
            return False
        least = max((refused.context for refused in self.too_long), default=0)
        return not (choice.context and least) or choice.context > least

    def _after_cooldown(self) -> Attempt | None:
        """An attempt at the target that recovers soonest within the limit: the pool's before a fallback's."""
        latest = self.now + self.limits.max_wait - self.waited
        return self._soonest(latest, self.ready_at, "nothing else is left and it recovers in {:.1f} s")

    def _patient(self, choice: Candidate) -> Attempt | None:
        """An attempt at an account whose rate limit ends so soon that `choice` is not asked yet.

        It is one of the pool before a fallback, or one of an earlier link of the chain.
        """
        if choice.stage != "fallback" and not choice.link:
            return None
        latest = self.now + min(self.limits.patience, self.limits.max_wait) - self.waited
        preferred = {target for target in self.at_limit if _is_before(self.choices[target], choice)}
        awaited = [target for target in self.ready_at if target in preferred]
        return self._soonest(latest, awaited, "its rate limit ends in {:.1f} s, sooner than the next choice is asked")

    def _soonest(self, latest: float, targets: Iterable[Target], reason: str) -> Attempt | None:
        """An attempt at one of the targets that recover soonest, until `latest`."""
        ready = [
            (self._rank(self.choices[target]), at, target)
            for target in targets
            if (at := self.ready_at[target]) <= latest
            and self.calls[target] < MAX_CALLS
            and self._can_serve(self.choices[target])
        ]
        if not ready:
            return None
        ready.sort(key=lambda item: item[:2])
        best, soonest, _ = ready[0]
        near = [(at, target) for rank, at, target in ready if rank == best and at <= soonest + SPREAD]
        at, target = near[int(self.random_number * len(near))]
        del self.ready_at[target]
        wait = max(0.0, at - self.now)
        self.waited += wait
        remainder = self.random_number * len(near) % 1  # again evenly distributed in [0, 1)
        spread = remainder * (SPREAD + wait / 10)
        return Attempt(target=target, wait=wait + spread, reason=reason.format(wait))

    def _rank(self, choice: Candidate) -> tuple[bool, bool]:
        """Which recovering targets to wait for first: those that take all media, then the pool's."""
        return bool(choice.without), choice.stage == "fallback"

    def record(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take the outcome of an attempt into account."""
        self.repeat = None
        self.under_way.remove(attempt)
        self.now = max(self.now, attempt.at + outcome.elapsed)
        self.answered |= outcome.request == "done"
        target, failure = attempt.target, outcome.failure
        if not outcome.sent:
            self.limited &= _kind(outcome) != "overloaded"
            self.ready_at[target] = self.now + max(outcome.cooldown or 0.0, MIN_PAUSE)
            return
        self.transcript.append((attempt, outcome))
        self.calls[target] += 1
        if failure is None:
            return
        if self.replaceable and not attempt.without and takes_no_media(failure):
            self.no_media.add((target.provider, target.model))
            self._repeat(target, 0.0, "it takes no media: once more with a note in place of the earlier ones")
            return
        if outcome.request == "ask":
            self._repeat(target, 0.0, "the required tool call is asked for once more", retry_hint=True)
            return
        if outcome.request == "again":
            self._repeat(target, 0.0, "the answer was empty: once more")
            return
        self._prefer_others(target.provider)
        self._apply(attempt, outcome, failure)

    def cancelled(self, attempt: Attempt) -> None:
        """Another attempt has answered first. The target may still be asked, unless it is the one that was silent."""
        self.under_way.remove(attempt)
        self.cancellations += 1
        self.calls[attempt.target] += 1
        if attempt.beside:
            self.queue.appendleft(self.choices[attempt.target])

    def _apply(self, attempt: Attempt, outcome: Outcome, failure: Failure) -> None:
        """Apply the effect of a failure on the request."""
        target = attempt.target
        match outcome.request:
            case "return" | "next" if failure.kind in _NO_ENDPOINT and target in self.refusals:
                # The service lacks the endpoint that the remedy chose: the client receives the refusal itself.
                self.final = self.refusals[target]
            case "return" if failure.kind == "not_found" and (stand_in := self.choices[target].stand_in):
                self._ask_instead(stand_in)
            case "return" if failure.kind == "not_found" and self.choices[target].chosen:
                self.gone[target.provider, target.model] += 1
            case "return":
                self.final = presentable(failure, target.provider, target.account)
            case "heal" if self.healed[target] >= MAX_REMEDIES:
                self.final = presentable(failure, target.provider, target.account)
            case "heal":
                self.healed[target] += 1
                self.refusals.setdefault(target, failure)
                self._repeat(target, 0.0, f"refused, once more: {outcome.remedy}")
            case "larger":
                self.too_long.append(self.choices[target])
            case "retry" if target not in self.retried and failure.should_retry is not False:
                self.retried.add(target)
                malformed = failure.kind == "malformed"
                wait = 0.2 + 0.3 * self.random_number
                self._repeat(target, wait, f"once more after {failure.kind}", retry_hint=malformed)
            case "retry" if failure.kind == "malformed":
                self.no_tools.add(target.model)
            case "resume" if target not in self.retried and not any(map(self._can_serve, self.queue)):
                self.retried.add(target)
                wait = 0.2 + 0.3 * self.random_number
                self._repeat(target, wait, "no other target can continue the cut response")
            case "next":
                self._expect_recovery(target, failure, outcome)

    def _ask_instead(self, choice: Candidate) -> None:
        """Ask for the provider's default next: what its list of models would have said, the refusal has said now."""
        if choice.verdict == "ready":
            self.choices[choice.target] = choice = msgspec.structs.replace(choice, reason=choice.mapping)
            self.queue.appendleft(choice)

    def _prefer_others(self, provider: str, silent: Iterable[Target] = ()) -> None:
        """Try other providers first if two accounts of this one give no answer or are `silent`, or fail alike."""
        unanswered = [attempt.target for attempt, outcome in self.transcript if _kind(outcome) in NO_ANSWER]
        absent = {target.account_id for target in (*unanswered, *silent) if target.provider == provider}
        if len(absent) >= MIN_ALIKE or failing_alike(self.transcript, FAULTS, provider) >= MIN_ALIKE:
            self.queue = deque(sorted(self.queue, key=lambda choice: choice.target.provider == provider))

    def _repeat(self, target: Target, wait: float, reason: str, *, retry_hint: bool = False) -> None:
        self.repeat = Attempt(target=target, wait=wait, reason=reason, retry_hint=retry_hint, repeat=True)

    def _expect_recovery(self, target: Target, failure: Failure, outcome: Outcome) -> None:
        """Note when a target that is limited or overloaded may be asked again."""
        kind = outcome.account.kind
        if kind not in COOLDOWNS or (kind == "daily" and outcome.cooldown is None):
            return
        pause = MIN_PAUSE * 2 ** (self.calls[target] - 1)
        if failure.kind in LIMIT_FAILURES and failure.retry_after is not None:
            self.at_limit.add(target)
        delay = failure.retry_after if outcome.cooldown is None else outcome.cooldown
        self.ready_at[target] = self.now + (pause if delay is None else max(delay, MIN_PAUSE))

    def _refused(self, failures: Iterable[tuple[Target, Failure]], last: Failure) -> Failure:
        """The failure where only a person can help: every account is named that was refused or is disabled."""
        return refused(last, [*refused_keys(failures), *self.disabled])

    def failure(self) -> Failure:
        """The failure for the client when no target is left: the upstream's message and the earliest honest delay."""
        failures = [(attempt.target, outcome.failure) for attempt, outcome in self.transcript if outcome.failure]
        recovering = [at for target, at in self.ready_at.items() if self._can_serve(self.choices[target])]
        seconds = max(0.0, min(recovering) - self.now) if recovering else None
        if not failures:
            message = "every account that can serve the request is cooling down"
            return cooling_down(message, seconds or 0.0, self.limits, limited=self.limited)
        target, last = _most_relevant(failures)
        if seconds is None and last.kind == "quota_exhausted":
            # The delay with a daily quota is that of the minute's (Gemini's RetryInfo), and would be wrong.
            return msgspec.structs.replace(last, retry_after=None, should_retry=False)
        if seconds is None:
            of_key = last.kind in KEY_FAILURES
            return self._refused(failures, last) if of_key else presentable(last, target.provider, target.account)
        limited = all(failure.kind in LIMIT_FAILURES for _, failure in failures)
        later = cooling_down(last.message, seconds, self.limits, limited=limited)
        if last.kind not in LIMIT_FAILURES and last.kind not in ("overloaded", "blocked"):
            return later
        return msgspec.structs.replace(last, retry_after=later.retry_after, should_retry=later.should_retry)


def _kind(outcome: Outcome) -> str:
    return outcome.failure.kind if outcome.failure else ""


def _is_before(candidate: Candidate, choice: Candidate) -> bool:
    """Whether a candidate that recovers soon is waited for before `choice` is asked."""
    if candidate.link != choice.link:
        return candidate.link < choice.link
    return candidate.stage == "pool" and choice.stage == "fallback"


def _wording(message: str) -> str:
    """A message without what varies: words that contain digits, such as ids and times."""
    return " ".join(word for word in message.split() if not any(map(str.isdigit, word)))


def _most_relevant(failures: Iterable[tuple[Target, Failure]]) -> tuple[Target, Failure]:
    """The last failure, of a key only if all are."""
    found = list(failures)
    return next((each for each in reversed(found) if each[1].kind not in KEY_FAILURES), found[-1])

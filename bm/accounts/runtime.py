"""The mutable state of one account while the daemon runs: cooldowns, health, quota usage, requests in flight."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from hashlib import sha256
from math import inf

import msgspec

from bm.accounts.account import CONFIG_NAME
from bm.accounts.cooldowns import CLEAR, FORGET, CooldownLog
from bm.accounts.credentials import LOCAL_NAME, Credential
from bm.accounts.quota import Meter, local_day
from bm.accounts.roster import Roster, Standing, Watched
from bm.config.secrets import hint
from bm.dispatch.candidates import is_usable, rank_of
from bm.dispatch.snapshot import ANY_MODEL, AccountState, ModelState
from bm.dispatch.target import AccountId

WINDOW = 300.0
"""Seconds for which an answer or a fault counts towards health."""

MAX_SEEN = 50
"""Answers and faults that are kept."""

CREDIT = 4
"""Good answers credited to every account: a single fault leaves 0.8, and it takes several to fall below 0.5."""

RECENT = 300.0
"""Seconds after an answer for which an account counts as working."""

MAX_REASON = 300
"""Characters of an upstream's message that are kept."""


class Health(Watched):
    """Recent answers and faults of one account. Times are monotonic seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: deque[tuple[float, int]] = deque(maxlen=MAX_SEEN)
        self._faulty = False

    def good(self, now: float) -> None:
        self._seen.append((now, 0))
        if self._faulty:
            self.changed()

    def fault(self, now: float, id: int) -> None:
        """No answer arrived, or a broken one. `id`, which is not 0, identifies the fault for `remove`."""
        self._seen.append((now, id))
        self._faulty = True
        self.changed()

    def remove(self, ids: frozenset[int]) -> None:
        """Remove faults that the account did not cause."""
        self._seen = deque((each for each in self._seen if each[1] not in ids), maxlen=MAX_SEEN)
        self.changed()

    def seen(self) -> tuple[tuple[float, int], ...]:
        """Every answer (0) and fault (its id), with the time."""
        return tuple(self._seen)

    def merge(self, seen: Iterable[tuple[float, int]]) -> None:
        """Add what an earlier run has seen."""
        self._seen = deque(sorted([*seen, *self._seen]), maxlen=MAX_SEEN)
        self._faulty = any(id for _, id in self._seen)
        self.changed()

    def age(self, seconds: float) -> None:
        self._seen = deque(((at - seconds, id) for at, id in self._seen), maxlen=MAX_SEEN)
        self.changed()

    @property
    def is_faulty(self) -> bool:
        """Whether a fault may count."""
        return self._faulty

    def changes_at(self, now: float) -> float:
        """When the score changes by time alone; inf if it does not."""
        return min((at + WINDOW for at, _ in self._seen if now - at < WINDOW), default=inf) if self._faulty else inf

    def score(self, now: float) -> float:
        """From 1 (healthy) down to 0."""
        if not self._faulty:
            return 1.0
        ids = [id for at, id in self._seen if now - at < WINDOW]
        self._faulty = any(ids)
        return (CREDIT + ids.count(0)) / (CREDIT + len(ids))


class Tally(msgspec.Struct, frozen=True):
    """Requests and failures of one local day."""

    day: str = ""
    requests: int = 0
    failures: int = 0

    def on(self, day: str) -> Tally:
        """The tally of that day: this one, or an empty one."""
        return self if self.day == day else Tally(day)


class AccountRuntime:
    """The state of one account. Accounts of one project share a cooldown log for rate limits and a meter.

    By model, `answered` is the time of the last answer, and `proven` when the latest answered request was sent.
    `silent` holds the models that gave no sign of life at the last request. A turn is as many requests as the account's
    weight, of which it has had `taken` since `waiting_since`, when its last turn ended.
    """

    def __init__(self, credential: Credential, shared: CooldownLog, meter: Meter) -> None:
        self.credential = credential
        self.rosters: list[Roster] = []
        self.own = CooldownLog()
        self.health = Health()
        self.own.watchers.append(self.touch)
        self.health.watchers.append(self.touch)
        self.share(shared, meter)
        self.last_used: float | None = None
        self.taken = 0
        self.waiting_since = -inf
        self.inflight: Counter[str] = Counter()
        self.probing: set[str] = set()
        self.answered: dict[str, float] = {}
        self.proven: dict[str, float] = {}
        self.silent: set[str] = set()
        self.models: frozenset[str] | None = None
        self.today = Tally()
        self.last_error = ""

    def share(self, log: CooldownLog, meter: Meter) -> None:
        """Use the log and the meter of the project."""
        self.shared, self.meter = log, meter
        log.watchers.append(self.touch)
        meter.watchers.append(self.touch)

    def touch(self) -> None:
        """Something has changed that dispatch decides by."""
        for roster in self.rosters:
            roster.note(self)

    @property
    def id(self) -> AccountId:
        """The account's id, which a reload may change."""
        return self.credential.account.id

    @property
    def disabled(self) -> str:
        """Why the account cannot be used for any model; empty while it can."""
        account = self.credential.account
        if not account.enabled and account.name in (CONFIG_NAME, LOCAL_NAME):
            return f"switched off (bm providers enable {account.provider})"
        if not account.enabled:
            return f"switched off (bm accounts enable {account.name})"
        return self.credential.problem or self.own.status(ANY_MODEL).disabled

    def model_state(self, model: str, now: float) -> ModelState:
        """The state of exactly this model; for `ANY_MODEL`, what applies to all."""
        if not (self.own or self.shared):
            return _USABLE
        own, shared = self.own.status(model), self.shared.status(model)
        if own is CLEAR and shared is CLEAR:
            return _USABLE
        longer = max(own, shared, key=lambda each: each.until)
        cooldown = max(0.0, longer.until - now)
        probe_at = min(own.probe_at, shared.probe_at) if own.excluded or shared.excluded else longer.probe_at
        if now >= probe_at and model not in self.probing:
            return ModelState(reason=longer.reason or own.excluded or shared.excluded, circuit="half_open")
        excluded = own.excluded or shared.excluded
        overloaded = longer.overloaded and cooldown > 0
        if now > own.circuit_until + FORGET:
            reason = longer.reason if cooldown else ""
            return ModelState(cooldown=cooldown, reason=reason, overloaded=overloaded, excluded=excluded)
        return ModelState(
            cooldown=cooldown,
            reason=longer.reason if cooldown else own.reason,
            overloaded=overloaded or not cooldown,
            excluded=excluded,
            circuit="open" if now < own.circuit_until or model in self.probing else "half_open",
        )

    def cooldown_left(self, model: str, now: float) -> float:
        """Seconds until the account may be asked for the model again."""
        return max(self.model_state(name, now).cooldown for name in (model, ANY_MODEL))

    def named_cooldown(self, model: str, now: float) -> float:
        """Seconds until the cooldown of exactly this model ends by itself, although a request may probe before."""
        return max(0.0, self.own.status(model).until - now, self.shared.status(model).until - now)

    def wake(self) -> None:
        """The account works, or a person says so: end all of its cooldowns."""
        self.own.clear()
        self.shared.clear()

    def overloaded(self, model: str, now: float) -> bool:
        """Whether overload rather than a limit is the cause of the cooldown."""
        return any(self.model_state(name, now).overloaded for name in (model, ANY_MODEL))

    def use(self, now: float) -> None:
        """A request is sent."""
        self.last_used = now
        self.taken += 1
        if self.taken >= self.credential.account.weight:
            self.taken, self.waiting_since = 0, now

    def count(self, wall: float, *, requests: int = 0, failures: int = 0) -> None:
        """Add to the tally of the day."""
        today = self.today.on(local_day(wall))
        self.today = Tally(today.day, today.requests + requests, today.failures + failures)

    def record_success(self, model: str, now: float, sent: float) -> None:
        """A request for the model sent at `sent` has succeeded."""
        self.answered[model] = now
        self.proven[model] = max(sent, self.proven.get(model, sent))
        self.silent.discard(model)
        self.last_error = ""
        self.health.good(now)
        self.own.record_success(model, now, sent)
        self.shared.record_success(model, now, sent)

    def answered_since(self, model: str, sent: float) -> bool:
        """Whether the account has answered a request for the model that was sent after `sent`.

        An answer to an earlier request proves nothing: it may have used up the limit.
        """
        return self.proven.get(model, sent) > sent

    def worked_lately(self, model: str, now: float) -> bool:
        """Whether the account has answered a request for the model within `RECENT` seconds."""
        return now - self.answered.get(model, -inf) < RECENT

    def note_error(self, message: str) -> None:
        """Remember what kept the account from answering."""
        self.last_error = self.redacted(message)

    def redacted(self, message: str) -> str:
        """An upstream's message on one line, without the key, which some upstreams quote."""
        secret = self.credential.secret
        clean = message.replace(secret, hint(secret)) if secret else message
        return " ".join(clean.split())[:MAX_REASON]

    def age(self, seconds: float) -> None:
        """Move everything but the shared log and the meter into the past."""
        self.own.age(seconds)
        self.health.age(seconds)
        self.answered = {model: at - seconds for model, at in self.answered.items()}
        self.proven = {model: at - seconds for model, at in self.proven.items()}
        if self.last_used is not None:
            self.last_used -= seconds
            self.waiting_since -= seconds

    def standing(self, model: str, now: float) -> Standing:
        """Whether the model can be asked of the account now, and how long that holds."""
        account = self.credential.account
        plain = not (self.own or self.shared or self.credential.problem or self.health.is_faulty)
        if plain and account.enabled and self.meter.low_until(model) <= now:
            turns = self.inflight.total() // account.weight
            return Standing((False, False, account.tier, False, turns, self.waiting_since))
        state, until = self.state(now), self._changes_at(model, now)
        if not is_usable(state, model):
            return Standing(None, until, state)
        return Standing((*rank_of(state, model)[:-1], self.waiting_since), until)

    def _changes_at(self, model: str, now: float) -> float:
        """When the state changes by time alone; inf if it does not."""
        times = [self.health.changes_at(now), self.meter.low_until(model)]
        for name in (model, ANY_MODEL):
            for status in (self.own.status(name), self.shared.status(name)):
                times += (status.until, status.circuit_until, status.circuit_until + FORGET, status.probe_at)
        return min((at for at in times if at >= now), default=inf)

    def state(self, now: float) -> AccountState:
        """The state that dispatch decides by."""
        models = self.own.models() | self.shared.models()
        states = {model: self.model_state(model, now) for model in sorted(models)}
        for model in self.meter.low(now):
            states[model] = msgspec.structs.replace(states.get(model, _USABLE), nearly_spent=True)
        return AccountState(
            name=self.credential.account.name,
            tier=self.credential.account.tier,
            disabled=self.disabled,
            refused=self.disabled != "" and self.disabled == self.own.status(ANY_MODEL).disabled,
            health=self.health.score(now),
            idle=None if self.last_used is None else max(0.0, now - self.waiting_since),
            inflight=self.inflight.total() // self.credential.account.weight,
            models=self.models,
            states={model: state for model, state in states.items() if state != _USABLE},
        )


def digest(credential: Credential) -> str:
    """A digest that tells whether an account still has the same key, without revealing the key.

    A sign-in is identified by its client, because its refresh token can be replaced at any time.
    """
    account = credential.account
    proof = credential.secret
    if account.kind != "api_key":
        proof = "\0".join((account.client.id if account.client else account.key, account.project, account.location))
    return sha256(f"{account.kind}\0{proof}".encode()).hexdigest()[:32]


def renamed(before: Mapping[AccountId, str], now: Mapping[AccountId, str]) -> dict[AccountId, AccountId]:
    """The previous id of each account that has a new name, found by the digests of both times.

    Ambiguous matches, such as two sign-ins by one client, are left out.
    """
    gone = {account_id: (account_id[0], proof) for account_id, proof in before.items() if account_id not in now}
    new = {account_id: (account_id[0], proof) for account_id, proof in now.items() if account_id not in before}
    unique = {proof for proof, times in Counter(gone.values()).items() if times == 1}
    unique &= {proof for proof, times in Counter(new.values()).items() if times == 1}
    old = {proof: account_id for account_id, proof in gone.items()}
    return {account_id: old[proof] for account_id, proof in new.items() if proof in unique}


_USABLE = ModelState()

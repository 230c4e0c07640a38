"""One account while the daemon runs: its credential, its books, its health, and what it is busy with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256

import msgspec

from bm.accounts.account import CONFIG_NAME, AccountId
from bm.accounts.book import CLEAR, CooldownLog
from bm.accounts.cooldowns import FORGET
from bm.accounts.credential import LOCAL_NAME, Credential
from bm.accounts.health import Health
from bm.accounts.quota import Meter
from bm.dispatch.snapshot import ANY_MODEL, AccountState, ModelState


class Tally(msgspec.Struct, frozen=True):
    """What happened on one local day."""

    day: str = ""
    requests: int = 0
    failures: int = 0

    def on(self, day: str) -> Tally:
        """The tally of that day: this one, or an empty one."""
        return self if self.day == day else Tally(day)


class AccountRuntime:
    """The mutable state of one account. Accounts of one project share the book of rate limits and the meter.

    By model, `answered` is when it last answered, `proven` when the latest request went out that it has answered.
    """

    def __init__(self, credential: Credential, shared: CooldownLog, meter: Meter) -> None:
        self.credential = credential
        self.own = CooldownLog()
        self.shared = shared
        self.meter = meter
        self.health = Health()
        self.last_used: float | None = None
        self.inflight: Counter[str] = Counter()
        self.probing: set[str] = set()
        self.answered: dict[str, float] = {}
        self.proven: dict[str, float] = {}
        self.models: frozenset[str] | None = None
        self.today = Tally()
        self.last_error = ""

    @property
    def disabled(self) -> str:
        """Why it is out of use, whatever the model; empty while it is in use."""
        account = self.credential.account
        if not account.enabled and account.name in (CONFIG_NAME, LOCAL_NAME):
            return f"disabled (bm providers enable {account.provider})"
        if not account.enabled:
            return f"disabled (bm accounts enable {account.name})"
        return self.credential.problem or self.own.status(ANY_MODEL).out

    def model_state(self, model: str, now: float) -> ModelState:
        """How it stands for exactly this model; for `ANY_MODEL`, what holds for all."""
        own, shared = self.own.status(model), self.shared.status(model)
        if own is CLEAR and shared is CLEAR:
            return _WELL
        longer = max(own, shared, key=lambda each: each.until)
        cooldown = max(0.0, longer.until - now)
        excluded = own.excluded or shared.excluded
        overloaded = longer.overloaded and cooldown > 0
        if now > own.circuit + FORGET:
            reason = longer.reason if cooldown else ""
            return ModelState(cooldown=cooldown, reason=reason, overloaded=overloaded, excluded=excluded)
        return ModelState(
            cooldown=cooldown,
            reason=longer.reason if cooldown else own.reason,
            overloaded=overloaded or not cooldown,
            excluded=excluded,
            circuit="open" if now < own.circuit or model in self.probing else "half_open",
        )

    def grow_older(self, seconds: float) -> None:
        """Move what is remembered, but the books, into the past."""
        self.health.grow_older(seconds)
        self.answered = {model: at - seconds for model, at in self.answered.items()}
        self.proven = {model: at - seconds for model, at in self.proven.items()}
        if self.last_used is not None:
            self.last_used -= seconds

    def state(self, now: float) -> AccountState:
        """What dispatch needs to know."""
        models = self.own.models() | self.shared.models()
        states = {model: self.model_state(model, now) for model in sorted(models)}
        for model in self.meter.low(now):
            states[model] = msgspec.structs.replace(states.get(model, _WELL), nearly_spent=True)
        return AccountState(
            name=self.credential.account.name,
            disabled=self.disabled,
            health=self.health.score(now),
            idle=None if self.last_used is None else max(0.0, now - self.last_used),
            inflight=self.inflight.total(),
            models=self.models,
            states={model: state for model, state in states.items() if state != _WELL},
        )


def digest(credential: Credential) -> str:
    """Tells whether an account still has the same key, without telling the key.

    A sign-in is known by its client: its refresh token may be exchanged for another at any time.
    """
    account = credential.account
    proof = credential.secret
    if account.kind != "api_key":
        proof = "\0".join((account.client.id if account.client else account.key, account.project, account.location))
    return sha256(f"{account.kind}\0{proof}".encode()).hexdigest()[:32]


def renamed(before: Mapping[AccountId, str], now: Mapping[AccountId, str]) -> dict[AccountId, AccountId]:
    """The earlier seat of each account that has another name now, by the digests of both times.

    Where two could be meant, as with two sign-ins by one client, none is.
    """
    gone = {account_id: (account_id[0], mark) for account_id, mark in before.items() if account_id not in now}
    new = {account_id: (account_id[0], mark) for account_id, mark in now.items() if account_id not in before}
    once = {mark for mark, times in Counter(gone.values()).items() if times == 1}
    once &= {mark for mark, times in Counter(new.values()).items() if times == 1}
    old = {mark: account_id for account_id, mark in gone.items()}
    return {account_id: old[mark] for account_id, mark in new.items() if mark in once}


_WELL = ModelState()

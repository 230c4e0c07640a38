"""The runtime state of all accounts of all providers, and how requests change it.

Nothing here reads a clock or a random number: `now` is monotonic seconds, `wall` Unix time, `jitter` in [0, 1). An
account is named by (provider, name). One that is not in the pool, because it was removed meanwhile, is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Literal

import msgspec

from bm.accounts.account import Account
from bm.accounts.cooldowns import CooldownEntry, CooldownLog, entries_for
from bm.accounts.credentials import Credential
from bm.accounts.quota import Meter, Totals
from bm.accounts.roster import Roster
from bm.accounts.runtime import AccountRuntime, digest, renamed
from bm.accounts.suspects import ALIKE, MIN_OPEN, Place, Probes, SuspectRequest, Suspects
from bm.dispatch.candidates import PROBE_PAUSE
from bm.dispatch.outcome import AccountEffect, Outcome
from bm.dispatch.snapshot import AccountState, ModelState
from bm.dispatch.target import AccountId, Target
from bm.providers.catalog import GEMINI

MAX_ON_ROSTERS = 20_000
"""Accounts on all rosters together, counted once for each."""


class Receipt(msgspec.Struct, frozen=True):
    """What applying an effect did: the id of its cooldown entries, for `Pool.roll_back` (0 = none), and the seconds
    until the target may be asked again."""

    id: int = 0
    seconds: float = 0.0


class Lease:
    """One request's use of an account, from `Pool.begin` to `end`.

    It holds the account's state and not its name, so a rename in between does no harm. `receipts` are those of the
    effects applied so far. Of several nodes one at a time `probes` what may be used up.
    """

    def __init__(self, pool: Pool, runtime: AccountRuntime, target: Target, sent: float, fingerprint: int) -> None:
        self.runtime, self.target, self.sent, self.fingerprint = runtime, target, sent, fingerprint
        self.probes: list[Place] = []
        self.receipts: list[Receipt] = []
        self._pool = pool

    def settle(self, outcome: Outcome, *, now: float, wall: float, jitter: float = 0.0) -> Outcome:
        """Apply the request's outcome to the account, and add to it what only the pool knows."""
        receipt = self.apply(outcome.account, now=now, wall=wall, jitter=jitter)
        return msgspec.structs.replace(
            outcome,
            cooldown=receipt.seconds if receipt.id else None,
            answers_others=self.runtime.answered_since(self.target.model, self.sent),
            worked_lately=self.runtime.worked_lately(self.target.model, now),
        )

    def apply(self, effect: AccountEffect, *, now: float, wall: float, jitter: float = 0.0) -> Receipt:
        if effect.kind == "none":
            return Receipt()
        runtime, model, suspects = self.runtime, self.target.model, self._pool.suspects
        place = runtime.id, model
        if effect.kind == "answered":
            self._pool.remove(suspects.answered(place, self.fingerprint, self.sent))
            runtime.record_success(model, now, self.sent)
            return Receipt()
        effect = msgspec.structs.replace(effect, reason=runtime.redacted(effect.reason))
        if effect.kind != "proactive":
            runtime.count(wall, failures=1)
            runtime.last_error = effect.reason
        if effect.kind in ("cooldown", "backoff", "daily", "overload"):
            suspects.refused(place, self.fingerprint, self.sent)
        if effect.kind in ("cooldown", "backoff", "daily", "excluded", "disabled"):
            runtime.meter.uncount(model, now)
        id = next(self._pool.ids)
        if effect.kind == "fault":
            runtime.health.fault(now, id)
        for entry in entries_for(self.target, effect, wall):
            made = msgspec.structs.replace(entry, id=id, at=now, sent=self.sent, jitter=jitter, account=runtime.id[1])
            (runtime.shared if made.shared else runtime.own).add(made)
        receipt = Receipt(id, runtime.cooldown_left(model, now))
        self.receipts.append(receipt)
        return receipt

    def end(self) -> None:
        """The request is over: answered, failed, or its client gone."""
        runtime, model = self.runtime, self.target.model
        runtime.probing.discard(model)
        if self._pool.probes is not None:
            for place in self.probes:
                self._pool.probes.ended(place)
        self._pool.suspects.probe_ended(runtime.id)
        runtime.inflight[model] -= 1
        if runtime.inflight[model] <= 0:
            del runtime.inflight[model]
        runtime.touch()


class Pool:
    """The state of every account. Requests change it through a `Lease`."""

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        self.runtimes: dict[AccountId, AccountRuntime] = {}
        self.ids = count(1)
        self.suspects = Suspects()
        self.generation = 0
        self.reloaded: list[Callable[[], None]] = []
        """Called after the list of accounts was replaced."""
        self.probes: Probes | None = None
        self._totals: Totals | None = None
        self._rosters: dict[tuple[str, frozenset[str] | None, str], Roster] = {}
        self._of_provider: dict[str, list[Roster]] = {}
        self._lists: dict[str, tuple[frozenset[str] | None, ...]] = {}
        self._on_rosters = 0
        self.reload(credentials)

    def reload(self, credentials: Iterable[Credential]) -> dict[AccountId, AccountId]:
        """Replace the list of accounts; those that keep provider and key keep their state.

        An account that a person has verified or enabled is usable again, whatever its cooldowns. One that left its
        project takes along only the entries of its own responses. Returns the previous id of each renamed account.
        """
        credentials = tuple(credentials)
        before, self.runtimes = self.runtimes, {}
        digests = {each.id: digest(each) for each in credentials}
        moved = renamed({account_id: digest(runtime.credential) for account_id, runtime in before.items()}, digests)
        if moved:
            self.suspects.clear()
        shared: dict[tuple[str, str, str, str], tuple[CooldownLog, Meter]] = {}
        for credential in credentials:
            pacific = credential.account.provider == GEMINI.name
            quota = _quota_key(credential)
            if quota not in shared:
                shared[quota] = CooldownLog(), Meter(pacific=pacific, totals=self._totals, quota="\0".join(quota))
            log, meter = shared[quota]
            old = before.get(moved.get(credential.id, credential.id))
            if old is None or digest(old.credential) != digests[credential.id]:
                self.runtimes[credential.id] = AccountRuntime(credential, log, meter)
                continue
            if has_left(old.credential.account.project, credential):
                name = old.credential.account.name
                log.merge(entry for entry in old.shared.entries() if entry.account == name)
            else:
                log.merge(old.shared.entries())
                meter.merge(old.meter.all())
            renewed = _is_renewed(old.credential, credential)
            old.credential = credential
            old.share(log, meter)
            self.runtimes[credential.id] = old
            if renewed:
                old.wake()
        self.forget_rosters()
        for tell in self.reloaded:
            tell()
        return moved

    def share_counts(self, totals: Totals) -> None:
        """Count together with other nodes."""
        self._totals = totals
        for runtime in self.runtimes.values():
            runtime.meter.totals = totals

    def credential(self, account_id: AccountId) -> Credential | None:
        """The account with its secret; None if it is not in the pool."""
        runtime = self.runtimes.get(account_id)
        return runtime.credential if runtime else None

    def learn_models(self, account_id: AccountId, models: frozenset[str]) -> None:
        """Set the models that the account can reach. None at all means that they are unknown."""
        if (runtime := self.runtimes.get(account_id)) and runtime.models != (models or None):
            runtime.models = models or None
            self.forget_rosters()

    def forget_models(self, provider: str) -> None:
        """The provider is another service now: the models of its accounts are unknown."""
        for account_id, runtime in self.runtimes.items():
            if account_id[0] == provider:
                runtime.models = None
        self.forget_rosters()

    def begin(self, target: Target, *, now: float, wall: float, metered: bool = True, fingerprint: int = 0) -> Lease:
        """Record that a request is sent to the target now. `Lease.end` must follow, whatever happens.

        A `metered` request counts towards limits. `fingerprint` tells requests apart; one sent again has the same.
        """
        lease = self.lease(target, sent=now, fingerprint=fingerprint)
        runtime, model = lease.runtime, target.model
        if runtime.model_state(model, now).circuit == "half_open":
            runtime.probing.add(model)
            lease.probes.append((runtime.id, model))
        if self.suspects and (suspect := self._suspect_behind(runtime, model, now, fingerprint)):
            suspect.probe = runtime.id
        runtime.use(now)
        runtime.inflight[model] += 1
        if metered and runtime.meter.is_spent(model, now):
            lease.probes.append(((runtime.meter.quota, ""), model))
        if self.probes is not None:
            for place in lease.probes:
                self.probes.begun(place)
        if metered:
            runtime.meter.count(model, 1, "requests", now=now, wall=wall)
        runtime.count(wall, requests=1)
        runtime.touch()
        return lease

    def lease(self, target: Target, *, sent: float, fingerprint: int = 0) -> Lease:
        """A lease for effects of a request that was sent at `sent` and is not counted."""
        runtime = self.runtimes.get(target.account_id)
        if runtime is None:
            removed = Credential(account=Account(name=target.account, provider=target.provider))
            runtime = AccountRuntime(removed, CooldownLog(), Meter())
        return Lease(self, runtime, target, sent, fingerprint)

    def record_probe(
        self, target: Target, effect: AccountEffect, *, now: float, wall: float, wake: bool = False
    ) -> None:
        """Apply the effect of a `bm test` request. A success ends cooldowns if a person wants to `wake` the account."""
        lease = self.begin(target, now=now, wall=wall)
        lease.end()
        if effect.kind != "answered":
            lease.apply(effect, now=now, wall=wall)
            return
        lease.runtime.last_error = ""
        if wake:
            lease.runtime.wake()

    def cooldown_left(self, target: Target, now: float, fingerprint: int = 0, *, metered: bool = True) -> float:
        """Seconds until the target may be asked: it is cooling down, or another request is probing it."""
        runtime = self.runtimes.get(target.account_id)
        if runtime is None:
            return 0.0
        if metered and not self._admits(runtime.meter, target.model, now):
            return PROBE_PAUSE
        if not (runtime.own or runtime.shared):
            return 0.0
        if self.suspects and (suspect := self._suspect_behind(runtime, target.model, now, fingerprint)):
            return PROBE_PAUSE if suspect.probe else 0.0
        circuit = runtime.model_state(target.model, now).circuit
        probing = circuit == "open" or (circuit == "half_open" and not self._may_probe((runtime.id, target.model)))
        return max(runtime.cooldown_left(target.model, now), PROBE_PAUSE if probing else 0.0)

    def _admits(self, meter: Meter, model: str, now: float) -> bool:
        """Whether a quota that other nodes use too lets this one ask now.

        Beyond a limit one request at a time asks all the same: the service's word counts, and it may have more left.
        """
        if meter.is_spent(model, now):
            return self._may_probe(((meter.quota, ""), model))
        return meter.admits(model, now)

    def _may_probe(self, place: Place) -> bool:
        return self.probes is None or self.probes.may_probe(place)

    def overloaded(self, target: Target, now: float) -> bool:
        """Whether the target is cooling down because of overload rather than a limit."""
        runtime = self.runtimes.get(target.account_id)
        return runtime is not None and runtime.overloaded(target.model, now)

    def suspect(self, leases: Iterable[Lease], *, now: float) -> None:
        """Accounts of one provider have refused one request alike. If enough of them work, the request is suspect."""
        leases = tuple(leases)
        worked = {lease.runtime.id for lease in leases if lease.runtime.worked_lately(lease.target.model, now)}
        receipts = [receipt for lease in leases for receipt in lease.receipts]
        if len(worked) >= ALIKE and receipts:
            suspect = SuspectRequest(
                fingerprint=leases[0].fingerprint,
                places=frozenset((lease.runtime.id, lease.target.model) for lease in leases),
                ids=frozenset(receipt.id for receipt in receipts),
                at=now,
                until=now + max(MIN_OPEN, *(receipt.seconds for receipt in receipts)),
            )
            self.suspects.add(suspect)

    def roll_back(self, receipts: Iterable[Receipt]) -> None:
        """Undo effects that were the request's fault, as if they had never been applied."""
        self.remove(frozenset(receipt.id for receipt in receipts))

    def remove(self, ids: frozenset[int]) -> None:
        """Remove the cooldown entries and faults with these ids."""
        if not ids:
            return
        self.suspects.forget(ids)
        for runtime in self.runtimes.values():
            runtime.own.remove(ids)
            runtime.shared.remove(ids)
            runtime.health.remove(ids)

    def states(self, now: float, fingerprint: int = 0) -> dict[str, tuple[AccountState, ...]]:
        """What dispatch decides by: the accounts of each provider in their order, as this request sees them."""
        self.suspects.expire(now)
        found: dict[str, list[AccountState]] = {}
        for (provider, _), runtime in self.runtimes.items():
            state = runtime.state(now)
            if self.suspects and state.states:
                state = self._with_probes(runtime, state, now, fingerprint)
            found.setdefault(provider, []).append(state)
        return {provider: tuple(states) for provider, states in found.items()}

    def lists(self, provider: str) -> tuple[frozenset[str] | None, ...]:
        """The different model lists of a provider's accounts, in the order of the accounts; None for an unknown one."""
        if not self._lists:
            found: dict[str, dict[frozenset[str] | None, None]] = {}
            for (name, _), runtime in self.runtimes.items():
                found.setdefault(name, {})[runtime.models] = None
            self._lists = {name: tuple(lists) for name, lists in found.items()}
        return self._lists.get(provider, ())

    def roster(self, provider: str, models: frozenset[str] | None, model: str) -> Roster:
        """The provider's accounts with this model list, as requests for a model find them.

        It is kept up to date until `generation` grows.
        """
        key = provider, models, model
        if (roster := self._rosters.get(key)) is None:
            ids = self.runtimes.items()
            runtimes = [each for (name, _), each in ids if name == provider and each.models == models]
            roster = self._rosters[key] = Roster(model, runtimes)
            self._on_rosters += len(runtimes) + 1
            of_provider = self._of_provider.setdefault(provider, [])
            of_provider.append(roster)
            for runtime in runtimes:
                runtime.rosters = of_provider
        return roster

    @property
    def is_crowded(self) -> bool:
        """Whether there are so many rosters that it is time to forget them. Clients can invent model names."""
        return self._on_rosters > MAX_ON_ROSTERS

    def forget_rosters(self) -> None:
        """Accounts or their model lists have changed, or all times: rosters must be made anew."""
        self.generation += 1
        for runtime in self.runtimes.values():
            runtime.rosters = []
        self._rosters, self._of_provider, self._lists, self._on_rosters = {}, {}, {}, 0

    def _with_probes(self, runtime: AccountRuntime, state: AccountState, now: float, fingerprint: int) -> AccountState:
        """The account as a request other than the suspect sees it: it may probe, as with a half-open circuit."""
        states = dict(state.states)
        for model, each in state.states.items():
            if suspect := self._suspect_behind(runtime, model, now, fingerprint):
                circuit: Literal["open", "half_open"] = "open" if suspect.probe else "half_open"
                states[model] = ModelState(reason=each.reason, circuit=circuit)
        return msgspec.structs.replace(state, states=states)

    def _suspect_behind(
        self, runtime: AccountRuntime, model: str, now: float, fingerprint: int
    ) -> SuspectRequest | None:
        """The suspect request, other than this one, that alone is the reason for the account's cooldown."""
        if runtime.model_state(model, now).cooldown <= 0:
            return None
        for suspect in self.suspects.matching(runtime.id[0], model, fingerprint, now):
            if max(log.until_without(model, suspect.ids) for log in (runtime.own, runtime.shared)) <= now:
                return suspect
        return None

    def age(self, seconds: float) -> None:
        """Make all state older. The monotonic clock stands still while the machine sleeps."""
        self.suspects.clear()
        for runtime in self.runtimes.values():
            runtime.age(seconds)
        for log in {id(runtime.shared): runtime.shared for runtime in self.runtimes.values()}.values():
            log.age(seconds)
        for meter in {id(runtime.meter): runtime.meter for runtime in self.runtimes.values()}.values():
            meter.age(seconds)
        self.forget_rosters()

    def restore(self, account_id: AccountId, entries: Iterable[CooldownEntry]) -> None:
        """Add the entries of an earlier run, unless an account with the same quota has added them already."""
        runtime = self.runtimes[account_id]
        for entry in entries:
            log = runtime.shared if entry.shared else runtime.own
            if not any(_same(entry, other) for other in log.entries()):
                log.add(msgspec.structs.replace(entry, id=next(self.ids)))


def _quota_key(credential: Credential) -> tuple[str, str, str, str]:
    """What accounts with the same quota have in common. Vertex AI counts by location, apart from the Gemini API."""
    account = credential.account
    return account.provider, account.project, account.location, "" if account.project else account.name


def has_left(project: str, credential: Credential) -> bool:
    """Whether the account belonged to `project` and no longer does. Without a project it shared no limits."""
    return project not in ("", credential.account.project)


def _is_renewed(old: Credential, new: Credential) -> bool:
    """Whether a person has enabled or verified the account since."""
    enabled = new.account.enabled and not old.account.enabled
    return enabled or new.account.renewed_at != old.account.renewed_at


def _same(one: CooldownEntry, other: CooldownEntry) -> bool:
    """Whether two entries are of one event. Clocks differ slightly between runs."""
    alike = (one.kind, one.model, one.reason) == (other.kind, other.model, other.reason)
    return alike and abs(one.at - other.at) < 1e-3

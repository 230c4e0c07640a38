"""All accounts of all providers while the daemon runs: who rests, who is out of use, who was busy when.

Nothing here reads a clock or draws a lot: `now` are monotonic seconds, `wall` is Unix time, `roll` is in [0, 1).
Times must come from one pair of clocks. A seat is (provider, account); one that the pool does not know, because its
account went away while a request was under way, is quietly passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from math import inf
from typing import Literal

import msgspec

from bm.accounts.account import AccountId
from bm.accounts.book import CooldownLog
from bm.accounts.cooldowns import CooldownEntry, Kind
from bm.accounts.credential import Credential
from bm.accounts.daily import local_day, seconds_to_reset
from bm.accounts.quota import Meter, Unit, Window
from bm.accounts.runtime import AccountRuntime, digest, renamed
from bm.accounts.suspects import ALIKE, OPEN, RECENT, SuspectRequest, Suspects
from bm.config.secrets import hint
from bm.dispatch.candidates import PROBE_PAUSE
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.snapshot import ANY_MODEL, AccountState, ModelState
from bm.dispatch.target import Target
from bm.providers.catalog import GEMINI

UNKNOWN_DAY = 3600.0
"""Seconds a model rests when a provider's quota of a day is spent and nobody says when that day ends."""

SHORTEST = 1.0
"""A rate limit with a delay of fewer seconds counts as one without: taken at its word it would make a tight loop."""

LONGEST_REST = 31 * 86_400.0
"""Seconds an account rests at most: no service's limit lasts longer than a month, so a longer delay is a mistake."""

LONGEST_PACE = 60.0
"""Seconds an account rests at most before it was refused: some services say when all is allowed again, not some."""

REASON_LENGTH = 300
"""Characters of an upstream's words that are kept."""


class Receipt(msgspec.Struct, frozen=True):
    """What one booking put in the books, for `roll_back`; `seconds` until the target may be asked again."""

    id: int = 0
    seconds: float = 0.0


class Pool:
    """The runtime state of every account."""

    def __init__(self, credentials: Iterable[Credential] = ()) -> None:
        self.runtimes: dict[AccountId, AccountRuntime] = {}
        self._ids = count(1)
        self._suspects = Suspects()
        self.reload(credentials)

    def reload(self, credentials: Iterable[Credential]) -> dict[AccountId, AccountId]:
        """Take over a new list of accounts; those that keep provider and key keep their state.

        An account that a person has verified or enabled meanwhile is in use again. One that has left its project takes
        only what it was told itself along. Gives the earlier seats of accounts that have another name now.
        """
        credentials = tuple(credentials)
        before, self.runtimes = self.runtimes, {}
        marks = {each.id: digest(each) for each in credentials}
        moved = renamed({account_id: digest(runtime.credential) for account_id, runtime in before.items()}, marks)
        shared: dict[tuple[str, str, str, str], tuple[CooldownLog, Meter]] = {}
        for credential in credentials:
            pacific = credential.account.provider == GEMINI.name
            book, meter = shared.setdefault(_quota(credential), (CooldownLog(), Meter(pacific=pacific)))
            old = before.get(moved.get(credential.id, credential.id))
            if old is None or digest(old.credential) != marks[credential.id]:
                self.runtimes[credential.id] = AccountRuntime(credential, book, meter)
                continue
            if has_left(old.credential.account.project, credential):
                name = old.credential.account.name
                book.merge(entry for entry in old.shared.entries() if entry.account == name)
            else:
                book.merge(old.shared.entries())
                meter.adopt(old.meter.every())
            renewed = _is_renewed(old.credential, credential)
            old.credential, old.shared, old.meter = credential, book, meter
            self.runtimes[credential.id] = old
            if renewed:
                self.clear(credential.id)
        return moved

    def clear(self, account_id: AccountId) -> None:
        """The account is verified: refusals and exclusions are void. Rests stay, they are the provider's word."""
        if runtime := self.runtimes.get(account_id):
            runtime.own.clear(("out",))
            runtime.shared.clear(("excluded",))

    def credential(self, account_id: AccountId) -> Credential | None:
        """The account with its secret; None for one that is not there any more."""
        runtime = self.runtimes.get(account_id)
        return runtime.credential if runtime else None

    def learn_models(self, account_id: AccountId, models: frozenset[str]) -> None:
        """Note which models the account can reach."""
        if runtime := self.runtimes.get(account_id):
            runtime.models = models

    def forget_models(self, provider: str) -> None:
        """The provider is another service now: what its accounts can reach is unknown."""
        for account_id, runtime in self.runtimes.items():
            if account_id[0] == provider:
                runtime.models = None

    def begin(self, target: Target, *, now: float, wall: float, metered: bool = True, asking: int = 0) -> None:
        """A request goes out to the target. `done` must follow, whatever comes of it.

        `metered`: it uses up a limit. `asking` tells one request from another; one that is repeated has the same.
        """
        if not (runtime := self.runtimes.get(target.account_id)):
            return
        if runtime.model_state(target.model, now).circuit == "half_open":
            runtime.probing.add(target.model)
        if self._suspects and (suspect := self._suspect_behind(runtime, target.model, now, asking)):
            suspect.probe = target.account_id
        runtime.last_used = now
        runtime.inflight[target.model] += 1
        if metered:
            runtime.meter.count(target.model, now, wall)
        today = runtime.today.on(local_day(wall))
        runtime.today = msgspec.structs.replace(today, requests=today.requests + 1)

    def done(self, target: Target) -> None:
        """The request is over: answered, failed, or its client gone."""
        if not (runtime := self.runtimes.get(target.account_id)):
            return
        runtime.probing.discard(target.model)
        self._suspects.done(target.account_id)
        runtime.inflight[target.model] -= 1
        if runtime.inflight[target.model] <= 0:
            del runtime.inflight[target.model]

    def note(self, account_id: AccountId, words: str) -> None:
        """Remember what kept an account from answering, where nothing is held against it."""
        if runtime := self.runtimes.get(account_id):
            runtime.last_error = _words(words, runtime.credential.secret)

    def probed(self, target: Target, effect: AccountEffect, *, now: float, wall: float) -> None:
        """A probe has ended. What it shows against the account counts as for any other request.

        An answer ends nothing: a person who has put something right says so by verifying the account.
        """
        self.begin(target, now=now, wall=wall)
        self.done(target)
        if effect.kind != "answered":
            self.book(target, effect, now=now, wall=wall, roll=0.0)

    def book(
        self,
        target: Target,
        effect: AccountEffect,
        *,
        now: float,
        wall: float,
        roll: float,
        sent: float | None = None,
        asking: int = 0,
    ) -> Receipt:
        """Note what an attempt means for its account. `sent` is when it went out, `now` when nothing is given."""
        runtime = self.runtimes.get(target.account_id)
        if runtime is None or effect.kind == "none":
            return Receipt()
        since = now if sent is None else sent
        if effect.kind == "answered":
            self._take_out(self._suspects.answered((target.account_id, target.model), asking, since))
            _answered(runtime, target.model, now, since)
            return Receipt()
        number = next(self._ids)
        if effect.kind != "paced":
            today = runtime.today.on(local_day(wall))
            runtime.today = msgspec.structs.replace(today, failures=today.failures + 1)
            runtime.last_error = _words(effect.reason, runtime.credential.secret)
        if effect.kind in ("cooldown", "backoff", "daily", "overload"):
            self._suspects.refused((target.account_id, target.model), asking, since)
        if effect.kind in ("cooldown", "backoff", "daily", "excluded", "out_of_use"):
            runtime.meter.take_back(target.model, now)
        if effect.kind == "strike":
            runtime.health.fault(now, number)
        told = msgspec.structs.replace(effect, reason=_words(effect.reason, runtime.credential.secret))
        for entry in _entries(target, told, wall):
            made = msgspec.structs.replace(entry, id=number, at=now, sent=since, roll=roll, account=target.account)
            (runtime.shared if made.shared else runtime.own).add(made)
        return Receipt(number, self._seconds(runtime, target.model, now))

    def rest(self, target: Target, now: float, asking: int = 0) -> float:
        """Seconds for which the target is not to be asked: it rests, or another request tries whether it is well."""
        runtime = self.runtimes.get(target.account_id)
        if runtime is None:
            return 0.0
        if self._suspects and (suspect := self._suspect_behind(runtime, target.model, now, asking)):
            return PROBE_PAUSE if suspect.probe else 0.0
        trying = runtime.model_state(target.model, now).circuit == "open"
        return max(self._seconds(runtime, target.model, now), PROBE_PAUSE if trying else 0.0)

    def overloaded(self, target: Target, now: float) -> bool:
        """Whether the target rests because it was overloaded, and for no limit."""
        runtime = self.runtimes.get(target.account_id)
        return runtime is not None and any(
            runtime.model_state(name, now).overloaded for name in (target.model, ANY_MODEL)
        )

    def roll_back(self, marks: Iterable[Receipt]) -> None:
        """Undo bookings that were the request's fault: all is as if they had never been made."""
        self._take_out(frozenset(mark.id for mark in marks if mark.id))

    def _take_out(self, ids: frozenset[int]) -> None:
        if not ids:
            return
        self._suspects.forget(ids)
        for runtime in self.runtimes.values():
            runtime.own.take_out(ids)
            runtime.shared.take_out(ids)
            runtime.health.forgive(ids)

    def answered_since(self, target: Target, sent: float) -> bool:
        """Whether the account has answered a request for the model that went out after the moment `sent`.

        An answer to an earlier one proves nothing: it may have had the last of what the account was allowed.
        """
        runtime = self.runtimes.get(target.account_id)
        return runtime is not None and runtime.proven.get(target.model, sent) > sent

    def worked_lately(self, target: Target, now: float) -> bool:
        """Whether the account has answered a request for the model within minutes before `now`."""
        runtime = self.runtimes.get(target.account_id)
        return runtime is not None and now - runtime.answered.get(target.model, -inf) < RECENT

    def count_tokens(self, target: Target, tokens: int, *, now: float, wall: float) -> None:
        """A model has read so many tokens for the account."""
        if tokens and (runtime := self.runtimes.get(target.account_id)):
            runtime.meter.count(target.model, now, wall, tokens=tokens)

    def learn_limit(
        self,
        target: Target,
        window: Window,
        unit: Unit,
        limit: int,
        *,
        left: int | None,
        resets: float | None,
        now: float,
        wall: float,
    ) -> None:
        """Take a service's word for a limit; see `Meter.learn`."""
        if runtime := self.runtimes.get(target.account_id):
            gauge = target.model, window, unit
            runtime.meter.learn(gauge, limit, left=left, resets=resets, now=now, wall=wall)

    def suspect(self, refusals: Mapping[Target, Sequence[Receipt]], *, now: float, asking: int) -> None:
        """A provider's accounts have refused one request alike. If two of them worked lately, it may be the cause."""
        worked = {target.account_id for target in refusals if self.worked_lately(target, now)}
        marks = [mark for each in refusals.values() for mark in each]
        ids = frozenset(mark.id for mark in marks if mark.id)
        if len(worked) >= ALIKE and ids:
            until = now + max(OPEN, *(mark.seconds for mark in marks))
            places = frozenset((target.account_id, target.model) for target in refusals)
            self._suspects.begin(SuspectRequest(request=asking, places=places, ids=ids, at=now, until=until))

    def _suspect_behind(self, runtime: AccountRuntime, model: str, now: float, asking: int) -> SuspectRequest | None:
        """The trial because of which alone the account rests, if another request than `asking` is the suspect."""
        if runtime.model_state(model, now).cooldown <= 0:
            return None
        for suspect in self._suspects.concerning(runtime.credential.account.provider, model, asking, now):
            if max(book.until_without(model, suspect.ids) for book in (runtime.own, runtime.shared)) <= now:
                return suspect
        return None

    def _tried(self, runtime: AccountRuntime, state: AccountState, now: float, asking: int) -> AccountState:
        """The account as another request than the suspect sees it: one may try, as with a half-open circuit."""
        states = dict(state.states)
        for model, each in state.states.items():
            if suspect := self._suspect_behind(runtime, model, now, asking):
                circuit: Literal["open", "half_open"] = "open" if suspect.probe else "half_open"
                states[model] = ModelState(reason=each.reason, circuit=circuit)
        return msgspec.structs.replace(state, states=states)

    def facts(self, now: float, asking: int = 0) -> dict[str, tuple[AccountState, ...]]:
        """What dispatch decides by: the accounts of each provider in their order, as the request `asking` sees them."""
        self._suspects.tidy(now)
        found: dict[str, list[AccountState]] = {}
        for (provider, _), runtime in self.runtimes.items():
            state = runtime.state(now)
            if self._suspects and state.states:
                state = self._tried(runtime, state, now, asking)
            found.setdefault(provider, []).append(state)
        return {provider: tuple(states) for provider, states in found.items()}

    def slept(self, seconds: float) -> None:
        """The machine was asleep, and its monotonic clock stood still: all that is on record is that much older."""
        self._suspects.clear()
        books: dict[int, CooldownLog] = {}
        meters: dict[int, Meter] = {}
        for runtime in self.runtimes.values():
            books |= {id(book): book for book in (runtime.own, runtime.shared)}
            meters[id(runtime.meter)] = runtime.meter
            runtime.grow_older(seconds)
        for book in books.values():
            book.grow_older(seconds)
        for meter in meters.values():
            meter.grow_older(seconds)

    def adopt(self, account_id: AccountId, entries: Iterable[CooldownEntry]) -> None:
        """Enter bookings of an earlier run, unless an account of the same quota has brought them already."""
        if not (runtime := self.runtimes.get(account_id)):
            return
        for entry in entries:
            book = runtime.shared if entry.shared else runtime.own
            if not any(_same(entry, other) for other in book.entries()):
                book.add(msgspec.structs.replace(entry, id=next(self._ids)))

    def _seconds(self, runtime: AccountRuntime, model: str, now: float) -> float:
        return max(runtime.model_state(name, now).cooldown for name in (model, ANY_MODEL))


def _entries(target: Target, effect: AccountEffect, wall: float) -> list[CooldownEntry]:
    """What an effect puts in the books, without the number, the times and the lot."""

    def entry(kind: Kind, seconds: float = 0.0, model: str = target.model, *, shared: bool = False) -> CooldownEntry:
        return CooldownEntry(
            id=0, kind=kind, model=model, at=0.0, sent=0.0, reason=effect.reason, seconds=seconds, shared=shared
        )

    told = min(max(0.0, effect.seconds or 0.0), LONGEST_REST)
    match effect.kind:
        case "paced":
            return [entry("rest", min(told, LONGEST_PACE), shared=True)]
        case "cooldown" if told >= SHORTEST:
            return [entry("rest", told, shared=True)]
        case "cooldown" | "backoff":
            return [entry("limit", shared=True)]
        case "daily":
            # Google's delay beside a quota of a day is that of a minute.
            seconds = seconds_to_reset(wall) if target.provider == GEMINI.name else told or UNKNOWN_DAY
            return [entry("rest", seconds, shared=True)]
        case "excluded":
            return [entry("excluded", shared=True)]
        case "out_of_use":
            return [entry("out", model=ANY_MODEL)]
        case "overload":
            step = entry("overload")
            return [step, entry("rest", told)] if told else [step]
        case _:
            return []


def _words(reason: str, secret: str) -> str:
    """An upstream's words on one line, without the key, which some upstreams quote."""
    clean = reason.replace(secret, hint(secret)) if secret else reason
    return " ".join(clean.split())[:REASON_LENGTH]


def _answered(runtime: AccountRuntime, model: str, now: float, sent: float) -> None:
    runtime.answered[model] = now
    runtime.proven[model] = max(sent, runtime.proven.get(model, sent))
    runtime.last_error = ""
    runtime.health.good(now)
    runtime.own.answered(model, now, sent)
    runtime.shared.answered(model, now, sent)


def _quota(credential: Credential) -> tuple[str, str, str, str]:
    """Whose quota an account uses. Vertex AI counts by place, and apart from the Gemini API."""
    account = credential.account
    return account.provider, account.project, account.location, "" if account.project else account.name


def has_left(project: str, credential: Credential) -> bool:
    """Whether the account was one of `project` and is so no more. One that had none shared its limits with nobody."""
    return project not in ("", credential.account.project)


def _is_renewed(old: Credential, new: Credential) -> bool:
    """Whether a person has vouched for the account since."""
    enabled = new.account.enabled and not old.account.enabled
    return enabled or new.account.renewed_at != old.account.renewed_at


def _same(one: CooldownEntry, other: CooldownEntry) -> bool:
    """Whether two entries tell of one event, whatever their numbers; clocks differ by a hair between runs."""
    alike = (one.kind, one.model, one.reason) == (other.kind, other.model, other.reason)
    return alike and abs(one.at - other.at) < 1e-3

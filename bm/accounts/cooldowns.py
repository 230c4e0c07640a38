"""Cooldowns of accounts, kept as a log of entries from which the status of a model is computed.

Because only entries are stored, removing one restores exactly the status that would hold without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from bm.accounts.quota import seconds_to_reset
from bm.accounts.roster import Watched
from bm.dispatch.outcome import AccountEffect
from bm.dispatch.snapshot import ANY_MODEL
from bm.dispatch.target import Target
from bm.providers.catalog import GEMINI

Kind = Literal["delay", "backoff", "overload", "excluded", "disabled"]
"""`delay` lasts until a known moment. `backoff` and `overload` last longer each time. `excluded` (one model) and
`disabled` (the account) last until cleared."""

FORGET = 600.0
"""Seconds without a new entry after which a backoff starts again at its first step. A success resets it at once."""

MAX_ENTRIES = 64
"""Entries of one kind kept for a model. A burst of hundreds carries no more information."""

UNKNOWN_DAY = 3600.0
"""Cooldown in seconds after a daily quota is used up, if the provider does not say when it resets."""

MIN_DELAY = 1.0
"""A rate limit with a shorter delay, in seconds, is treated as one without: honoring it would cause a tight loop."""

MAX_DELAY = 31 * 86_400.0
"""Longest cooldown in seconds. No service has a limit longer than a month, so a longer delay is a mistake."""

MAX_PROACTIVE = 60.0
"""Longest cooldown in seconds before any refusal. Some services report when the limit is full again, not when the next
request is allowed."""


LONG = 3600.0
"""Seconds from which a cooldown is probed before its end: quotas return early, and delays of days are often wrong."""

PROBE_AFTER = 1800.0
"""Seconds after the last refusal until one request may probe an account in a long cooldown."""

EXCLUDED_FOR = 6 * 3600.0
"""Seconds after which one request may probe an excluded model: tiers are upgraded."""


class CooldownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One event that counts against an account. Times are monotonic seconds.

    `model` is empty for the whole account. `sent` is when the request went out: a request sent before the last backoff
    step belongs to the same burst. `seconds` is for `delay` only. `jitter` in [0, 1) lengthens a backoff step. A
    `shared` entry applies to all accounts of the project; `account` is the one that received the response.
    """

    id: int
    kind: Kind
    model: str
    at: float
    sent: float
    reason: str
    seconds: float = 0.0
    jitter: float = 0.0
    shared: bool = False
    account: str = ""


class Backoff(msgspec.Struct, frozen=True):
    """Exponential backoff: `first` seconds, doubled each step up to `longest`, plus up to a quarter of jitter.

    From step `opens` on, the circuit is open: after the cooldown a single request may probe.
    """

    first: float
    longest: float
    opens: int | None = None

    def seconds(self, step: int, jitter: float) -> float:
        """Length of a step, counted from 1."""
        return min(self.first * 2.0 ** min(step - 1, 30), self.longest) * (1 + jitter / 4)


BACKOFFS: dict[Kind, Backoff] = {
    "backoff": Backoff(first=2.0, longest=60.0),
    "overload": Backoff(first=1.0, longest=24.0, opens=3),
}
"""With its jitter the longest overload lasts 30 s: so soon is the end of an outage noticed."""


class BackoffStep(msgspec.Struct, frozen=True):
    """The current step of a backoff: when it was entered and until when it lasts. Step 0 is none."""

    step: int = 0
    at: float = float("-inf")
    until: float = float("-inf")
    reason: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The combined effect of all entries of one model.

    `until` is the end of the longest cooldown; `overloaded` means that overload caused it rather than a limit.
    `circuit_until` is the end of the current cooldown of a circuit that is not closed. From `probe_at` on, one request
    may probe in spite of a long cooldown or an exclusion.
    """

    until: float = float("-inf")
    reason: str = ""
    excluded: str = ""
    disabled: str = ""
    circuit_until: float = float("-inf")
    overloaded: bool = False
    probe_at: float = float("inf")


CLEAR = Status()
"""The status of a model without entries."""


def status(entries: Sequence[CooldownEntry]) -> Status:
    """Combine the entries of one model. Their order does not matter."""
    overloads = {entry.id for entry in entries if entry.kind == "overload"}
    cooldowns = [
        (entry.at + entry.seconds, entry.reason, entry.id in overloads) for entry in entries if entry.kind == "delay"
    ]
    circuit_until = float("-inf")
    for kind, backoff in BACKOFFS.items():
        current = backoff_step(kind, entries)
        if current.step:
            cooldowns.append((current.until, current.reason, kind == "overload"))
            if backoff.opens is not None and current.step >= backoff.opens:
                circuit_until = current.until
    until, reason, overloaded = max(cooldowns, default=(float("-inf"), "", False))
    return Status(
        until=until,
        reason=reason,
        excluded=_reason(entries, "excluded"),
        disabled=_reason(entries, "disabled"),
        circuit_until=circuit_until,
        overloaded=overloaded,
        probe_at=_probe_at(entries),
    )


def _probe_at(entries: Sequence[CooldownEntry]) -> float:
    """When a long cooldown or an exclusion may be probed: some time after the last refusal."""
    waits = [
        entry.at + (EXCLUDED_FOR if entry.kind == "excluded" else PROBE_AFTER)
        for entry in entries
        if entry.kind == "excluded" or (entry.kind == "delay" and entry.seconds >= LONG)
    ]
    return max(waits, default=float("inf"))


def backoff_step(kind: Kind, entries: Iterable[CooldownEntry]) -> BackoffStep:
    """The step that entries of a kind lead to. Entries of one burst count once, by the first of them."""
    steps = [step for _, step in _backoff_steps(kind, entries)]
    return steps[-1] if steps else BackoffStep()


def _backoff_steps(kind: Kind, entries: Iterable[CooldownEntry]) -> Iterator[tuple[CooldownEntry, BackoffStep]]:
    """The entries that advance the backoff, each with the resulting step."""
    current = BackoffStep()
    for entry in sorted((entry for entry in entries if entry.kind == kind), key=_order):
        if current.step and (entry.at < current.until or entry.sent <= current.at):
            continue
        step = 1 if entry.at > current.until + FORGET else current.step + 1
        until = entry.at + BACKOFFS[kind].seconds(step, entry.jitter)
        current = BackoffStep(step, entry.at, until, entry.reason)
        yield entry, current


def after_success(entries: Iterable[CooldownEntry], now: float, sent: float) -> list[CooldownEntry]:
    """The entries that remain after a request sent at `sent` succeeded.

    It ends exclusions, long delays, and backoffs whose cooldown is over. A request sent before an entry says nothing
    about it.
    """
    kept = [entry for entry in entries if not _is_disproved(entry) or sent <= entry.at]
    return _without_backoffs(kept, lambda current: now >= current.until and sent > current.at)


def _is_disproved(entry: CooldownEntry) -> bool:
    """Whether an answer to a later request shows that the entry no longer holds."""
    return entry.kind in ("excluded", "disabled") or (entry.kind == "delay" and entry.seconds >= LONG)


def with_entry(entries: Sequence[CooldownEntry], new: CooldownEntry) -> list[CooldownEntry]:
    """The entries and the new one. Beyond `MAX_ENTRIES` of its kind, those without effect are dropped."""
    same = [entry for entry in entries if entry.kind == new.kind]
    if len(same) < MAX_ENTRIES:
        return [*entries, new]
    if new.kind in BACKOFFS:
        same = [entry for entry, _ in _backoff_steps(new.kind, same)]
    kept = sorted([*same, new], key=lambda entry: (entry.at + entry.seconds, entry.id))[-MAX_ENTRIES:]
    return [*(entry for entry in entries if entry.kind != new.kind), *kept]


def unexpired(entries: Iterable[CooldownEntry], now: float) -> list[CooldownEntry]:
    """The entries that still have an effect."""
    kept = [entry for entry in entries if entry.kind != "delay" or entry.at + entry.seconds > now]
    return _without_backoffs(kept, lambda current: now > current.until + FORGET)


def _without_backoffs(entries: Sequence[CooldownEntry], is_over: Callable[[BackoffStep], bool]) -> list[CooldownEntry]:
    over = {kind for kind in BACKOFFS if is_over(backoff_step(kind, entries))}
    return [entry for entry in entries if entry.kind not in over]


def _order(entry: CooldownEntry) -> tuple[float, float, str, int]:
    # Ids differ between nodes that share their entries. Those that are alike but for the id have the same effect.
    return entry.at, entry.jitter, entry.reason, entry.id


def _reason(entries: Iterable[CooldownEntry], kind: Kind) -> str:
    return next((entry.reason for entry in sorted(entries, key=_order, reverse=True) if entry.kind == kind), "")


class CooldownLog(Watched):
    """The entries of one account, or of accounts that share a quota, by model. Times are monotonic seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._entries: dict[str, list[CooldownEntry]] = {}
        self._statuses: dict[str, Status] = {}

    def add(self, entry: CooldownEntry) -> None:
        self._change(lambda entries: unexpired(entries, entry.at))
        self._entries[entry.model] = with_entry(self._entries.get(entry.model, []), entry)
        self._statuses.pop(entry.model, None)
        self.changed()

    def remove(self, ids: frozenset[int]) -> None:
        """Remove entries, as if they had never been added."""
        self._change(lambda entries: [entry for entry in entries if entry.id not in ids])

    def clear(self) -> None:
        """Remove every entry."""
        self._change(lambda entries: [])

    def record_success(self, model: str, now: float, sent: float) -> None:
        """A request for `model` sent at `sent` has succeeded."""
        for name in (model, ANY_MODEL):
            if name in self._entries:
                self._set(name, after_success(self._entries[name], now, sent))

    def merge(self, entries: Iterable[CooldownEntry]) -> None:
        """Add entries of another log that are not in this one."""
        known = {entry.id for entry in self.entries()}
        for entry in entries:
            if entry.id not in known:
                self._entries.setdefault(entry.model, []).append(entry)
                self._statuses.pop(entry.model, None)
        self.changed()

    def age(self, seconds: float) -> None:
        replace = msgspec.structs.replace
        self._change(lambda old: [replace(each, at=each.at - seconds, sent=each.sent - seconds) for each in old])

    def entries(self) -> Iterator[CooldownEntry]:
        for entries in self._entries.values():
            yield from entries

    def __bool__(self) -> bool:
        return bool(self._entries)

    def models(self) -> set[str]:
        """The models that have entries; `ANY_MODEL` stands for the whole account."""
        return set(self._entries)

    def status(self, model: str) -> Status:
        """The status of exactly this model."""
        if model not in self._entries:
            return CLEAR
        found = self._statuses.get(model)
        if found is None:
            found = self._statuses[model] = status(self._entries[model])
        return found

    def until_without(self, model: str, ids: frozenset[int]) -> float:
        """The end of this model's cooldown if these entries did not exist."""
        return status([entry for entry in self._entries.get(model, ()) if entry.id not in ids]).until

    def _change(self, change: Callable[[list[CooldownEntry]], list[CooldownEntry]]) -> None:
        for model, entries in list(self._entries.items()):
            self._set(model, change(entries))

    def _set(self, model: str, entries: list[CooldownEntry]) -> None:
        if entries == self._entries.get(model):
            return
        self._statuses.pop(model, None)
        if entries:
            self._entries[model] = entries
        else:
            del self._entries[model]
        self.changed()


def entries_for(target: Target, effect: AccountEffect, wall: float) -> list[CooldownEntry]:
    """The entries for an effect, without id, times and jitter. `wall` is Unix time."""

    def entry(kind: Kind, seconds: float = 0.0, model: str = target.model, *, shared: bool = False) -> CooldownEntry:
        return CooldownEntry(
            id=0, kind=kind, model=model, at=0.0, sent=0.0, reason=effect.reason, seconds=seconds, shared=shared
        )

    delay = min(max(0.0, effect.seconds or 0.0), MAX_DELAY)
    match effect.kind:
        case "proactive":
            return [entry("delay", min(delay, MAX_PROACTIVE), shared=True)]
        case "cooldown" if delay >= MIN_DELAY:
            return [entry("delay", delay, shared=True)]
        case "cooldown" | "backoff":
            return [entry("backoff", shared=True)]
        case "daily":
            # With a daily quota Google still sends the delay of the minute's.
            seconds = seconds_to_reset(wall) if target.provider == GEMINI.name else delay or UNKNOWN_DAY
            return [entry("delay", seconds, shared=True)]
        case "excluded":
            return [entry("excluded", shared=True)]
        case "disabled":
            return [entry("disabled", model=ANY_MODEL)]
        case "overload":
            step = entry("overload")
            return [step, entry("delay", delay)] if delay else [step]
        case _:
            return []

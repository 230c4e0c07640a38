"""What speaks against an account, one entry an event, and how it stands when all entries are taken together.

The standing is computed from the entries and kept nowhere, so taking an entry out again leaves exactly what would
be there had it never been made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

Kind = Literal["rest", "limit", "overload", "excluded", "out"]
"""`rest`: until a known moment. `limit`, `overload`: for a time that grows. `excluded`, `out`: until cleared."""

FORGET = 600.0
"""Seconds of quiet after a growing rest that let it begin from the smallest again; a success does so at once."""


MOST = 64
"""Entries of a kind that are kept for one model: a burst of hundreds tells no more."""


class CooldownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. Times are monotonic seconds.

    `model` is empty for the whole account. `sent` is when the request went out: one that went out before the last
    step was booked tells of the same burst. `seconds` counts for `rest`. `roll` in [0, 1) is the jitter of a step.
    `shared` marks what holds for all accounts of the same project; `account` is the name of the one that was told.
    """

    id: int
    kind: Kind
    model: str
    at: float
    sent: float
    reason: str
    seconds: float = 0.0
    roll: float = 0.0
    shared: bool = False
    account: str = ""


class Backoff(msgspec.Struct, frozen=True):
    """Rests that grow: `first`, then twice as long each, at most `longest` seconds, each up to a quarter longer.

    From step `opens` on the circuit is open: after the rest a single request may try.
    """

    first: float
    longest: float
    opens: int | None = None

    def seconds(self, step: int, roll: float) -> float:
        """How long the account rests at a step, counted from 1."""
        return min(self.first * 2.0 ** min(step - 1, 30), self.longest) * (1 + roll / 4)


BACKOFFS: dict[Kind, Backoff] = {
    "limit": Backoff(first=2.0, longest=240.0),
    "overload": Backoff(first=1.0, longest=60.0, opens=3),
}


class BackoffStep(msgspec.Struct, frozen=True):
    """Where a ladder stands: the step, when it was booked, until when it rests."""

    step: int = 0
    at: float = float("-inf")
    until: float = float("-inf")
    reason: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All entries of one model taken together.

    `until` is when the last rest ends, `overloaded` whether overload is its cause and no limit; `circuit` is when the
    circuit's rest ends, while the circuit is not closed.
    """

    until: float = float("-inf")
    reason: str = ""
    excluded: str = ""
    out: str = ""
    circuit: float = float("-inf")
    overloaded: bool = False


def backoff_step(backoff: Backoff, steps: Iterable[CooldownEntry]) -> BackoffStep:
    """Walk the entries of one ladder. Those of one burst count once, by the first of them."""
    steps_taken = [where for _, where in _backoff_steps(backoff, steps)]
    return steps_taken[-1] if steps_taken else BackoffStep()


def _backoff_steps(backoff: Backoff, steps: Iterable[CooldownEntry]) -> Iterator[tuple[CooldownEntry, BackoffStep]]:
    """The entries that make a step, each with where it leads."""
    now = BackoffStep()
    for entry in sorted(steps, key=_order):
        if now.step and (entry.at < now.until or entry.sent <= now.at):
            continue
        step = 1 if entry.at > now.until + FORGET else now.step + 1
        now = BackoffStep(step, entry.at, entry.at + backoff.seconds(step, entry.roll), entry.reason)
        yield entry, now


def status(entries: Sequence[CooldownEntry]) -> Status:
    """How matters stand by the entries of one model, whatever the order they came in."""
    overloads = {entry.id for entry in entries if entry.kind == "overload"}
    rests = [
        (entry.at + entry.seconds, entry.reason, entry.id in overloads) for entry in entries if entry.kind == "rest"
    ]
    circuit = float("-inf")
    for kind, backoff in BACKOFFS.items():
        now = backoff_step(backoff, (entry for entry in entries if entry.kind == kind))
        if now.step:
            rests.append((now.until, now.reason, kind == "overload"))
            if backoff.opens is not None and now.step >= backoff.opens:
                circuit = now.until
    until, reason, overloaded = max(rests, default=(float("-inf"), "", False))
    return Status(
        until=until,
        reason=reason,
        excluded=_reason(entries, "excluded"),
        out=_reason(entries, "out"),
        circuit=circuit,
        overloaded=overloaded,
    )


def after_success(entries: Iterable[CooldownEntry], now: float, sent: float) -> list[CooldownEntry]:
    """The entries that remain once a request sent at `sent` was answered: ladders that do not rest end, verdicts fall.

    An answer to a request from before an entry says nothing about it.
    """
    kept = [entry for entry in entries if entry.kind not in ("excluded", "out") or sent <= entry.at]
    for kind, backoff in BACKOFFS.items():
        at = backoff_step(backoff, (entry for entry in kept if entry.kind == kind))
        if at.step and now >= at.until and sent > at.at:
            kept = [entry for entry in kept if entry.kind != kind]
    return kept


def with_entry(entries: Sequence[CooldownEntry], new: CooldownEntry) -> list[CooldownEntry]:
    """One entry more; beyond `MOST` of a kind only what still makes a difference."""
    same = [entry for entry in entries if entry.kind == new.kind]
    if len(same) < MOST:
        return [*entries, new]
    if new.kind in BACKOFFS:
        same = [entry for entry, _ in _backoff_steps(BACKOFFS[new.kind], same)]
    kept = sorted([*same, new], key=lambda entry: (entry.at + entry.seconds, entry.id))[-MOST:]
    return [*(entry for entry in entries if entry.kind != new.kind), *kept]


def still_telling(entries: Iterable[CooldownEntry], now: float) -> list[CooldownEntry]:
    """Without the entries that make no difference any more."""
    kept = [entry for entry in entries if entry.kind != "rest" or entry.at + entry.seconds > now]
    for kind, backoff in BACKOFFS.items():
        at = backoff_step(backoff, (entry for entry in kept if entry.kind == kind))
        if now > at.until + FORGET:
            kept = [entry for entry in kept if entry.kind != kind]
    return kept


def _order(entry: CooldownEntry) -> tuple[float, int]:
    return entry.at, entry.id


def _reason(entries: Iterable[CooldownEntry], kind: Kind) -> str:
    return next((entry.reason for entry in sorted(entries, key=_order, reverse=True) if entry.kind == kind), "")

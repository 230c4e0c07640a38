"""What the pool has learnt survives a restart: rests, refusals, health, use, limits, conversations.

state.json holds Unix times, since the monotonic clock begins anew with every boot, and a digest of each key instead
of the key. It is a convenience: one that cannot be read costs what was learnt, nothing else.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bm.accounts.account import AccountId
from bm.accounts.affinity import Affinities
from bm.accounts.booking import Booking
from bm.accounts.holder import Holder, Tally, digest, renamed
from bm.accounts.meter import LONGEST, Gauge
from bm.accounts.pool import Pool, has_left
from bm.config.atomic import write_private
from bm.config.paths import Paths, make_private_folder

VERSION = 1


class SavedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `entries`, `gauges` and `health` (when, and whether it was a fault) have Unix times."""

    provider: str
    name: str
    digest: str
    project: str = ""
    last_used: float | None = None
    today: Tally = Tally()
    entries: tuple[Booking, ...] = ()
    gauges: tuple[Gauge, ...] = ()
    health: tuple[tuple[float, bool], ...] = ()


class SavedTurn(msgspec.Struct, frozen=True, array_like=True):
    """Who served a conversation last, and when."""

    key: str
    provider: str
    account: str
    at: float


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """The content of state.json."""

    version: int = VERSION
    accounts: tuple[SavedAccount, ...] = ()
    affinity: tuple[SavedTurn, ...] = ()


def state_path(paths: Paths) -> Path:
    """Where the file is: beside the ledger."""
    return paths.ledger.with_name("state.json")


def encoded(pool: Pool, affinities: Affinities, *, now: float, wall: float) -> bytes:
    """What is worth keeping, as the file holds it. `affinities` must keep to the clock of `now`."""
    ahead = wall - now
    accounts = tuple(_saved(seat, holder, ahead) for seat, holder in pool.holders.items())
    turns = tuple(SavedTurn(key, *seat, at + ahead) for key, seat, at in affinities.items(now))
    return msgspec.json.encode(Saved(accounts=accounts, affinity=turns))


def save(content: bytes, path: Path) -> None:
    """Write what `encoded` gave.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    make_private_folder(path.parent)
    write_private(path, content)


def restore(pool: Pool, affinities: Affinities, path: Path, *, now: float, wall: float) -> str:
    """Take over what an earlier run has saved. Gives a warning for the log; empty when all is well or nothing there.

    What is about an account that went away, or has another key now, is passed over.
    """
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=Saved)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); cooldowns of the last run are forgotten"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"{path}: cannot be understood; cooldowns of the last run are forgotten"
    if saved.version != VERSION:
        return f"{path}: written by another version of bm; cooldowns of the last run are forgotten"
    before = {(each.provider, each.name): each for each in saved.accounts}
    moved = renamed(
        {seat: each.digest for seat, each in before.items()},
        {seat: digest(holder.credential) for seat, holder in pool.holders.items()},
    )
    for seat in pool.holders:
        if each := before.get(moved.get(seat, seat)):
            _take_over(pool, seat, each, now, wall)
    for turn in saved.affinity:
        affinities.set(turn.key, (turn.provider, turn.account), min(now, turn.at - wall + now))
    affinities.rename(moved)
    affinities.retain(pool.holders.keys())
    return ""


def _saved(seat: AccountId, holder: Holder, ahead: float) -> SavedAccount:
    provider, name = seat
    entries = [*holder.own.entries(), *holder.shared.entries()]
    return SavedAccount(
        provider=provider,
        name=name,
        digest=digest(holder.credential),
        project=holder.credential.account.project,
        last_used=None if holder.last_used is None else holder.last_used + ahead,
        today=holder.today,
        entries=tuple(_moved(entry, ahead) for entry in entries),
        health=tuple((at + ahead, mark != 0) for at, mark in holder.health.seen()),
        gauges=tuple(_of_clock(gauge, ahead) for gauge in holder.meter.every()),
    )


def _take_over(pool: Pool, seat: AccountId, saved: SavedAccount, now: float, wall: float) -> None:
    holder = pool.holders[seat]
    if digest(holder.credential) != saved.digest:
        return
    left = has_left(saved.project, holder.credential)
    holder.today = saved.today
    if saved.last_used is not None:
        holder.last_used = min(now, saved.last_used - wall + now)
    renewed = holder.credential.account.renewed_at
    void = renewed.timestamp() if renewed else float("-inf")
    kept = (
        entry
        for entry in saved.entries
        if (entry.kind not in ("out", "excluded") or entry.at >= void)
        and not (left and entry.shared and entry.account != saved.name)
    )
    # The clock may have been set back meanwhile: nothing was booked in the future.
    pool.adopt(seat, (_moved(entry, now - wall, latest=now) for entry in kept))
    # Marks tell the faults of running requests apart; -1 is none of theirs.
    holder.health.adopt((min(now, at - wall + now), -1 if fault else 0) for at, fault in saved.health)
    if not left:
        holder.meter.adopt(_of_clock(gauge, now - wall, latest=now + LONGEST[gauge.window]) for gauge in saved.gauges)


def _of_clock(gauge: Gauge, seconds: float, latest: float = float("inf")) -> Gauge:
    """The gauge by another clock, which is `seconds` ahead."""
    return msgspec.structs.replace(gauge, ends=min(gauge.ends + seconds, latest))


def _moved(entry: Booking, seconds: float, latest: float = float("inf")) -> Booking:
    """The entry by another clock, which is `seconds` ahead."""
    at, sent = min(entry.at + seconds, latest), min(entry.sent + seconds, latest)
    return msgspec.structs.replace(entry, at=at, sent=sent)

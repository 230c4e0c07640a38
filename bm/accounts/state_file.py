"""What the pool has learnt survives a restart: rests, refusals, health, use, limits, conversations.

state.json holds Unix times, since the monotonic clock begins anew with every boot, and a digest of each key instead
of the key. It is a convenience: one that cannot be read costs what was learnt, nothing else.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bm.accounts.account import AccountId
from bm.accounts.affinity import Affinities
from bm.accounts.cooldowns import CooldownEntry
from bm.accounts.pool import Pool, has_left
from bm.accounts.quota import LONGEST, Gauge
from bm.accounts.runtime import AccountRuntime, Tally, digest, renamed
from bm.config.files import make_private_folder, write_private
from bm.config.paths import Paths

VERSION = 1


class SavedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account. `entries`, `gauges` and `health` (when, and whether it was a fault) have Unix times."""

    provider: str
    name: str
    digest: str
    project: str = ""
    last_used: float | None = None
    today: Tally = Tally()
    entries: tuple[CooldownEntry, ...] = ()
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
    accounts = tuple(_saved(account_id, runtime, ahead) for account_id, runtime in pool.runtimes.items())
    turns = tuple(SavedTurn(key, *account_id, at + ahead) for key, account_id, at in affinities.items(now))
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
        {account_id: each.digest for account_id, each in before.items()},
        {account_id: digest(runtime.credential) for account_id, runtime in pool.runtimes.items()},
    )
    for account_id in pool.runtimes:
        if each := before.get(moved.get(account_id, account_id)):
            _take_over(pool, account_id, each, now, wall)
    for turn in saved.affinity:
        affinities.set(turn.key, (turn.provider, turn.account), min(now, turn.at - wall + now))
    affinities.rename(moved)
    affinities.retain(pool.runtimes.keys())
    return ""


def _saved(account_id: AccountId, runtime: AccountRuntime, ahead: float) -> SavedAccount:
    provider, name = account_id
    entries = [*runtime.own.entries(), *runtime.shared.entries()]
    return SavedAccount(
        provider=provider,
        name=name,
        digest=digest(runtime.credential),
        project=runtime.credential.account.project,
        last_used=None if runtime.last_used is None else runtime.last_used + ahead,
        today=runtime.today,
        entries=tuple(_moved(entry, ahead) for entry in entries),
        health=tuple((at + ahead, mark != 0) for at, mark in runtime.health.seen()),
        gauges=tuple(_of_clock(gauge, ahead) for gauge in runtime.meter.every()),
    )


def _take_over(pool: Pool, account_id: AccountId, saved: SavedAccount, now: float, wall: float) -> None:
    runtime = pool.runtimes[account_id]
    if digest(runtime.credential) != saved.digest:
        return
    left = has_left(saved.project, runtime.credential)
    runtime.today = saved.today
    if saved.last_used is not None:
        runtime.last_used = min(now, saved.last_used - wall + now)
    renewed = runtime.credential.account.renewed_at
    void = renewed.timestamp() if renewed else float("-inf")
    kept = (
        entry
        for entry in saved.entries
        if (entry.kind not in ("out", "excluded") or entry.at >= void)
        and not (left and entry.shared and entry.account != saved.name)
    )
    # The clock may have been set back meanwhile: nothing was booked in the future.
    pool.adopt(account_id, (_moved(entry, now - wall, latest=now) for entry in kept))
    # Marks tell the faults of running requests apart; -1 is none of theirs.
    runtime.health.adopt((min(now, at - wall + now), -1 if fault else 0) for at, fault in saved.health)
    if not left:
        runtime.meter.adopt(_of_clock(gauge, now - wall, latest=now + LONGEST[gauge.window]) for gauge in saved.gauges)


def _of_clock(gauge: Gauge, seconds: float, latest: float = float("inf")) -> Gauge:
    """The gauge by another clock, which is `seconds` ahead."""
    return msgspec.structs.replace(gauge, ends=min(gauge.ends + seconds, latest))


def _moved(entry: CooldownEntry, seconds: float, latest: float = float("inf")) -> CooldownEntry:
    """The entry by another clock, which is `seconds` ahead."""
    at, sent = min(entry.at + seconds, latest), min(entry.sent + seconds, latest)
    return msgspec.structs.replace(entry, at=at, sent=sent)

"""state.json, which carries the state of the pool over a restart: cooldowns, health, usage, limits, conversations.

It contains Unix times, because the monotonic clock restarts with the machine, and a digest of each key instead of the
key. A file that cannot be read only costs that state.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bm.accounts.affinity import Affinities
from bm.accounts.cooldowns import CooldownEntry
from bm.accounts.pool import Pool, has_left
from bm.accounts.quota import LONGEST, Gauge
from bm.accounts.runtime import AccountRuntime, Tally, digest, renamed
from bm.config.files import make_private_folder, write_private
from bm.config.paths import Paths
from bm.dispatch.target import AccountId
from bm.errors import UNREADABLE

VERSION = 2


class SavedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account. All times are Unix times; `health` lists times and whether each was a fault."""

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
    """The last turn of a conversation."""

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
    """The path of the file, next to the ledger."""
    return paths.ledger.with_name("state.json")


def encoded(pool: Pool, affinities: Affinities, *, now: float, wall: float) -> bytes:
    """The content of the file. `affinities` must use the clock of `now`."""
    ahead = wall - now
    accounts = tuple(_saved(account_id, runtime, ahead) for account_id, runtime in pool.runtimes.items())
    turns = tuple(SavedTurn(key, *account_id, at + ahead) for key, account_id, at in affinities.items(now))
    return msgspec.json.encode(Saved(accounts=accounts, affinity=turns))


def save(content: bytes, path: Path) -> None:
    """Write the file.

    Raises:
        OSError: it cannot be written. The file is unchanged.
    """
    make_private_folder(path.parent)
    write_private(path, content)


def restore(pool: Pool, affinities: Affinities, path: Path, *, now: float, wall: float) -> str:
    """Restore what an earlier run has saved. Returns a warning for the log, empty without one.

    Accounts that were removed, or have another key now, are skipped.
    """
    try:
        saved = msgspec.json.decode(path.read_bytes(), type=Saved)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); the cooldowns of the last run are lost"
    except UNREADABLE:
        return f"{path}: is not valid; the cooldowns of the last run are lost"
    if saved.version != VERSION:
        return f"{path}: written by another version of bm; the cooldowns of the last run are lost"
    before = {(each.provider, each.name): each for each in saved.accounts}
    moved = renamed(
        {account_id: each.digest for account_id, each in before.items()},
        {account_id: digest(runtime.credential) for account_id, runtime in pool.runtimes.items()},
    )
    for account_id in pool.runtimes:
        if each := before.get(moved.get(account_id, account_id)):
            _restore_account(pool, account_id, each, now, wall)
    for turn in saved.affinity:
        affinities.learn(turn.key, (turn.provider, turn.account), min(now, turn.at - wall + now))
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
        entries=tuple(shifted(entry, ahead) for entry in entries),
        health=tuple((at + ahead, id != 0) for at, id in runtime.health.seen()),
        gauges=tuple(_shifted_gauge(gauge, ahead) for gauge in runtime.meter.all()),
    )


def _restore_account(pool: Pool, account_id: AccountId, saved: SavedAccount, now: float, wall: float) -> None:
    runtime = pool.runtimes[account_id]
    if digest(runtime.credential) != saved.digest:
        return
    left = has_left(saved.project, runtime.credential)
    runtime.today = saved.today
    if saved.last_used is not None:
        runtime.last_used = runtime.waiting_since = min(now, saved.last_used - wall + now)
        runtime.touch()
    renewed = runtime.credential.account.renewed_at
    void = renewed.timestamp() if renewed else float("-inf")
    kept = (
        entry
        for entry in saved.entries
        if entry.at >= void and not (left and entry.shared and entry.account != saved.name)
    )
    # The clock may have been set back meanwhile: no entry may lie in the future.
    pool.restore(account_id, (shifted(entry, now - wall, latest=now) for entry in kept))
    # Faults of running requests have positive ids.
    runtime.health.merge((min(now, at - wall + now), -1 if fault else 0) for at, fault in saved.health)
    if not left:
        gauges = (_shifted_gauge(each, now - wall, latest=now + LONGEST[each.window]) for each in saved.gauges)
        runtime.meter.merge(gauges)


def _shifted_gauge(gauge: Gauge, seconds: float, latest: float = float("inf")) -> Gauge:
    """The gauge by a clock that is `seconds` ahead."""
    return msgspec.structs.replace(gauge, ends=min(gauge.ends + seconds, latest))


def shifted(entry: CooldownEntry, seconds: float, latest: float = float("inf")) -> CooldownEntry:
    """The entry by a clock that is `seconds` ahead."""
    at, sent = min(entry.at + seconds, latest), min(entry.sent + seconds, latest)
    return msgspec.structs.replace(entry, at=at, sent=sent)

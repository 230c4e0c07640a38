"""The state of the pool survives a restart, by the wall clock."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bm.accounts.affinity import Affinities
from bm.accounts.credentials import Credential
from bm.accounts.pool import Pool
from bm.accounts.report import rows
from bm.accounts.state_file import encoded, restore, save, state_path
from bm.config.paths import Paths
from tests.accounts.build import DAY, NOON, apply, credential, target, usable

SECRET = "planted-secret-value-0123456789"

BOOT = 1_000_000.0
"""The first run's monotonic clock shows this at NOON; the second run's shows 50 then."""


@pytest.fixture
def path(bm_home: Path) -> Path:
    return state_path(Paths.under(bm_home / "deep"))


def conversations() -> Affinities:
    return Affinities(size=9, ttl=100)


def saved(path: Path) -> None:
    """A run that ends 10 s after NOON."""
    pool = Pool(again("a", "b"))
    account_ids = conversations()
    apply(pool, "cooldown", BOOT, seconds=60, wall=NOON)
    apply(pool, "excluded", BOOT, to=target(model="n"), wall=NOON)
    apply(pool, "disabled", BOOT, to=target("b"), wall=NOON)
    pool.begin(target("a"), now=BOOT + 5, wall=NOON + 5)
    account_ids.set("talk", ("gemini", "a"), BOOT + 5)
    account_ids.set("old", ("gemini", "a"), BOOT - 95)
    save(encoded(pool, account_ids, now=BOOT + 10, wall=NOON + 10), path)


def run(path: Path, *credentials: Credential, wall: float = NOON + 20, now: float = 70.0) -> tuple[Pool, Affinities]:
    pool, account_ids = Pool(credentials), conversations()
    assert restore(pool, account_ids, path, now=now, wall=wall) == ""
    return pool, account_ids


def again(*names: str) -> list[Credential]:
    return [credential(name, key=SECRET + name) for name in names]


def test_cooldowns_refusals_exclusions_and_counts_survive(path: Path) -> None:
    saved(path)
    pool, _ = run(path, *again("a", "b"))
    assert [usable(pool, now) for now in (70, 109.9, 110.1)] == [False, False, True]
    assert not usable(pool, 5000, target(model="n"))
    assert not usable(pool, 5000, target("b"))
    row = rows(pool, now=70, wall=NOON + 20)[0]
    assert (row.requests_today, row.failures_today, row.last_used, row.inflight) == (1, 2, NOON + 5, 0)


def test_conversations_survive_within_their_lifetime(path: Path) -> None:
    saved(path)
    _, account_ids = run(path, *again("a", "b"))
    assert (account_ids.get("talk", 154), account_ids.get("old", 70)) == (("gemini", "a"), None)
    assert account_ids.get("talk", 156) is None


def test_a_cooldown_continues_while_bm_is_down(path: Path) -> None:
    saved(path)
    pool, _ = run(path, *again("a", "b"), wall=NOON + 61)
    assert usable(pool, 70)


def test_state_of_another_key_or_a_removed_account_is_skipped(path: Path) -> None:
    saved(path)
    pool, account_ids = run(path, credential("b", key="another"))
    assert usable(pool, 70, target("b"))
    assert len(account_ids) == 0


def test_a_renamed_account_is_found_by_its_key(path: Path) -> None:
    saved(path)
    pool, account_ids = run(path, credential("work", key=f"{SECRET}a"), *again("b"))
    assert [usable(pool, now, target("work")) for now in (70, 109.9, 110.1)] == [False, False, True]
    assert account_ids.get("talk", 154) == ("gemini", "work")


def test_an_account_that_changed_project_keeps_only_its_own_cooldowns(path: Path) -> None:
    def tagged(name: str, project: str) -> Credential:
        return credential(name, project=project)

    pool = Pool([tagged("a", "p"), tagged("b", "p")])
    apply(pool, "cooldown", BOOT, to=target("b"), seconds=600, wall=NOON)
    pool.begin(target("b"), now=BOOT, wall=NOON)
    save(encoded(pool, conversations(), now=BOOT, wall=NOON), path)
    pool, _ = run(path, tagged("a", "q"), tagged("b", "p"))
    assert [usable(pool, 70, target(name)) for name in "ab"] == [True, False]
    assert not list(pool.runtimes["gemini", "a"].meter.all())
    pool, _ = run(path, tagged("a", "q"), tagged("b", "q"))
    assert [usable(pool, 70, target(name)) for name in "ab"] == [False, False]


def test_an_account_renewed_meanwhile_is_usable(path: Path) -> None:
    saved(path)
    for at, in_use in ((NOON - 1, False), (NOON + 1, True)):
        old = again("b")[0]
        account = msgspec.structs.replace(old.account, renewed_at=datetime.fromtimestamp(at, UTC))
        pool, _ = run(path, Credential(account=account, secret=old.secret))
        assert usable(pool, 70, target("b")) is in_use


def test_shared_cooldowns_of_a_project_are_restored_once(path: Path) -> None:
    names = [credential(name, project="p") for name in "ab"]
    pool = Pool(names)
    apply(pool, "backoff", 0)
    save(encoded(pool, conversations(), now=1, wall=NOON + 1), path)
    pool, _ = run(path, *names, now=1, wall=NOON + 1)
    assert [usable(pool, 1, target(name)) for name in "ab"] == [False, False]
    assert len(list(pool.runtimes["gemini", "a"].shared.entries())) == 1
    assert apply(pool, "backoff", 2.5).seconds == 4


def test_a_clock_that_was_set_back_lengthens_no_cooldown(path: Path) -> None:
    saved(path)
    pool, account_ids = run(path, *again("a", "b"), wall=NOON - 500)
    assert [usable(pool, now) for now in (129, 131)] == [False, True]
    assert account_ids.get("talk", 169) == ("gemini", "a")


def test_a_clock_that_was_set_back_by_years_leaves_no_count_for_years(path: Path) -> None:
    pool = Pool(again("a"))
    lease = pool.begin(target("a"), now=BOOT, wall=NOON)
    lease.runtime.meter.learn(DAY, 250, left=0, resets=None, now=BOOT, wall=NOON)
    save(encoded(pool, conversations(), now=BOOT, wall=NOON), path)
    pool, _ = run(path, *again("a"), wall=NOON - 10 * 365 * 86_400)
    assert [each.used for each in pool.runtimes["gemini", "a"].meter.gauges(70 + 26 * 3600)] == [0]


def test_a_rollback_leaves_restored_entries(path: Path) -> None:
    saved(path)
    pool, _ = run(path, *again("a", "b"))
    pool.roll_back([apply(pool, "cooldown", 70, seconds=500)])
    assert [usable(pool, now) for now in (109, 111)] == [False, True]


def test_nothing_saved_is_nothing_to_restore(path: Path) -> None:
    pool, account_ids = run(path, *again("a"))
    assert usable(pool, 70)
    assert len(account_ids) == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"version":"x"}',
        b'{"version":9}',
        b'{"accounts":[{"name":5}]}',
        b'{"accounts":[{"provider":"gemini","name":"a","digest":"d","entries":[{"kind":"?"}]}]}',
        b'{"affinity":[["x"]]}',
    ],
)
def test_a_file_that_cannot_be_understood_is_a_warning(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    pool, account_ids = Pool(again("a")), conversations()
    assert restore(pool, account_ids, path, now=0, wall=NOON).startswith(f"{path}: ")
    assert usable(pool, 0)


def test_a_folder_in_its_place_is_a_warning(path: Path) -> None:
    path.mkdir(parents=True)
    assert "cannot be read" in restore(Pool(), conversations(), path, now=0, wall=NOON)


def test_the_file_contains_no_key_and_is_private(path: Path) -> None:
    saved(path)
    assert SECRET.encode() not in path.read_bytes()
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent == Paths.under(path.parent).ledger.parent


def test_health_survives(path: Path) -> None:
    pool = Pool(again("a"))
    for at in (BOOT, BOOT + 1):
        apply(pool, "fault", at, wall=NOON)
    save(encoded(pool, conversations(), now=BOOT + 10, wall=NOON + 10), path)
    pool, _ = run(path, *again("a"))
    assert [round(pool.states(now)["gemini"][0].health, 2) for now in (70, 70 + 281)] == [0.67, 1]


def test_usage_and_learned_limits_survive(path: Path) -> None:
    pool = Pool(again("a"))
    lease = pool.begin(target("a"), now=BOOT, wall=NOON)
    lease.runtime.meter.learn(DAY, 250, left=240, resets=None, now=BOOT, wall=NOON)
    save(encoded(pool, conversations(), now=BOOT + 10, wall=NOON + 10), path)
    pool, _ = run(path, *again("a"), wall=NOON + 70, now=120)
    pool.begin(target("a"), now=120, wall=NOON + 70)
    quotas = rows(pool, now=120, wall=NOON + 70)[0].quotas
    shown = {each.window: (each.used, each.limit, each.resets) for each in quotas}
    assert shown == {"minute": (1, None, NOON + 130), "day": (11, 250, NOON + 12 * 3600)}

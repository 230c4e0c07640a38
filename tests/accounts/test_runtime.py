"""The state of one account: its two cooldown logs, its health, its digest."""

from __future__ import annotations

from bm.accounts.account import Account, OAuthClient
from bm.accounts.cooldowns import CooldownEntry, CooldownLog
from bm.accounts.credentials import Credential
from bm.accounts.quota import Meter
from bm.accounts.runtime import MAX_SEEN, WINDOW, AccountRuntime, Health, Tally, digest
from tests.accounts.build import credential

SECRET = "planted-secret-value"


def delay(seconds: float, reason: str) -> CooldownEntry:
    return CooldownEntry(id=1, kind="delay", model="m", at=0, sent=0, reason=reason, seconds=seconds)


def test_the_longer_cooldown_of_both_logs_counts() -> None:
    runtime = AccountRuntime(credential("a"), CooldownLog(), Meter())
    runtime.own.add(delay(5, "own"))
    runtime.shared.add(delay(20, "shared"))
    assert (runtime.model_state("m", 4).cooldown, runtime.model_state("m", 4).reason) == (16, "shared")
    runtime.own.add(delay(30, "own"))
    assert (runtime.model_state("m", 4).cooldown, runtime.model_state("m", 4).reason) == (26, "own")


def test_only_impaired_models_are_in_the_state() -> None:
    runtime = AccountRuntime(credential("a"), CooldownLog(), Meter())
    runtime.own.add(delay(5, "own"))
    assert set(runtime.state(4).states) == {"m"}
    assert runtime.state(5).states == {}


def test_a_tally_is_of_one_day() -> None:
    tally = Tally("2026-01-01", 5, 2)
    assert tally.on("2026-01-01") == tally
    assert tally.on("2026-01-02") == Tally("2026-01-02")


def test_a_digest_distinguishes_keys_without_revealing_them() -> None:
    assert digest(credential("a", key=SECRET)) == digest(credential("b", key=SECRET))
    assert digest(credential("a", key=SECRET)) != digest(credential("a", key=f"{SECRET}2"))
    assert SECRET not in digest(credential("a", key=SECRET))


def test_a_sign_in_stays_the_same_when_its_token_is_exchanged() -> None:
    def signed_in(key: str, client: str = "c", location: str = "") -> Credential:
        account = Account(name="a", kind="google_oauth", key=key, client=OAuthClient(id=client), location=location)
        return Credential(account=account, secret=key)

    assert digest(signed_in("one")) == digest(signed_in("two"))
    assert len({digest(each) for each in (signed_in("k"), signed_in("k", "d"), signed_in("k", location="us"))}) == 3


def health(*, faults: int = 0, good: int = 0, at: float = 0.0) -> Health:
    made = Health()
    for id in range(1, faults + 1):
        made.fault(at, id)
    for _ in range(good):
        made.good(at)
    return made


def test_a_single_fault_is_no_weakness() -> None:
    assert health().score(0) == health(good=3).score(0) == 1
    assert health(faults=1).score(0) == 0.8


def test_five_faults_in_a_row_are_one() -> None:
    assert health(faults=4).score(0) == 0.5
    assert health(faults=5).score(0) < 0.5
    assert health(faults=5, good=5).score(0) > 0.5


def test_older_faults_do_not_count() -> None:
    made = health(faults=9)
    assert made.score(WINDOW - 1) < 0.5
    assert made.score(WINDOW) == 1


def test_only_the_latest_are_remembered() -> None:
    made = health(faults=MAX_SEEN)
    for _ in range(MAX_SEEN):
        made.good(1)
    assert made.score(1) == 1


def test_removed_faults_leave_no_trace() -> None:
    made = health(faults=3, good=2)
    made.remove(frozenset({1, 3}))
    assert made.score(0) == health(faults=1, good=2).score(0)

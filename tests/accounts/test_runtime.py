"""One account at runtime: what its two books say together, and how its key is told apart."""

from __future__ import annotations

from bm.accounts.account import Account, OAuthClient
from bm.accounts.book import CooldownLog
from bm.accounts.cooldowns import CooldownEntry
from bm.accounts.credential import Credential
from bm.accounts.quota import Meter
from bm.accounts.runtime import AccountRuntime, Tally, digest
from tests.accounts.build import credential

SECRET = "planted-secret-value"


def rest(seconds: float, reason: str) -> CooldownEntry:
    return CooldownEntry(id=1, kind="rest", model="m", at=0, sent=0, reason=reason, seconds=seconds)


def test_the_longer_rest_of_both_books_counts() -> None:
    runtime = AccountRuntime(credential("a"), CooldownLog(), Meter())
    runtime.own.add(rest(5, "own"))
    runtime.shared.add(rest(20, "shared"))
    assert (runtime.model_state("m", 4).cooldown, runtime.model_state("m", 4).reason) == (16, "shared")
    runtime.own.add(rest(30, "own"))
    assert (runtime.model_state("m", 4).cooldown, runtime.model_state("m", 4).reason) == (26, "own")


def test_only_what_is_not_in_order_is_told() -> None:
    runtime = AccountRuntime(credential("a"), CooldownLog(), Meter())
    runtime.own.add(rest(5, "own"))
    assert set(runtime.state(4).states) == {"m"}
    assert runtime.state(5).states == {}


def test_a_tally_is_of_one_day() -> None:
    tally = Tally("2026-01-01", 5, 2)
    assert tally.on("2026-01-01") == tally
    assert tally.on("2026-01-02") == Tally("2026-01-02")


def test_a_digest_tells_keys_apart_and_tells_no_key() -> None:
    assert digest(credential("a", key=SECRET)) == digest(credential("b", key=SECRET))
    assert digest(credential("a", key=SECRET)) != digest(credential("a", key=f"{SECRET}2"))
    assert SECRET not in digest(credential("a", key=SECRET))


def test_a_sign_in_stays_the_same_when_its_token_is_exchanged() -> None:
    def signed_in(key: str, client: str = "c", location: str = "") -> Credential:
        account = Account(name="a", kind="google_oauth", key=key, client=OAuthClient(id=client), location=location)
        return Credential(account=account, secret=key)

    assert digest(signed_in("one")) == digest(signed_in("two"))
    assert len({digest(each) for each in (signed_in("k"), signed_in("k", "d"), signed_in("k", location="us"))}) == 3

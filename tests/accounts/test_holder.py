"""One account at runtime: what its two books say together, and how its key is told apart."""

from __future__ import annotations

from bm.accounts.account import Account, OAuthClient
from bm.accounts.book import Book
from bm.accounts.booking import Booking
from bm.accounts.credential import Credential
from bm.accounts.holder import Holder, Tally, digest
from bm.accounts.meter import Meter
from tests.accounts.build import credential

SECRET = "planted-secret-value"


def rest(seconds: float, reason: str) -> Booking:
    return Booking(id=1, kind="rest", model="m", at=0, sent=0, reason=reason, seconds=seconds)


def test_the_longer_rest_of_both_books_counts() -> None:
    holder = Holder(credential("a"), Book(), Meter())
    holder.own.add(rest(5, "own"))
    holder.shared.add(rest(20, "shared"))
    assert (holder.model_state("m", 4).cooldown, holder.model_state("m", 4).reason) == (16, "shared")
    holder.own.add(rest(30, "own"))
    assert (holder.model_state("m", 4).cooldown, holder.model_state("m", 4).reason) == (26, "own")


def test_only_what_is_not_in_order_is_told() -> None:
    holder = Holder(credential("a"), Book(), Meter())
    holder.own.add(rest(5, "own"))
    assert set(holder.state(4).states) == {"m"}
    assert holder.state(5).states == {}


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

"""One bad request and three accounts that serve no other request meanwhile."""

from __future__ import annotations

import pytest

from bm.accounts.pool import Lease, Pool
from bm.dispatch.outcome import AccountEffect, EffectKind
from tests.accounts.build import NOON, apply, credential, target

BAD, GOOD, OTHER = 1, 2, 3
NAMES = "abc"


def pool(*worked: str) -> Pool:
    made = Pool([credential(name) for name in NAMES])
    for name in worked or NAMES:
        apply(made, "answered", 0, to=target(name))
    return made


def refused(made: Pool, now: float = 10, kind: EffectKind = "cooldown", asking: int = BAD) -> None:
    """The bad request goes round the pool, each refusal half a second after it was sent."""
    leases: list[Lease] = []
    for name in NAMES:
        leases.append(said(made, name, kind, now, asking))
        made.suspect(leases, now=now)


def said(made: Pool, name: str, kind: EffectKind, now: float, asking: int) -> Lease:
    sent = now - 0.5
    lease = made.begin(target(name), now=sent, wall=NOON + sent, fingerprint=asking)
    lease.end()
    lease.apply(AccountEffect(kind, 600, "it said so"), now=now, wall=NOON + now)
    return lease


def states(made: Pool, now: float, asking: int) -> list[str]:
    found = [account.state("m") for account in made.states(now, asking)["gemini"]]
    return ["cooling" if state.cooldown else state.circuit for state in found]


def test_another_request_may_try_and_an_answer_clears_all() -> None:
    made = pool()
    refused(made)
    assert states(made, 20, GOOD) == ["half_open"] * 3
    assert made.cooldown_left(target("a"), 20, GOOD) == 0
    said(made, "a", "answered", 20, GOOD)
    assert states(made, 20, BAD) == states(made, 20, GOOD) == ["closed"] * 3


def test_the_bad_request_sent_again_finds_the_accounts_cooling_down() -> None:
    made = pool()
    refused(made)
    assert states(made, 20, BAD) == ["cooling"] * 3
    assert made.cooldown_left(target("a"), 20, BAD) == 590


def test_one_request_probes_and_the_others_wait_for_its_result() -> None:
    made = pool()
    refused(made)
    lease = made.begin(target("a"), now=20, wall=NOON + 20, fingerprint=GOOD)
    assert states(made, 20, OTHER) == ["open"] * 3
    assert made.cooldown_left(target("b"), 20, OTHER) == 1
    lease.end()
    assert states(made, 20, OTHER) == ["half_open"] * 3, "the probe had no result"


@pytest.mark.parametrize("kind", ["cooldown", "backoff", "overload", "daily"])
def test_a_refusal_of_the_other_request_confirms_the_cooldowns(kind: EffectKind) -> None:
    made = pool()
    refused(made)
    said(made, "a", kind, 20, GOOD)
    assert states(made, 20, OTHER) == ["cooling"] * 3
    assert made.cooldown_left(target("b"), 20, OTHER) == 590


def test_an_answer_to_an_earlier_request_proves_nothing() -> None:
    made = pool()
    refused(made)
    apply(made, "answered", 20, to=target("a"), sent=9, fingerprint=GOOD)
    assert states(made, 20, BAD) == ["cooling"] * 3


def test_a_request_that_the_provider_answers_is_no_longer_suspect() -> None:
    made = pool()
    refused(made)
    apply(made, "answered", 15, to=target("c", "another"), sent=14)
    apply(made, "answered", 15, to=target("c"), sent=14, fingerprint=BAD)
    assert states(made, 20, GOOD) == ["cooling"] * 3


@pytest.mark.parametrize("worked", ["a", "b"])
def test_accounts_that_have_not_worked_lately_are_not_probed(worked: str) -> None:
    made = pool(worked)
    refused(made)
    assert states(made, 20, GOOD) == ["cooling"] * 3
    late = pool()
    refused(late, now=301)
    assert states(late, 310, GOOD) == ["cooling"] * 3


def test_cooldowns_of_other_causes_stay() -> None:
    made = pool()
    apply(made, "cooldown", 5, to=target("b"), seconds=100)
    refused(made)
    assert states(made, 20, GOOD) == ["half_open", "cooling", "half_open"]
    said(made, "a", "answered", 20, GOOD)
    assert states(made, 20, GOOD) == ["closed", "cooling", "closed"]


def test_health_is_cleared_too() -> None:
    made = pool()
    refused(made, kind="fault")
    assert min(account.health for account in made.states(20)["gemini"]) < 1
    said(made, "a", "answered", 20, GOOD)
    assert [account.health for account in made.states(20)["gemini"]] == [1, 1, 1]


def test_effects_of_the_bad_request_sent_again_are_cleared_too() -> None:
    made = pool()
    refused(made, 10, kind="fault")
    refused(made, 12, kind="fault")
    said(made, "a", "answered", 20, GOOD)
    assert [account.health for account in made.states(20)["gemini"]] == [1, 1, 1]


def test_another_model_of_the_accounts_is_not_affected() -> None:
    made = pool()
    apply(made, "cooldown", 5, to=target("a", "another"), seconds=100)
    refused(made)
    assert made.cooldown_left(target("a", "another"), 20, GOOD) == 85
    apply(made, "answered", 20, to=target("b", "another"))
    assert states(made, 20, BAD) == ["cooling"] * 3


def test_after_a_sleep_no_request_is_suspect() -> None:
    made = pool()
    refused(made)
    made.age(100)
    assert states(made, 20, GOOD) == ["cooling"] * 3


def test_a_request_is_suspect_as_long_as_the_cooldowns() -> None:
    made = pool()
    refused(made)
    assert states(made, 611, GOOD) == ["closed"] * 3
    assert not made.cooldown_left(target("a"), 611, BAD)


def test_one_suspect_request_does_not_hide_another() -> None:
    made = pool()
    made.suspect([said(made, name, "fault", 9, OTHER) for name in NAMES], now=9)
    refused(made)
    assert states(made, 20, GOOD) == ["half_open"] * 3

"""One bad request in quiet use: three accounts, nobody else asking."""

from __future__ import annotations

import pytest

from bm.accounts.pool import Pool, Receipt
from bm.dispatch.outcome import EffectKind
from tests.accounts.build import NOON, book, credential, effect, target

BAD, GOOD, OTHER = 1, 2, 3
NAMES = "abc"


def pool(*worked: str) -> Pool:
    made = Pool([credential(name) for name in NAMES])
    for name in worked or NAMES:
        book(made, "answered", 0, to=target(name))
    return made


def refused(made: Pool, now: float = 10, kind: EffectKind = "cooldown", asking: int = BAD) -> None:
    """The bad request goes round the pool, each refusal half a second after it was sent."""
    marks: dict[str, list[Receipt]] = {}
    for name in NAMES:
        marks[name] = [said(made, name, kind, now, asking)]
        made.suspect({target(each): found for each, found in marks.items()}, now=now, asking=asking)


def said(made: Pool, name: str, kind: EffectKind, now: float, asking: int) -> Receipt:
    sent = now - 0.5
    made.begin(target(name), now=sent, wall=NOON + sent, asking=asking)
    made.done(target(name))
    return made.book(target(name), effect(kind, 600), now=now, wall=NOON + now, roll=0, sent=sent, asking=asking)


def states(made: Pool, now: float, asking: int) -> list[str]:
    found = [account.state("m") for account in made.facts(now, asking)["gemini"]]
    return ["rests" if state.cooldown else state.circuit for state in found]


def test_another_request_may_try_and_an_answer_clears_all() -> None:
    made = pool()
    refused(made)
    assert states(made, 20, GOOD) == ["half_open"] * 3
    assert made.rest(target("a"), 20, GOOD) == 0
    said(made, "a", "answered", 20, GOOD)
    assert states(made, 20, BAD) == states(made, 20, GOOD) == ["closed"] * 3


def test_the_bad_request_sent_again_finds_the_accounts_resting() -> None:
    made = pool()
    refused(made)
    assert states(made, 20, BAD) == ["rests"] * 3
    assert made.rest(target("a"), 20, BAD) == 590


def test_one_request_tries_and_the_others_wait_for_what_becomes_of_it() -> None:
    made = pool()
    refused(made)
    made.begin(target("a"), now=20, wall=NOON + 20, asking=GOOD)
    assert states(made, 20, OTHER) == ["open"] * 3
    assert made.rest(target("b"), 20, OTHER) == 1
    made.done(target("a"))
    assert states(made, 20, OTHER) == ["half_open"] * 3, "it told nothing: its client left, or it was wrong itself"


@pytest.mark.parametrize("kind", ["cooldown", "backoff", "overload", "daily"])
def test_a_refusal_of_the_other_request_confirms_the_rests(kind: EffectKind) -> None:
    made = pool()
    refused(made)
    said(made, "a", kind, 20, GOOD)
    assert states(made, 20, OTHER) == ["rests"] * 3
    assert made.rest(target("b"), 20, OTHER) == 590


def test_an_answer_to_what_went_out_before_says_nothing() -> None:
    made = pool()
    refused(made)
    made.book(target("a"), effect("answered"), now=20, wall=NOON + 20, roll=0, sent=9, asking=GOOD)
    assert states(made, 20, BAD) == ["rests"] * 3


def test_the_request_is_acquitted_when_the_provider_answers_it() -> None:
    made = pool()
    refused(made)
    book(made, "answered", 15, to=target("c", "another"), sent=14)
    made.book(target("c"), effect("answered"), now=15, wall=NOON + 15, roll=0, sent=14, asking=BAD)
    assert states(made, 20, GOOD) == ["rests"] * 3


@pytest.mark.parametrize("worked", ["a", "b"])
def test_accounts_that_have_not_worked_lately_rest(worked: str) -> None:
    made = pool(worked)
    refused(made)
    assert states(made, 20, GOOD) == ["rests"] * 3
    late = pool()
    refused(late, now=301)
    assert states(late, 310, GOOD) == ["rests"] * 3


def test_rests_of_other_causes_stand() -> None:
    made = pool()
    book(made, "cooldown", 5, to=target("b"), seconds=100)
    refused(made)
    assert states(made, 20, GOOD) == ["half_open", "rests", "half_open"]
    said(made, "a", "answered", 20, GOOD)
    assert states(made, 20, GOOD) == ["closed", "rests", "closed"]


def test_health_is_cleared_too() -> None:
    made = pool()
    refused(made, kind="strike")
    assert min(account.health for account in made.facts(20)["gemini"]) < 1
    said(made, "a", "answered", 20, GOOD)
    assert [account.health for account in made.facts(20)["gemini"]] == [1, 1, 1]


def test_what_the_bad_request_did_when_it_was_sent_again_is_cleared_with_the_rest() -> None:
    made = pool()
    refused(made, 10, kind="strike")
    refused(made, 12, kind="strike")
    said(made, "a", "answered", 20, GOOD)
    assert [account.health for account in made.facts(20)["gemini"]] == [1, 1, 1]


def test_another_model_of_the_accounts_is_no_part_of_it() -> None:
    made = pool()
    book(made, "cooldown", 5, to=target("a", "another"), seconds=100)
    refused(made)
    assert made.rest(target("a", "another"), 20, GOOD) == 85
    book(made, "answered", 20, to=target("b", "another"))
    assert states(made, 20, BAD) == ["rests"] * 3


def test_after_a_sleep_nobody_is_on_trial() -> None:
    made = pool()
    refused(made)
    made.slept(100)
    assert states(made, 20, GOOD) == ["rests"] * 3


def test_a_trial_ends_with_the_rests() -> None:
    made = pool()
    refused(made)
    assert states(made, 611, GOOD) == ["closed"] * 3
    assert not made.rest(target("a"), 611, BAD)


def test_a_trial_hides_no_other_one() -> None:
    made = pool()
    made.suspect({target(name): [Receipt(id=900, seconds=600)] for name in NAMES}, now=9, asking=OTHER)
    refused(made)
    assert states(made, 20, GOOD) == ["half_open"] * 3

from __future__ import annotations

import pytest

from bm.dispatch.snapshot import ANY_MODEL, AccountState, ModelState
from tests.dispatch.world import gemini, paid

WELL = ModelState()
REST = ModelState(cooldown=5)
LONG = ModelState(cooldown=50)
CLOSED = ModelState(excluded="limit: 0")
HALF = ModelState(circuit="half_open")


@pytest.mark.parametrize(
    ("whole", "own", "counts"),
    [
        (WELL, WELL, WELL),
        (REST, WELL, REST),
        (WELL, REST, REST),
        (REST, LONG, LONG),
        (LONG, REST, LONG),
        (LONG, CLOSED, CLOSED),
        (WELL, HALF, HALF),
    ],
)
def test_what_rests_longer_counts(whole: ModelState, own: ModelState, counts: ModelState) -> None:
    account = AccountState(name="a", states={ANY_MODEL: whole, "m": own})
    assert account.state("m") == counts


def test_one_model_resting_leaves_the_others() -> None:
    assert AccountState(name="a", states={"m": REST}).state("n") == WELL


def test_a_service_without_keys_has_a_seat_all_the_same() -> None:
    local = paid("ollama", "fallback", auth="none")
    assert [candidate.name for candidate in type(local)(provider=local.provider).account_states] == ["local"]
    assert [candidate.name for candidate in local.account_states] == ["key"]
    assert gemini().account_states == ()

from __future__ import annotations

import pytest

from bm.dispatch.snapshot import ANY_MODEL, AccountState, ModelState
from tests.dispatch.world import gemini, paid

USABLE = ModelState()
SHORT = ModelState(cooldown=5)
LONG = ModelState(cooldown=50)
CLOSED = ModelState(excluded="limit: 0")
HALF = ModelState(circuit="half_open")


@pytest.mark.parametrize(
    ("every", "own", "counts"),
    [
        (USABLE, USABLE, USABLE),
        (SHORT, USABLE, SHORT),
        (USABLE, SHORT, SHORT),
        (SHORT, LONG, LONG),
        (LONG, SHORT, LONG),
        (LONG, CLOSED, CLOSED),
        (USABLE, HALF, HALF),
    ],
)
def test_the_longer_cooldown_counts(every: ModelState, own: ModelState, counts: ModelState) -> None:
    state = AccountState(name="a", states={ANY_MODEL: every, "m": own})
    assert state.state("m") == counts


def test_the_cooldown_of_one_model_leaves_the_others() -> None:
    assert AccountState(name="a", states={"m": SHORT}).state("n") == USABLE


def test_a_service_without_keys_always_has_an_account() -> None:
    local = paid("ollama", "fallback", auth="none")
    assert [account.name for account in type(local)(provider=local.provider).account_states] == ["local"]
    assert [account.name for account in local.account_states] == ["key"]
    assert gemini().account_states == ()

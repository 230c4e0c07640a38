"""Every fault of the catalogue is mended for every client, over real sockets."""

from __future__ import annotations

import pytest

from tests.gateway.world import World
from tests.reliability.faults import Case, cases, play


@pytest.mark.parametrize("case", list(cases()), ids=str)
def test_the_fault_is_mended(world: World, case: Case) -> None:
    outcome = play(world, case)
    assert not outcome.faults, (outcome.faults, outcome.answer.body[-2000:])

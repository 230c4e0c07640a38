"""Everything that requests change arrives in the other daemon."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from bm.chat.signature import Signature
from bm.config.paths import Paths, make_folders
from bm.gateway.services import Services
from bm.gateway.settings import read_settings
from bm.keys.spending import Used
from bm.server import changes
from bm.server.changes import Changes, Watch, merge

SIGNED = Signature(value="c2lnbmF0dXJl", vendor="gemini")


@pytest.fixture
async def two(bm_home: Path) -> tuple[Services, Services]:
    paths = Paths.under(bm_home)
    make_folders(paths)
    settings = read_settings(paths)
    return Services(settings), Services(settings)


def carried(watch: Watch, new: Services) -> Changes:
    """What has changed, after it was sent and applied."""
    found = watch.changes()
    merge(new, msgspec.json.decode(msgspec.json.encode(found), type=Changes))
    return found


async def test_signatures_responses_interactions_and_what_is_learned(two: tuple[Services, Services]) -> None:
    old, new = two
    response = {"id": "resp_1", "output": []}
    old.responses.keep(b'{"model": "m", "input": "before"}', response)
    watch = Watch(old)
    old.signatures.keep({"call_1": SIGNED})
    old.responses.keep(b'{"model": "m", "input": "after"}', {**response, "id": "resp_2"})
    old.interactions.keep({"id": "int_1", "steps": []}, [])
    old.calibration.learn(("gemini", "m"), 1000, 1500)
    carried(watch, new)
    assert [each.key for each in new.signatures.latest(100)] == ["call_1"]
    assert new.responses.items("resp_1") and new.responses.items("resp_2")
    assert new.interactions.get("int_1") is not None
    assert new.calibration.correct(("gemini", "m"), 100) == 150
    assert carried(watch, new) == Changes()


async def test_what_was_spent(bm_home: Path) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    paths.config.write_text('[budgets]\ntotal = "9/day"\nkeys = { main = "1M tokens/hour" }\n')
    old, new = (Services(read_settings(paths)) for _ in range(2))
    now = time.time()
    old.spending.hold("main").settle([Used("groq", 8.0, 1)], now, at=now)
    watch = Watch(old)
    old.spending.hold("main").settle([Used("groq", 0.5, 700), Used("gemini", 0.25, 30)], now, at=now)
    old.spending.hold("ci").settle([Used("groq", 1.0, 5)], now, at=now - 86_400 * 2)
    carried(watch, new)
    assert [budget.spent for budget in new.spending] == [0.75, 730]
    assert carried(watch, new) == Changes()


async def test_many_responses_are_sent_in_parts(
    two: tuple[Services, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MOST", 100)
    old, new = two
    watch = Watch(old)
    for number in range(5):
        old.responses.keep(b'{"model": "m", "input": "%s"}' % (b"x" * 60), {"id": f"resp_{number}", "output": []})
    parts = [len(carried(watch, new).responses) for _ in range(5)]
    assert sum(parts) == 5 and 0 < parts[0] < 5
    assert all(new.responses.get(f"resp_{number}") for number in range(5))

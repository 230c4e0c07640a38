"""Twenty seconds of everything at once."""

from __future__ import annotations

from pathlib import Path

from tests.reliability.soak import soak


async def test_no_answer_is_wrong_and_no_request_hangs_while_everything_is_disturbed(bm_home: Path) -> None:
    report = await soak(bm_home, seconds=20, rate=50)
    assert report.wrong == []
    assert report.counts["complete"] > report.requests / 5 > 50
    assert {"kill -9", "edits of the configuration", "changes of accounts"} <= report.disturbances.keys()

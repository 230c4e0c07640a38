"""Midnight Pacific time, across the days on which the clocks change; and the day here."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest

from bm.accounts import daily

HOUR = 3600


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("utc", "hours"),
    [
        ("2026-01-15T20:00", 12),
        ("2026-01-15T08:00", 24),
        ("2026-01-15T07:30", 0.5),
        ("2026-07-15T20:00", 11),
        ("2026-07-15T07:00", 24),
        ("2026-12-31T23:00", 9),
        ("2026-03-08T08:00", 23),
        ("2026-11-01T07:00", 25),
    ],
)
def test_how_long_a_quota_of_the_day_rests(utc: str, hours: float) -> None:
    assert daily.seconds_to_reset(at(utc)) == hours * HOUR


def test_without_a_time_zone_database_a_rest_is_never_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    summer, winter = at("2026-07-15T20:00"), at("2026-01-15T20:00")
    known = daily.seconds_to_reset(summer), daily.seconds_to_reset(winter)
    daily._zone.cache_clear()
    monkeypatch.setattr(daily, "ZoneInfo", missing)
    try:
        assert (daily.seconds_to_reset(summer), daily.seconds_to_reset(winter)) == (known[0] + HOUR, known[1])
    finally:
        daily._zone.cache_clear()


def test_the_day_here() -> None:
    assert daily.local_day(datetime(2026, 2, 3, 0, 0, 1).timestamp()) == "2026-02-03"
    assert daily.local_day(datetime(2026, 2, 3, 23, 59, 59).timestamp()) == "2026-02-03"

"""Hours, days and months of local time, also where clocks are changed."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.budget import Period
from bm.keys.period import bounds

ZURICH = ZoneInfo("Europe/Zurich")


def at(text: str, zone: ZoneInfo = ZURICH) -> float:
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=zone)).timestamp()


@pytest.mark.parametrize(
    ("period", "now", "begin", "end"),
    [
        ("hour", "2026-11-30T10:59:59.9", "2026-11-30T10:00", "2026-11-30T11:00"),
        ("day", "2026-11-30T00:00", "2026-11-30T00:00", "2026-12-01T00:00"),
        ("day", "2026-11-30T23:59:59", "2026-11-30T00:00", "2026-12-01T00:00"),
        ("month", "2026-11-30T12:00", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("month", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        # Spring: 02:00 becomes 03:00, the day has 23 hours.
        ("day", "2026-03-29T12:00", "2026-03-29T00:00+01:00", "2026-03-30T00:00+02:00"),
        ("hour", "2026-03-29T03:30+02:00", "2026-03-29T02:00+01:00", "2026-03-29T04:00+02:00"),
        # Autumn: 03:00 becomes 02:00, the day has 25 hours, and the hour from two comes twice.
        ("day", "2026-10-25T12:00", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("hour", "2026-10-25T02:30+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"),
        ("hour", "2026-10-25T02:30+01:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"),
    ],
)
def test_the_bounds(period: Period, now: str, begin: str, end: str) -> None:
    assert bounds(period, at(now), ZURICH) == (at(begin), at(end))


def test_an_hour_begins_with_the_local_one() -> None:
    kathmandu = ZoneInfo("Asia/Kathmandu")
    assert bounds("hour", at("2026-11-30T10:10", kathmandu), kathmandu)[0] == at("2026-11-30T10:00", kathmandu)


def test_without_a_zone_it_is_the_systems() -> None:
    begin, end = bounds("day", datetime(2026, 11, 30, 12).timestamp())
    assert (begin, end) == (datetime(2026, 11, 30).timestamp(), datetime(2026, 12, 1).timestamp())


@given(
    wall=st.floats(1.6e9, 2.0e9),
    zone=st.sampled_from(["Europe/Zurich", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_every_moment_is_within_its_periods(wall: float, zone: str) -> None:
    """Also where midnight comes twice (Havana) or not at all (Beirut)."""
    for period in ("hour", "day", "month"):
        begin, end = bounds(period, wall, ZoneInfo(zone))
        assert begin <= wall < end

"""Usage per minute and day, and when a day begins."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfoNotFoundError

import pytest

from bm.accounts import quota
from bm.accounts.quota import DAY, MAX_GAUGES, Gauge, Meter, Unit, Window
from tests.accounts.build import NOON

TO_MIDNIGHT = 12 * 3600.0


def shown(meter: Meter, now: float) -> dict[tuple[str, str, str], tuple[int, int | None]]:
    return {(each.model, each.window, each.unit): (each.used, each.limit) for each in meter.gauges(now)}


def count(meter: Meter, *times: float, tokens: int = 0) -> None:
    for now in times:
        meter.count("m", tokens or 1, "tokens" if tokens else "requests", now=now, wall=NOON + now)


def learn(
    meter: Meter,
    limit: int,
    *,
    now: float = 0.0,
    left: int | None = None,
    resets: float | None = None,
    window: Window = "minute",
    unit: Unit = "requests",
) -> None:
    meter.learn(("m", window, unit), limit, left=left, resets=resets, now=now, wall=NOON + now)


def test_a_minute_begins_with_its_first_request_and_a_day_ends_at_midnight_pacific_time() -> None:
    meter = Meter()
    count(meter, 0, 10, 59)
    assert shown(meter, 59) == {("m", "minute", "requests"): (3, None), ("m", "day", "requests"): (3, None)}
    assert shown(meter, 61) == {("m", "day", "requests"): (3, None)}
    count(meter, 61)
    assert shown(meter, 61) == {("m", "minute", "requests"): (1, None), ("m", "day", "requests"): (4, None)}
    assert [each.ends for each in meter.gauges(61)] == [121, TO_MIDNIGHT]
    assert shown(meter, TO_MIDNIGHT) == {}


def test_days_of_other_providers_end_at_midnight_utc() -> None:
    meter = Meter(pacific=False)
    count(meter, 0)
    assert max(each.ends for each in meter.gauges(0)) == DAY - NOON % DAY


def test_a_reported_remainder_replaces_the_count() -> None:
    meter = Meter()
    count(meter, 0)
    learn(meter, 15, left=3, resets=20)
    assert shown(meter, 19)["m", "minute", "requests"] == (12, 15)
    assert shown(meter, 21)["m", "minute", "requests"] == (0, 15), "the limit stays known"


def test_a_reset_in_years_is_ignored() -> None:
    meter = Meter()
    learn(meter, 15, left=0, resets=1e300)
    learn(meter, 250, left=0, resets=1e300, window="day")
    assert [each.ends for each in meter.gauges(0)] == [3600, 90_000]


def test_a_refused_request_has_used_nothing_unless_all_is_used_up() -> None:
    meter = Meter()
    count(meter, 0, 1, 2)
    meter.uncount("m", 2)
    assert shown(meter, 2)["m", "day", "requests"] == (2, None)
    learn(meter, 250, left=0, window="day", now=3)
    meter.uncount("m", 3)
    assert shown(meter, 3)["m", "day", "requests"] == (250, 250)


def test_a_minutes_limit_is_nearly_used_up_from_four_fifths_on() -> None:
    meter = Meter()
    learn(meter, 5)
    count(meter, 0, 1, 2)
    assert meter.low(2) == []
    count(meter, 3)
    assert meter.low(3) == ["m"]
    assert meter.low(60) == []
    count(meter, 61)
    assert meter.low(61) == []


def test_tokens_have_gauges_of_their_own() -> None:
    meter = Meter()
    learn(meter, 1000, unit="tokens")
    count(meter, 0)
    count(meter, 1, tokens=900)
    assert shown(meter, 1)["m", "minute", "tokens"] == (900, 1000)
    assert shown(meter, 1)["m", "minute", "requests"] == (1, None)
    assert meter.low(1) == ["m"]


def test_sleep_counts_towards_all_windows() -> None:
    meter = Meter()
    learn(meter, 1)
    count(meter, 0)
    meter.age(100)
    assert (meter.low(0), shown(meter, 0)["m", "minute", "requests"]) == ([], (0, 1))


def test_of_two_gauges_for_one_limit_the_one_with_more_use_counts() -> None:
    meter = Meter()
    count(meter, 0)
    other = Gauge(model="m", window="day", unit="requests", used=9, ends=TO_MIDNIGHT, limit=10)
    meter.merge([other])
    count(meter, 1)
    assert shown(meter, 1)["m", "day", "requests"] == (10, 10)
    assert other.used == 9, "it is copied"


def test_the_number_of_gauges_is_bounded() -> None:
    meter = Meter()
    for number in range(MAX_GAUGES):
        meter.count(f"m{number}", 1, "requests", now=0, wall=NOON)
    assert len(list(meter.all())) == MAX_GAUGES


HOUR = 3600


def utc_time(text: str) -> float:
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
def test_seconds_until_the_daily_reset(utc: str, hours: float) -> None:
    assert quota.seconds_to_reset(utc_time(utc)) == hours * HOUR


def forget_zone() -> None:
    """What is known of the time zone."""
    quota._zone.cache_clear()
    quota._midnight.cache_clear()


def test_without_a_time_zone_database_the_reset_is_never_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ZoneInfoNotFoundError(name)

    summer, winter = utc_time("2026-07-15T20:00"), utc_time("2026-01-15T20:00")
    known = quota.seconds_to_reset(summer), quota.seconds_to_reset(winter)
    forget_zone()
    monkeypatch.setattr(quota, "ZoneInfo", missing)
    try:
        assert (quota.seconds_to_reset(summer), quota.seconds_to_reset(winter)) == (known[0] + HOUR, known[1])
    finally:
        forget_zone()


def test_the_local_day() -> None:
    assert quota.local_day(datetime(2026, 2, 3, 0, 0, 1).timestamp()) == "2026-02-03"
    assert quota.local_day(datetime(2026, 2, 3, 23, 59, 59).timestamp()) == "2026-02-03"

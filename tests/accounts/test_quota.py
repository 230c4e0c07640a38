"""What was used in this minute and this day, and of how much."""

from __future__ import annotations

from bm.accounts.quota import DAY, MOST, Gauge, Meter, Unit, Window
from tests.accounts.build import NOON

TO_MIDNIGHT = 12 * 3600.0


def shown(meter: Meter, now: float) -> dict[tuple[str, str, str], tuple[int, int | None]]:
    return {(each.model, each.window, each.unit): (each.used, each.limit) for each in meter.gauges(now)}


def count(meter: Meter, *times: float, tokens: int = 0) -> None:
    for now in times:
        meter.count("m", now, NOON + now, tokens=tokens)


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


def test_what_a_service_says_is_left_replaces_the_count() -> None:
    meter = Meter()
    count(meter, 0)
    learn(meter, 15, left=3, resets=20)
    assert shown(meter, 19)["m", "minute", "requests"] == (12, 15)
    assert shown(meter, 21)["m", "minute", "requests"] == (0, 15), "the limit stays known"


def test_a_reset_in_years_is_a_mistake() -> None:
    meter = Meter()
    learn(meter, 15, left=0, resets=1e300)
    learn(meter, 250, left=0, resets=1e300, window="day")
    assert [each.ends for each in meter.gauges(0)] == [3600, 90_000]


def test_a_refused_request_has_used_nothing_unless_all_is_used_up() -> None:
    meter = Meter()
    count(meter, 0, 1, 2)
    meter.take_back("m", 2)
    assert shown(meter, 2)["m", "day", "requests"] == (2, None)
    learn(meter, 250, left=0, window="day", now=3)
    meter.take_back("m", 3)
    assert shown(meter, 3)["m", "day", "requests"] == (250, 250)


def test_little_is_left_from_four_fifths_of_a_minutes_limit_on() -> None:
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


def test_after_a_sleep_all_windows_have_gone_on() -> None:
    meter = Meter()
    learn(meter, 1)
    count(meter, 0)
    meter.grow_older(100)
    assert (meter.low(0), shown(meter, 0)["m", "minute", "requests"]) == ([], (0, 1))


def test_of_two_gauges_for_one_limit_the_fuller_counts() -> None:
    meter = Meter()
    count(meter, 0)
    other = Gauge(model="m", window="day", unit="requests", used=9, ends=TO_MIDNIGHT, limit=10)
    meter.adopt([other])
    count(meter, 1)
    assert shown(meter, 1)["m", "day", "requests"] == (10, 10)
    assert other.used == 9, "it is copied"


def test_clients_that_make_up_models_do_not_fill_the_memory() -> None:
    meter = Meter()
    for number in range(MOST):
        meter.count(f"m{number}", 0, NOON)
    assert len(list(meter.every())) == MOST

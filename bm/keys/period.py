"""When the hour, the day and the month of a budget begin and end, in local time. Times are Unix times."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

from bm.config.budget import Period

_HOUR = 3_600.0


def bounds(period: Period, wall: float, zone: tzinfo | None = None) -> tuple[float, float]:
    """The beginning of the period that holds `wall`, and of the next one. The zone is the system's unless given.

    A day has 23 or 25 hours where clocks are changed, and an hour always 60 minutes.
    """
    local = datetime.fromtimestamp(wall, zone)
    if period == "hour":
        begin = wall - (local.minute * 60 + local.second + local.microsecond / 1e6)
        return begin, begin + _HOUR
    first = local.date() if period == "day" else local.date().replace(day=1)
    # The month after has begun 32 days after the first of one.
    after = first + timedelta(days=1) if period == "day" else (first + timedelta(days=32)).replace(day=1)
    return _midnight(first, zone), _midnight(after, zone)


def _midnight(day: date, zone: tzinfo | None) -> float:
    return datetime.combine(day, time(), tzinfo=zone).timestamp()

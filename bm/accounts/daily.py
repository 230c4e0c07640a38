"""Days: when the quotas of a day begin anew, and which day it is here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

QUOTA_ZONE = "America/Los_Angeles"
"""Requests per day of the Gemini API reset at midnight Pacific time (ai.google.dev/gemini-api/docs/rate-limits)."""


def seconds_to_reset(wall: float) -> float:
    """Seconds from the Unix time `wall` to the next midnight Pacific time; more than 0, at most 25 hours."""
    zone = _zone()
    here = datetime.fromtimestamp(wall, zone)
    midnight = datetime(here.year, here.month, here.day, tzinfo=zone) + timedelta(days=1)
    return midnight.astimezone(UTC).timestamp() - wall


def local_day(wall: float) -> str:
    """The date at this machine's place, such as `2026-01-31`."""
    return datetime.fromtimestamp(wall).date().isoformat()


@cache
def _zone() -> tzinfo:
    try:
        return ZoneInfo(QUOTA_ZONE)
    except ZoneInfoNotFoundError:
        # No time zone database (Windows, small containers): standard time all year is late in summer, never early.
        return timezone(timedelta(hours=-8))

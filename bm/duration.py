"""How long something lasts, in the words of every answer."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes // 60 % 24} h"

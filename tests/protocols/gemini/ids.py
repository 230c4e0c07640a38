"""Identities that count up, so that what is written can be compared."""

from __future__ import annotations

from itertools import count

from bm.protocols.codec import IdFactory


def ids() -> IdFactory:
    """A source of `call_1`, `call_2` and so on."""
    numbers = count(1)
    return IdFactory(new_id=lambda prefix: f"{prefix}{next(numbers)}", now=0)

"""Token buckets: how many requests, and how many tokens, a key may use per minute. Times are monotonic seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from bm.keys.key import Key

_MINUTE = 60.0


class Bucket:
    """Fills evenly with `limit` a minute and holds that much, so that a pause is made up for by a burst.

    It may be in debt, because what a request uses is known only afterwards.
    """

    def __init__(self, limit: float, now: float) -> None:
        self.limit = limit
        self._level, self._at = limit, now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much can be taken. A request for more than the bucket holds needs it full."""
        self._fill(now)
        lacking = min(amount, self.limit) - self._level
        # What rounding leaves open is no reason to wait.
        return lacking * _MINUTE / self.limit if lacking > 1e-6 else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take so much, or give it back where it is negative."""
        self._fill(now)
        self._level = min(self._level - amount, self.limit)

    def _fill(self, now: float) -> None:
        self._level = min(self._level + max(0.0, now - self._at) * self.limit / _MINUTE, self.limit)
        self._at = now


class Rate(NamedTuple):
    """What a request takes of one limit of its key: `limit` fill in a minute, and it takes `amount`."""

    name: str
    limit: float
    amount: float


def rates(key: Key, tokens: int) -> list[Rate]:
    """What a request with a key takes, whose prompt has so many tokens."""
    found = [Rate(f"{key.name}:rpm", key.rpm, 1)] if key.rpm else []
    return [*found, Rate(f"{key.name}:tpm", key.tpm, tokens)] if key.tpm else found


def whole_seconds(wait: float) -> int:
    """A wait as clients learn it: rounded up, but for the rounding error of added times."""
    return math.ceil(round(wait, 3))


class Buckets:
    """The buckets of all keys with limits, each made when it is first used."""

    def __init__(self) -> None:
        self._buckets: dict[str, Bucket] = {}

    def admit(self, wanted: Sequence[Rate], now: float) -> float:
        """Take what a request takes; or nothing, where the result is the seconds to wait first."""
        needs = [(self._bucket(rate, now), rate.amount) for rate in wanted]
        seconds = max((bucket.wait(amount, now) for bucket, amount in needs), default=0.0)
        if not seconds:
            for bucket, amount in needs:
                bucket.take(amount, now)
        return seconds

    def settle(self, used: Rate, now: float) -> None:
        """A request has used so much more than was taken for it, or less."""
        self._bucket(used, now).take(used.amount, now)

    def _bucket(self, rate: Rate, now: float) -> Bucket:
        """The bucket of a rate. A new limit begins with a full one."""
        found = self._buckets.get(rate.name)
        if found is None or found.limit != rate.limit:
            found = self._buckets[rate.name] = Bucket(rate.limit, now)
        return found

    def retain(self, names: frozenset[str]) -> None:
        """Drop the buckets of other keys."""
        for name in [each for each in self._buckets if each.rpartition(":")[0] not in names]:
            del self._buckets[name]

"""Token buckets: how many requests, and how many tokens, a key may use per minute. Times are monotonic seconds."""

from __future__ import annotations

import math

from bm.keys.key import Key

_MINUTE = 60.0


class Bucket:
    """Fills evenly with `limit` a minute and holds that much, so that a pause is made up for by a burst.

    It may be in debt, because what a request uses is known only afterwards.
    """

    def __init__(self, limit: int, now: float) -> None:
        self.limit = limit
        self._level, self._at = float(limit), now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much can be taken. A request for more than the bucket holds needs it full."""
        self._fill(now)
        lacking = min(amount, self.limit) - self._level
        # What rounding leaves open is no reason to wait.
        return lacking * _MINUTE / self.limit if lacking > 1e-6 else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take so much, or give it back where it is negative."""
        self._fill(now)
        self._level = min(self._level - amount, float(self.limit))

    def _fill(self, now: float) -> None:
        self._level = min(self._level + max(0.0, now - self._at) * self.limit / _MINUTE, float(self.limit))
        self._at = now


class Buckets:
    """The buckets of all keys with limits, each made when it is first used."""

    def __init__(self) -> None:
        self._requests: dict[str, Bucket] = {}
        self._tokens: dict[str, Bucket] = {}

    def admit(self, key: Key, tokens: int, now: float) -> int:
        """Take one request and so many tokens; or nothing, where the result is the whole seconds to wait first."""
        needs = []
        if key.rpm:
            needs.append((self._bucket(self._requests, key.name, key.rpm, now), 1))
        if key.tpm:
            needs.append((self._bucket(self._tokens, key.name, key.tpm, now), tokens))
        seconds = max((bucket.wait(amount, now) for bucket, amount in needs), default=0.0)
        if not seconds:
            for bucket, amount in needs:
                bucket.take(amount, now)
        return math.ceil(round(seconds, 3))

    def settle(self, key: Key, more: int, now: float) -> None:
        """A request has used so many tokens more than were taken for it, or less."""
        if key.tpm:
            self._bucket(self._tokens, key.name, key.tpm, now).take(more, now)

    @staticmethod
    def _bucket(buckets: dict[str, Bucket], name: str, limit: int, now: float) -> Bucket:
        """The key's bucket. A new limit begins with a full one."""
        found = buckets.get(name)
        if found is None or found.limit != limit:
            found = buckets[name] = Bucket(limit, now)
        return found

    def retain(self, names: frozenset[str]) -> None:
        """Drop the buckets of other keys."""
        for buckets in (self._requests, self._tokens):
            for name in buckets.keys() - names:
                del buckets[name]

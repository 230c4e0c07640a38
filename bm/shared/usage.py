"""How much of each quota all nodes together have used: counters in the store that end with their minute or day.

Each node counts at once in its own meter, tells the store, and takes over what the store says then. Where a limit is
known and half used up, the script also tells the other nodes, in the same step: from there on it matters who asks.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

import msgspec

from bm.accounts.quota import MINUTE, UNITS, WINDOWS, Gauge, Meter, Unit, Window
from bm.shared.client import Command
from bm.shared.news import TELL, Item, News
from bm.shared.outbox import Outbox
from bm.shared.store import Script, Store, digest, milliseconds

KEEP_LIMITS = 7 * 86_400.0
"""Seconds for which a learnt limit is remembered without being used."""

NEAR = 50
"""Requests left for each node from which on counts are not gathered."""
MOST = 10_000
"""Quotas and models of which it is remembered what the latest state was. Clients can invent model names."""

COUNT = Script(
    TELL
    + """
local now = redis.call('TIME')
local state, matters = {string.format('%.0f', now[1] * 1000000 + now[2])}, false
for at, window in ipairs({'minute', 'day'}) do
  local used, limits = KEYS[at], KEYS[3]
  local fresh = redis.call('EXISTS', used) == 0
  for unit, count in pairs({requests = ARGV[at * 2 - 1], tokens = ARGV[at * 2]}) do
    if count ~= '0' then redis.call('HINCRBY', used, unit, count) end
  end
  local count = tonumber(redis.call('HGET', used, 'requests') or 0)
  local refunds = math.min(tonumber(ARGV[5]), count)
  if refunds > 0 and count ~= tonumber(redis.call('HGET', limits, window .. ':requests') or -1) then
    redis.call('HINCRBY', used, 'requests', -refunds)
  end
  if fresh then redis.call('PEXPIRE', used, ARGV[5 + at]) end
  for learnt = 11, #ARGV, 5 do
    if ARGV[learnt] == window then
      local unit, limit, left, ends = ARGV[learnt + 1], ARGV[learnt + 2], ARGV[learnt + 3], ARGV[learnt + 4]
      if redis.call('HGET', limits, window .. ':' .. unit) ~= limit then
        redis.call('HSET', limits, window .. ':' .. unit, limit)
        matters = true
      end
      redis.call('PEXPIRE', limits, ARGV[8])
      if left ~= '' then
        if tonumber(redis.call('HGET', used, unit) or 0) * 2 >= tonumber(limit) then matters = true end
        redis.call('HSET', used, unit, math.max(0, limit - left))
        redis.call('PEXPIRE', used, ends)
      end
    end
  end
  state[#state + 1] = redis.call('PTTL', used)
  for _, unit in ipairs({'requests', 'tokens'}) do
    local sum = tonumber(redis.call('HGET', used, unit) or 0)
    local limit = tonumber(redis.call('HGET', limits, window .. ':' .. unit) or -1)
    if limit >= 0 and sum * 2 >= limit then matters = true end
    state[#state + 1] = sum
    state[#state + 1] = limit
  end
end
local words = table.concat(state, ' ')
if matters then tell(KEYS[4], ARGV[9], 'usage', ARGV[10], words) end
return words
"""
)
"""Count, refund, learn, and tell; the answer is the state. The arguments: requests and tokens for the minute and for
the day, refunds, milliseconds until minute and day end and limits are forgotten, node, subject, and for each learnt
limit its window, unit, limit, what is left and in how many milliseconds that ends."""


class _Change(msgspec.Struct):
    """What this node has counted of a model since its last command, the first of it at the time `since`."""

    since: float
    requests: int = 0
    tokens: int = 0
    refunds: int = 0
    day: float = 1.0
    learnt: dict[tuple[Window, Unit], tuple[int, int | None, float]] = {}


class Usage:
    """The counts of all nodes together (`bm.accounts.quota.Totals`). `nodes` says how many there are."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        news: News,
        meter_of: Callable[[str], Meter | None],
        count_nodes: Callable[[], int],
    ) -> None:
        self._store, self._outbox, self._news = store, outbox, news
        self._meter_of, self._count_nodes = meter_of, count_nodes
        self._waiting: dict[str, _Change] = {}
        self._under_way: dict[str, _Change] = {}
        self._stamps: OrderedDict[str, float] = OrderedDict()
        news.on("usage", self._hear)

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return self._count_nodes()

    def count(self, meter: Meter, model: str, amount: int, unit: Unit, day: float) -> None:
        """Count on all nodes, without waiting. The day ends in so many seconds."""
        change = self._change(meter, model)
        change.day = day
        if unit == "requests":
            change.requests += amount
        else:
            change.tokens += amount

    def uncount(self, meter: Meter, model: str) -> None:
        """A counted request has used nothing."""
        self._change(meter, model).refunds += 1

    def learn(self, meter: Meter, gauge: tuple[str, Window, Unit], limit: int, left: int | None, ends: float) -> None:
        """A service has reported a limit, how much of it is left, and in how many seconds its window ends."""
        model, window, unit = gauge
        self._change(meter, model).learnt[window, unit] = limit, left, ends

    def unconfirmed(self, meter: Meter, model: str) -> int:
        """Requests of this node that others cannot know of yet."""
        subject = _subject(meter.quota, model)
        return sum(each.requests for each in self._own(subject))

    def _own(self, subject: str) -> Iterator[_Change]:
        for changes in (self._waiting, self._under_way):
            if subject in changes:
                yield changes[subject]

    def _change(self, meter: Meter, model: str) -> _Change:
        """What waits to be counted of a model."""
        subject = _subject(meter.quota, model)
        change = self._waiting.get(subject)
        if change is None:
            change = self._waiting[subject] = _Change(since=time.monotonic(), learnt={})
            self._outbox.put(
                lambda: self._command(subject),
                lambda state: self._answered(subject, state),
                urgency="now" if self._is_near(meter, model) else "later",
            )
        return change

    def _command(self, subject: str) -> Command:
        """Tell all that waits by now. A minute that has ended meanwhile, as the store was away, does not count."""
        change = self._under_way[subject] = self._waiting.pop(subject)
        late = time.monotonic() - change.since > MINUTE
        minute = (0, 0) if late else (change.requests, change.tokens)
        name = digest(subject)
        used = [self._store.key("used", name, window) for window in WINDOWS]
        keys = (*used, self._store.key("limits", name), self._news.key)
        learnt = [
            word
            for (window, unit), (limit, left, ends) in change.learnt.items()
            for word in (window, unit, limit, "" if left is None else left, milliseconds(ends))
        ]
        amounts = (*minute, change.requests, change.tokens, change.refunds)
        times = map(milliseconds, (MINUTE, change.day, KEEP_LIMITS))
        return COUNT.command(keys, (*amounts, *times, self._news.node, subject, *learnt))

    def _answered(self, subject: str, state: bytes) -> None:
        self._under_way.pop(subject, None)
        self._take(subject, state.decode(), 0.0)

    def _hear(self, item: Item) -> None:
        self._take(item.subject, item.value, item.age)
        quota, _, model = item.subject.rpartition("\0")
        if (meter := self._meter_of(quota)) is not None and self._is_near(meter, model):
            self._news.hurry()

    def _is_near(self, meter: Meter, model: str) -> bool:
        """Whether so little is left that each node has to know at once what the others use."""
        left = meter.left(model, time.monotonic())
        return left is not None and left < NEAR * self.nodes

    def _take(self, subject: str, state: str, age: float) -> None:
        """Take over what all nodes have used, as of so many seconds ago, unless something later is known."""
        stamp, *figures = map(float, state.split())
        if stamp < self._stamps.get(subject, 0.0):
            return
        self._stamps[subject] = stamp
        self._stamps.move_to_end(subject)
        if len(self._stamps) > MOST:
            self._stamps.popitem(last=False)
        quota, _, model = subject.rpartition("\0")
        meter, now = self._meter_of(quota), time.monotonic()
        if meter is None:
            return
        for window, (lasts, *uses) in zip(WINDOWS, (figures[:5], figures[5:]), strict=True):
            ends = lasts / 1000 - age
            for unit, used, limit in zip(UNITS, uses[::2], uses[1::2], strict=True):
                own = sum(each.requests if unit == "requests" else each.tokens for each in self._own(subject))
                known = int(limit) if limit >= 0 else None
                gauge = Gauge(model=model, window=window, unit=unit, used=int(used) + own, ends=now + ends, limit=known)
                meter.take_total(gauge, now)


def _subject(quota: str, model: str) -> str:
    return f"{quota}\0{model}"

"""Budgets and the rates of keys that several nodes share: `limits.lua` decides, in the store, in one step.

A node tells what its requests have used and hold, asks for what new ones want to take, and learns what all nodes have
spent and hold. One call is under way at a time, and what is asked meanwhile goes with the next, so a request waits for
two at most. What a node holds lapses when it is not heard of for `LAPSE` seconds.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from bm.keys.bucket import Rate
from bm.keys.common import Answer, Ask
from bm.keys.spending import Budget, Spending
from bm.shared.store import Script, Store, StoreAway
from bm.tasks import WakeUp, note

_SCRIPT: Final = Script(Path(__file__).with_suffix(".lua").read_text(encoding="utf-8"))
BEAT: Final = 1.0
"""Seconds after which a node tells the store again that it is there, and learns what the others have spent."""
LAPSE: Final = 10.0
"""Seconds after which reservations of a node that is not heard of any more are released."""
PATIENCE: Final = 1.0
"""Seconds that a request waits for the store before it counts as away."""
_GAP = 0.008
"""Seconds between two calls for what requests ask: most of what a call costs is the call, not what is in it."""
_SOON = 0.02
"""Seconds in which what requests have settled is gathered before the store learns it."""
_MOST_LOOKED_AT = 100
"""Budgets without news that are looked at in one call."""
_MOST_FORGOTTEN = 100
"""Budgets that are no more, of which it is still known what the store has counted."""
_NOTE = "the shared limits"

_log = logging.getLogger("bm")


class _SentBudget(msgspec.Struct):
    """What a node has `settled`, the sum named `id`, what of that is `counted` by the store, and what it `held`.

    Of all nodes together it knows that `known` is spent.
    """

    id: str
    limit: float
    ends: float
    known: float
    settled: float
    counted: float
    held: float


class _SentRate(msgspec.Struct):
    """What requests have `used` more than was taken for them, and what of that is `counted` by the store."""

    limit: float
    used: float
    counted: float


class _SentAsk(msgspec.Struct):
    """What a request wants to take: numbers of budgets and rates, from 1 on, with amounts."""

    rates: list[tuple[int, float]]
    budgets: list[tuple[int, float]]
    regardless: bool


class _Sent(msgspec.Struct):
    """What a call tells and asks."""

    node: str
    lapse: float
    budgets: list[_SentBudget]
    rates: list[_SentRate]
    asks: list[_SentAsk]


class _Counted:
    """What the store has counted of one budget in one period."""

    def __init__(self, id_: str, number: int) -> None:
        self.id, self.round = id_, number
        self.settled = self.held = 0.0
        self.at = -math.inf
        """When the store last learnt it, on the monotonic clock."""


class _Correction:
    """What requests have used of a rate beyond what was taken for them."""

    def __init__(self) -> None:
        self.used = self.counted = 0.0


class _Call:
    """What one call tells and asks, with each budget and rate in it once."""

    def __init__(self, node: str, key: Callable[..., str]) -> None:
        self._key = key
        self.sent = _Sent(node, LAPSE, [], [], [])
        self.budgets: dict[Budget, int] = {}
        self.rates: dict[str, int] = {}
        self.wanted: list[list[tuple[Budget, float]]] = []

    def keys(self) -> list[str]:
        """The names of the values that the script reads and writes."""
        found = []
        for budget in self.budgets:
            scope, limit = budget.scope, budget.limit
            name = self._key("budget", scope.kind, scope.name, limit.unit, limit.period, str(round(budget.begin)))
            found += [f"{name}:spent", f"{name}:held"]
        return [*found, *(self._key("rate", name) for name in self.rates)]


class SharedLimits:
    """The limits that all nodes share. `nodes` says how many there are.

    `is_closed` is whether requests that the store cannot admit are refused.
    """

    def __init__(self, store: Store, spending: Spending, *, nodes: Callable[[], int], is_closed: bool = False) -> None:
        self._store, self._spending, self._nodes = store, spending, nodes
        self.is_closed, self.away = is_closed, False
        self._node = secrets.token_hex(6)
        self._counted: dict[Budget, _Counted] = {}
        self._numbers = 0
        self._corrections: dict[str, tuple[float, _Correction]] = {}
        self._pending: list[tuple[Ask, asyncio.Future[Answer]]] = []
        self._wake = WakeUp()
        self._stepped = -math.inf
        self._looked_at, self._among = 0, 1
        self._searched = self._looked = -math.inf
        spending.is_shared = True

    @property
    def nodes(self) -> int:
        """How many nodes there are, this one included; while the store is away, when that was last known."""
        return self._among if self.away else self._nodes()

    async def ask(self, ask: Ask) -> Answer:
        """Take it for a request, unless a rate or a budget forbids it."""
        if self.away:
            return Answer(away=True)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending.append((ask, future))
        self._wake.set(self._stepped + _GAP)
        return await future

    def use(self, rate: Rate) -> None:
        """A request has used so much more than was taken for it, or less."""
        _, correction = self._corrections.get(rate.name) or (0.0, _Correction())
        correction.used += rate.amount
        self._corrections[rate.name] = rate.limit, correction
        self.tell()

    def tell(self) -> None:
        """Tell the store soon what requests have settled."""
        self._wake.set(asyncio.get_running_loop().time() + _SOON)

    async def keep_in_step(self) -> None:
        """Tell and ask the store until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self.step()
            self._wake.set(loop.time() + BEAT)
            await self._wake.wait()

    async def step(self) -> None:
        """Tell the store what is new, ask what is to be asked, and learn what all nodes have spent and hold."""
        self._wake.reset()
        self._stepped = asyncio.get_running_loop().time()
        asked, self._pending = self._pending, []
        try:
            call = self._call([ask for ask, _ in asked], time.time())
            async with asyncio.timeout(PATIENCE):
                reply = await self._store.run(_SCRIPT, call.keys(), [msgspec.json.encode(call.sent)])
            self._join()
            self._apply(call, asked, reply)
        except (StoreAway, RedisError, TimeoutError) as error:
            self._part(error)
        finally:
            for _, future in asked:
                if not future.done():
                    future.set_result(Answer(away=True))

    def _call(self, asks: Sequence[Ask], wall: float) -> _Call:
        call = _Call(self._node, self._store.key)
        for ask in asks:
            wanted = []
            if ask.hold is not None and ask.most is not None:
                wanted = ask.hold.wants(ask.most, wall)
            elif ask.hold is not None:
                for budget in ask.hold.concerned(wall):
                    self._budget(call, budget)
            call.wanted.append(wanted)
            budgets = [(self._budget(call, budget), amount) for budget, amount in wanted]
            rates = [(self._rate(call, rate.name, rate.limit), rate.amount) for rate in ask.rates]
            call.sent.asks.append(_SentAsk(rates, budgets, ask.regardless))
        self._add_news(call, wall)
        for name, (limit, correction) in self._corrections.items():
            if correction.used != correction.counted:
                self._rate(call, name, limit)
        return call

    def _add_news(self, call: _Call, wall: float) -> None:
        """Add the budgets that the store has to learn of, and in each beat some of the others to learn of them."""
        now = time.monotonic()
        if now - self._searched < _SOON:
            return
        self._searched = now
        budgets = list(self._spending.now(wall))
        for budget in budgets:
            if self._has_news(budget, now):
                self._budget(call, budget)
        if now - self._looked >= BEAT and budgets:
            self._looked, begin = now, self._looked_at % len(budgets)
            for budget in budgets[begin : begin + _MOST_LOOKED_AT]:
                self._budget(call, budget)
            self._looked_at = begin + _MOST_LOOKED_AT

    def _has_news(self, budget: Budget, now: float) -> bool:
        counted = self._of(budget)
        lapses = budget.held > 0 and now - counted.at >= BEAT / 2
        return lapses or (budget.settled, budget.held) != (counted.settled, counted.held)

    def _of(self, budget: Budget) -> _Counted:
        """What the store has counted of a budget in its current period."""
        counted = self._counted.get(budget)
        if counted is None or counted.round != budget.round:
            if len(self._counted) > _MOST_FORGOTTEN + 2 * len(list(self._spending)):
                known = set(self._spending)
                self._counted = {each: counted for each, counted in self._counted.items() if each in known}
            self._numbers += 1
            counted = self._counted[budget] = _Counted(f"{self._node}.{self._numbers}", budget.round)
        return counted

    def _budget(self, call: _Call, budget: Budget) -> int:
        """The number of a budget in a call."""
        if budget not in call.budgets:
            counted = self._of(budget)
            known = budget.spent - (budget.settled - counted.settled)
            sent = _SentBudget(
                counted.id, budget.limit.amount, budget.end, known, budget.settled, counted.settled, budget.held
            )
            call.sent.budgets.append(sent)
            call.budgets[budget] = len(call.sent.budgets)
        return call.budgets[budget]

    def _rate(self, call: _Call, name: str, limit: float) -> int:
        """The number of a rate in a call."""
        if name not in call.rates:
            _, correction = self._corrections.get(name) or (limit, _Correction())
            call.sent.rates.append(_SentRate(limit, correction.used, correction.counted))
            call.rates[name] = len(call.sent.rates)
        return call.rates[name]

    def _apply(self, call: _Call, asked: Sequence[tuple[Ask, asyncio.Future[Answer]]], reply: Any) -> None:
        """Take over what the store says."""
        answers, spent, others = ([float(each) for each in part] for part in reply)
        now = time.monotonic()
        for budget, sent, total, elsewhere in zip(call.budgets, call.sent.budgets, spent, others, strict=True):
            counted = self._counted.get(budget)
            if counted is None or counted.id != sent.id or counted.round != budget.round:
                continue
            counted.settled, counted.held, counted.at = sent.settled, sent.held, now
            budget.spent = total + (budget.settled - sent.settled)
            budget.elsewhere, budget.apart = elsewhere, 1
        for name, rate in zip(call.rates, call.sent.rates, strict=True):
            if name in self._corrections:
                self._corrections[name][1].counted = rate.used
        for (ask, future), wanted, said in zip(asked, call.wanted, answers, strict=True):
            # A request that has ended meanwhile takes nothing: what a node holds is sent as a sum.
            if future.done():
                continue
            if said == 0 and ask.hold is not None and ask.most is not None:
                ask.hold.take(ask.most.provider, wanted)
            future.set_result(Answer(wait=max(0.0, said), held=said == 0))

    def _part(self, error: Exception) -> None:
        """Go on alone, because the store is away."""
        if not self.away:
            self._among = self.nodes
        for budget in self._spending.now(time.time()):
            budget.divide(self._among)
        pending, self._pending = self._pending, []
        for _, future in pending:
            if not future.done():
                future.set_result(Answer(away=True))
        if not self.away:
            self.away = True
            how = "are refused" if self.is_closed else f"go on with this node's share, 1 of {self._among}"
            words = f"the shared store does not answer: requests with budgets or rates {how}"
            _log.warning("%s (%s)", words, str(error) or type(error).__name__)
            note(_NOTE, words)

    def _join(self) -> None:
        """The store answers."""
        if self.away:
            self.away = False
            _log.info("the shared store answers again, and knows what was spent meanwhile")
            note(_NOTE, "")

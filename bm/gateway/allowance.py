"""What a call's key and the budgets allow: checked when it is planned, settled when it has ended.

A budget that is spent is answered with 400 and no `retry-after`: tools take 402 and 403 for a matter of their own
sign-in, and repeat a request after 429, some of them for hours. Only what ends within a minute is a 429: a rate, and
what running requests have reserved.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from bm.chat.estimate import estimate, tokens_in
from bm.chat.events import Usage
from bm.config.budget import REFUSE, ROUTE
from bm.dispatch.plan import Plan
from bm.dispatch.refusal import unavailable
from bm.dispatch.target import Target
from bm.errors import Failure, FailureKind, RequestError
from bm.gateway.adapter import Adapter
from bm.gateway.record import Record
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.keys.bucket import Rate, rates, whole_seconds
from bm.keys.common import Ask
from bm.keys.key import MAIN, Key
from bm.keys.spending import RESERVED_WAIT, Denial, Hold, Used
from bm.ledger.prices import cost_of
from bm.ledger.prices import load as load_prices
from bm.ledger.reader import spent
from bm.ledger.source import LedgerError, Where
from bm.names import EMBEDDINGS, FITTED
from bm.providers.catalog import GEMINI
from bm.tasks import failures, note

_RETRIED = 60
"""Seconds after which clients try again by themselves, at most: the official SDKs' limit."""
_MARGIN = 1.2
"""Estimates of prompts are good to a fifth."""
_LONGEST = 16_384
"""Tokens of an answer, where neither the request nor the model says how long it may be."""
_MOST_UNPRICED = 20
_MOST_PLANS = 8
"""Plans for one request whose first target turns out to have no budget left, because other nodes have taken it."""
_AWAY_WAIT = 5
_AWAY = Failure(
    kind="overloaded",
    message=(
        "the store that holds the budgets and rates of all nodes does not answer, and [shared] fail is closed: "
        f"try again in {_AWAY_WAIT} s"
    ),
    retry_after=_AWAY_WAIT,
    should_retry=True,
)
_CONTENDED = Failure(
    kind="rate_limited",
    message=f"the budgets are reserved by requests that are running: try again in {RESERVED_WAIT} s",
    retry_after=RESERVED_WAIT,
    should_retry=True,
)
_REMEDY = "; to raise it: "
_FLUSH_WAIT = _AGAIN = 5.0
_NOTE = "what was spent of budgets"

_log = logging.getLogger("bm")


class Allowance:
    """One call against the limits of its key and the budgets. Costs next to nothing where there are none.

    What other nodes share is taken in their store, in the one call over the network that a request waits for.
    """

    def __init__(self, services: Services, settings: Settings, adapter: Adapter, record: Record) -> None:
        self._services, self._settings, self._adapter, self._record = services, settings, adapter, record
        self._key = settings.keys.named(record.key)
        self._prompt = self._taken = 0
        self._hold: Hold | None = None

    def check(self) -> None:
        """Refuse what the key does not allow.

        Raises:
            RequestError: the key was revoked meanwhile, or the model is not one of its own.
        """
        key = self._key
        if key is MAIN:
            return
        if key is None:
            message = f"the key {self._record.key} is revoked"
            raise RequestError(Failure(kind="unauthorized", message=message, should_retry=False))
        if not key.names(self._record.model):
            raise RequestError(_foreign_model(key, self._record.model))

    async def planned(self, plan: Callable[[str, Mapping[str, str]], Plan]) -> Plan:
        """The plan for the call as of `allowed`. Takes what the key is limited to, and what the first target may cost.

        Where no store is asked, nothing else runs between looking at the budgets and reserving.

        Raises:
            RequestError: the key is at a rate limit; or the store must be asked, and is away.
        """
        key, call, services = self._key, self._adapter.call, self._services
        wanted: Sequence[Rate] = ()
        if key is not None and (key.rpm or key.tpm):
            self._prompt = prompt_tokens(self._adapter) if key.tpm else 0
            wanted = rates(key, self._prompt)
        # Counting tokens costs nothing.
        counted = services.spending.active and call.operation != "count_tokens"
        if wanted and (services.common is None or not counted):
            await self._take(Ask(wanted))
            wanted = ()
        if counted:
            return await self._reserved(plan, wanted)
        return plan(call.model, barred_by(self._settings, self._record.key))

    async def _reserved(self, plan: Callable[[str, Mapping[str, str]], Plan], wanted: Sequence[Rate]) -> Plan:
        """The plan whose first target the budgets allow. What is known of them may be old where they are shared."""
        services, name = self._services, self._record.key
        fresh = services.common is None
        for _ in range(_MOST_PLANS):
            made = allowed(services, self._settings, name, self._adapter.call.model, plan)
            first = next(iter((*made.choices, *made.cooling_down)), None)
            if made.failure is None and first is not None:
                # A cheaper chain serves although the budgets are spent.
                spent = services.spending.denial(name, first.target.provider, time.time()) is not None
                if await self._take(self._ask(first.target, wanted, regardless=spent)):
                    return made
            elif not wanted and (fresh or not any(each.is_taken for each in self._held().concerned(time.time()))):
                return made
            else:
                await self._take(Ask(wanted, self._held()))
            wanted, fresh = (), True
        raise RequestError(_CONTENDED)

    async def reserve(self, target: Target) -> None:
        """Reserve what a further target may cost at most, once for each provider, even if nothing is left.

        Raises:
            RequestError: the store must be asked, and is away.
        """
        if self._services.spending.active and target.provider not in self._held().providers:
            await self._take(self._ask(target, regardless=True))

    def _held(self) -> Hold:
        self._hold = self._hold or self._services.spending.hold(self._record.key)
        return self._hold

    def _ask(self, target: Target, wanted: Sequence[Rate] = (), *, regardless: bool) -> Ask:
        """What a call to a target takes."""
        usage = self._most(target)
        if self._adapter.call.body.find(b'"cache_control"') >= 0:
            usage = Usage(cache_write=usage.input, output=usage.output)
        return Ask(wanted, self._held(), self._used(target, usage), regardless)

    async def _take(self, ask: Ask) -> bool:
        """Take what is asked for; False if a budget forbids it.

        Raises:
            RequestError: the key is at a rate limit; or the store must be asked, and is away.
        """
        common, wall, nodes = self._services.common, time.time(), 1
        if common is not None and ask.concerns_others(wall):
            answer = await common.ask(ask)
            if answer.away and common.is_closed:
                raise RequestError(_AWAY)
            if not answer.away:
                self._check_wait(answer.wait, ask.rates)
                return answer.held
            nodes = common.nodes
        if ask.rates:
            shares = [rate._replace(limit=rate.limit / nodes) for rate in ask.rates]
            self._check_wait(self._services.buckets.admit(shares, time.monotonic()), ask.rates)
        if ask.hold is not None and ask.most is not None:
            ask.hold.reserve(ask.most, wall)
        return True

    def _check_wait(self, wait: float, wanted: Sequence[Rate]) -> None:
        """Refuse a request that the rates do not allow for so many seconds; else they are taken."""
        key, seconds = self._key, whole_seconds(wait)
        if not (wait and key):
            self._taken = self._prompt if wanted else self._taken
            return
        limits = [f"{key.rpm:,} requests" if key.rpm else "", f"{key.tpm:,} tokens" if key.tpm else ""]
        text = f"the key {key.name} is limited to {' and '.join(filter(None, limits))} per minute"
        message = f"{text}: try again in {seconds} s"
        retried = seconds <= _RETRIED
        raise RequestError(Failure(kind="rate_limited", message=message, retry_after=seconds, should_retry=retried))

    def _most(self, target: Target) -> Usage:
        """The tokens that a target may use at most."""
        prompt = round(prompt_tokens(self._adapter) * _MARGIN)
        if self._adapter.call.operation in EMBEDDINGS:
            return Usage(input=prompt)
        limit, choices = None, 1
        with suppress(RequestError):
            limit, choices = self._adapter.chat.max_tokens, self._adapter.chat.choices
        provider = self._settings.providers[target.provider]
        longest = limit or self._adapter.capabilities(target, provider).max_output or _LONGEST
        return Usage(input=prompt, output=longest * max(1, choices))

    def _used(self, target: Target, usage: Usage) -> Used:
        spending, free = self._services.spending, target.provider in self._settings.free
        money = 0.0 if free or not spending.counts_money else cost_of(target.provider, target.model, usage)
        if money is None and len(spending.unpriced) < _MOST_UNPRICED:
            spending.unpriced[target.provider, target.model] = None
        # Services report anything, and what was spent must not shrink.
        return Used(target.provider, money or 0.0, max(0, usage.prompt + usage.output))

    def settle(self) -> None:
        """The call has ended, and its record says what it has used."""
        record, spending, key = self._record, self._services.spending, self._key
        limited = key is not None and key.tpm > 0
        if not (limited or spending.active or self._hold is not None):
            return
        used = [self._used(target, usage) for target, usage in record.used()]
        if key is not None and limited:
            tokens = sum(each.tokens for each in used)
            self._correct(Rate(f"{key.name}:tpm", key.tpm, tokens - self._taken))
        hold = self._hold or spending.hold(record.key)
        for news in hold.settle(used, time.time(), at=record.at):
            _log.warning("%s", news)
        if self._services.common is not None:
            self._services.common.tell()

    def _correct(self, more: Rate) -> None:
        """The call has used so much more than was taken for it, or less."""
        common = self._services.common
        if common is not None:
            common.use(more)
        if common is None or common.away:
            nodes = 1 if common is None else common.nodes
            self._services.buckets.settle(more._replace(limit=more.limit / nodes), time.monotonic())


def prompt_tokens(adapter: Adapter) -> int:
    """An estimate of the tokens of a call's prompt, rough where bm does not understand the call."""
    if adapter.call.operation in FITTED:
        with suppress(RequestError):
            return estimate(adapter.chat)
    return tokens_in(len(adapter.call.body))


def allowed(
    services: Services, settings: Settings, key: str, model: str, plan: Callable[[str, Mapping[str, str]], Plan]
) -> Plan:
    """The plan for a request with a key, without providers that it may not go to.

    `plan` plans for a model, without some providers for the given reasons.
    """
    barred, denials = barred_by(settings, key), _denials(services, settings, key)
    made = plan(model, barred | {name: denial.message for name, denial in denials.items()})
    refusal = _refusal(made, denials) if denials else None
    if refusal is None:
        return made
    instead = settings.config.budgets.on_exhausted
    if instead == REFUSE or refusal.retry_after is not None:
        return msgspec.structs.replace(made, failure=refusal)
    cheaper = plan(instead.removeprefix(ROUTE), barred)
    step = f"{refusal.message.partition(_REMEDY)[0]}; so {instead.removeprefix(ROUTE)} serves instead"
    return msgspec.structs.replace(cheaper, asked=made.asked, steps=(step, *cheaper.steps))


def barred_by(settings: Settings, name: str) -> dict[str, str]:
    """The providers that a key may not use, and why."""
    key = settings.keys.named(name)
    if key is None or not key.providers:
        return {}
    reason = f"the key {name} may use {', '.join(key.providers)} only"
    return {each: reason for each in settings.providers if not key.uses(each)}


def _denials(services: Services, settings: Settings, key: str) -> dict[str, Denial]:
    """The providers for which no budget is left, and why."""
    if not services.spending.active:
        return {}
    now = time.time()
    found = {name: services.spending.denial(key, name, now) for name in settings.providers}
    return {name: denial for name, denial in found.items() if denial is not None}


def _refusal(made: Plan, denials: Mapping[str, Denial]) -> Failure | None:
    """The failure of a plan that has no target because of budgets; None if there is another reason."""
    reasons = {line.reason for line in made.considered}
    found = [denial for denial in denials.values() if denial.message in reasons]
    if made.failure is None or made.failure.kind not in ("unavailable", "bad_request") or not found:
        return None
    message = "; ".join(dict.fromkeys(denial.message for denial in found))
    waits = [denial.retry_after for denial in found if denial.retry_after is not None]
    if waits:
        # Where only reservations stand in the way, a limit does; apart, the store.
        apart = all(denial.apart for denial in found if denial.retry_after is not None)
        kind: FailureKind = "overloaded" if apart else "rate_limited"
        return Failure(kind=kind, message=message, retry_after=min(waits), should_retry=True)
    remedies = dict.fromkeys(denial.remedy for denial in found)
    if (pool := denials.get(GEMINI.name)) is not None and pool in found and pool.counts_money:
        remedies["or, if the Gemini accounts cost nothing, bm config set budgets.free gemini"] = None
    return unavailable(f"{message}{_REMEDY}{', '.join(remedies)}")


def _foreign_model(key: Key, model: str) -> Failure:
    """The API's own answer where a key has no access to a model, so that clients know it."""
    message = (
        f"the key {key.name} may not use {model}, but {', '.join(key.models)}; "
        f"whoever runs bm can change that: bm keys change {key.name} --models …"
    )
    return Failure(kind="not_found", message=message, param="model", should_retry=False)


async def keep_caught_up(services: Services, ledger: Where) -> None:
    """Read what new budgets have spent from a ledger that could not be read before, until cancelled."""
    while True:
        await asyncio.sleep(_AGAIN)
        await catch_up(services, ledger)


async def catch_up(services: Services, ledger: Where) -> None:
    """Read from the ledger what new budgets have spent in their current periods before they were set up."""
    spending = services.spending
    unread, spending.unread = spending.unread, []
    if not unread:
        return
    if spending.counts_money:
        # Not while a request is waiting for its estimate.
        await asyncio.to_thread(load_prices)
    try:
        if services.ledger is not None:
            written = await asyncio.to_thread(services.ledger.flush, _FLUSH_WAIT)
            if not written and not isinstance(ledger, Path):
                raise LedgerError("requests of this node still wait to be written")
        for begin, since in {(budget.begin, budget.since) for budget in unread}:
            rows = await asyncio.to_thread(spent, ledger, since=begin, ended=since)
            for budget in (each for each in unread if (each.begin, each.since) == (begin, since)):
                spending.restore(budget, [(row.key, Used(row.provider, row.money, row.tokens)) for row in rows])
    except LedgerError as error:
        spending.unread = [*unread, *spending.unread]
        words = f"budgets count from what this node has saved, or 0, until the ledger can be read: {error}"
        if words not in failures():
            _log.warning("%s", words)
        note(_NOTE, words)
    else:
        note(_NOTE, "")

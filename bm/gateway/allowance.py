"""What a call's key and the budgets allow: checked when it is planned, settled when it has ended.

A budget that is spent is answered with 400 and no `retry-after`: tools take 402 and 403 for a matter of their own
sign-in, and repeat a request after 429, some of them for hours. Only what ends within a minute is a 429: a rate, and
what running requests have reserved.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from bm.chat.estimate import estimate, tokens_in
from bm.chat.events import Usage
from bm.config.budget import REFUSE, ROUTE
from bm.dispatch.plan import Plan
from bm.dispatch.refusal import unavailable
from bm.dispatch.target import Target
from bm.errors import Failure, RequestError
from bm.gateway.adapter import Adapter
from bm.gateway.record import Record
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.keys.key import MAIN, Key
from bm.keys.spending import Denial, Hold, Used
from bm.ledger.prices import cost_of
from bm.ledger.prices import load as load_prices
from bm.ledger.reader import LedgerError, spent
from bm.names import EMBEDDINGS, FITTED
from bm.providers.catalog import GEMINI

_RETRIED = 60
"""Seconds after which clients try again by themselves, at most: the official SDKs' limit."""
_MARGIN = 1.2
"""Estimates of prompts are good to a fifth."""
_LONGEST = 16_384
"""Tokens of an answer, where neither the request nor the model says how long it may be."""
_MOST_UNPRICED = 20
_REMEDY = "; to raise it: "
_FLUSH_WAIT = 5.0

_log = logging.getLogger("bm")


class Allowance:
    """One call against the limits of its key and the budgets. Costs next to nothing where there are none."""

    def __init__(self, services: Services, settings: Settings, adapter: Adapter, record: Record) -> None:
        self._services, self._settings, self._adapter, self._record = services, settings, adapter, record
        self._key = settings.keys.named(record.key)
        self._taken = 0
        self._hold: Hold | None = None

    def check(self) -> None:
        """Refuse what the key does not allow, and take what it is limited to.

        Raises:
            RequestError: the key was revoked meanwhile, the model is not one of its own, or it is at a rate limit.
        """
        key = self._key
        if key is MAIN:
            return
        if key is None:
            message = f"the key {self._record.key} is revoked"
            raise RequestError(Failure(kind="unauthorized", message=message, should_retry=False))
        if not key.names(self._record.model):
            raise RequestError(_foreign_model(key, self._record.model))
        if key.rpm or key.tpm:
            self._take(key)

    def _take(self, key: Key) -> None:
        """Take the request, and the tokens of its prompt as far as they can be estimated."""
        tokens = prompt_tokens(self._adapter) if key.tpm else 0
        seconds = self._services.buckets.admit(key, tokens, time.monotonic())
        if seconds:
            limits = [f"{key.rpm:,} requests" if key.rpm else "", f"{key.tpm:,} tokens" if key.tpm else ""]
            text = f"the key {key.name} is limited to {' and '.join(filter(None, limits))} per minute"
            message = f"{text}: try again in {seconds} s"
            retried = seconds <= _RETRIED
            raise RequestError(Failure(kind="rate_limited", message=message, retry_after=seconds, should_retry=retried))
        self._taken = tokens

    def planned(self, plan: Callable[[str, Mapping[str, str]], Plan]) -> Plan:
        """The plan for the call as of `allowed`. Reserves what its first target may cost.

        Nothing else runs between looking at the budgets and reserving.
        """
        call, key = self._adapter.call, self._record.key
        if call.operation == "count_tokens":
            # It costs nothing.
            return plan(call.model, barred_by(self._settings, key))
        made = allowed(self._services, self._settings, key, call.model, plan)
        first = next(iter((*made.choices, *made.cooling_down)), None)
        if made.failure is None and first is not None:
            self.reserve(first.target)
        return made

    def reserve(self, target: Target) -> None:
        """Reserve what a target may cost at most, once for each provider."""
        spending = self._services.spending
        if not spending.active:
            return
        self._hold = self._hold or spending.hold(self._record.key)
        if target.provider in self._hold.providers:
            return
        usage = self._most(target)
        if self._adapter.call.body.find(b'"cache_control"') >= 0:
            usage = Usage(cache_write=usage.input, output=usage.output)
        self._hold.reserve(self._used(target, usage), time.time())

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
            self._services.buckets.settle(key, tokens - self._taken, time.monotonic())
        hold = self._hold or spending.hold(record.key)
        for news in hold.settle(used, time.time(), at=record.at):
            _log.warning("%s", news)


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
        return Failure(kind="rate_limited", message=message, retry_after=min(waits), should_retry=True)
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


async def catch_up(services: Services, ledger: Path) -> None:
    """Read from the ledger what new budgets have spent in their current periods before now."""
    spending, now = services.spending, time.time()
    unread, spending.unread = spending.unread, []
    if not unread:
        return
    if spending.counts_money:
        # Not while a request is waiting for its estimate.
        await asyncio.to_thread(load_prices)
    try:
        if services.ledger is not None:
            await asyncio.to_thread(services.ledger.flush, _FLUSH_WAIT)
        for begin in {budget.begin for budget in unread}:
            rows = await asyncio.to_thread(spent, ledger, since=begin, ended=now)
            for budget in (each for each in unread if each.begin == begin):
                spending.restore(budget, [(row.key, Used(row.provider, row.money, row.tokens)) for row in rows])
    except LedgerError as error:
        _log.warning("what was spent before now is unknown, budgets begin at 0: %s", error)

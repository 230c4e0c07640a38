"""Budgets as they are written: `20/day`, `200/month`, `500k tokens/hour`."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

import msgspec

Period = Literal["hour", "day", "month"]
"""How long a budget lasts; it begins anew with each, in local time."""

Unit = Literal["money", "tokens"]
"""What a budget counts: US dollars at list price, or tokens of prompts and answers."""

REFUSE: Final = "refuse"
ROUTE: Final = "route:"
"""What `on_exhausted` may say: `refuse`, or `route:` and a model or alias."""

_PERIODS: tuple[Period, ...] = get_args(Period)
_LIMIT = re.compile(r"\$?\s*(\d+(?:\.\d+)?|\.\d+)\s*([kKmM]?)\s*(tokens?)?\s*/\s*([a-z]+)")
_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000}
_EXAMPLES = "such as 20/day, 200/month or 2M tokens/day"


class Limit(msgspec.Struct, frozen=True):
    """How much may be spent in each period."""

    amount: float
    unit: Unit
    period: Period

    def __str__(self) -> str:
        return f"{said(self.amount, self.unit)}/{self.period}"


def limits_of(written: str | tuple[str, ...]) -> tuple[Limit, ...]:
    """The limits of a setting.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(map(read_limit, (written,) if isinstance(written, str) else written))


def said(amount: float, unit: Unit) -> str:
    """An amount in words: `$20`, `$0.25`, `2M tokens`."""
    if unit == "money":
        return f"${amount:,.2f}".removesuffix(".00")
    for sign, factor in (("M", 1_000_000), ("k", 1_000)):
        if amount >= factor and amount % (factor / 10) == 0:
            return f"{amount / factor:g}{sign} tokens"
    return f"{amount:,.0f} tokens"


def read_limit(text: str) -> Limit:
    """The limit that is written so.

    Raises:
        ValueError: it is none; the text says what is wrong.
    """
    found = _LIMIT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a budget: write an amount and a period, {_EXAMPLES}")
    number, factor, tokens, word = found.groups()
    period = next((each for each in _PERIODS if each == word), None)
    if period is None:
        raise ValueError(f"{text!r}: a budget is for an hour, a day or a month, {_EXAMPLES}")
    if factor and not tokens:
        raise ValueError(f"{text!r}: say whether it is tokens, {_EXAMPLES}")
    if tokens and text.strip().startswith("$"):
        raise ValueError(f"{text!r}: money or tokens? {_EXAMPLES}")
    amount = float(number) * _FACTORS[factor.lower()]
    if not 0 < amount < float("inf"):
        raise ValueError(f"{text!r}: the amount must be above 0")
    return Limit(amount, "tokens" if tokens else "money", period)

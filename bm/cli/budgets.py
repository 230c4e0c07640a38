"""Budgets in words, for `bm status` and `bm doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bm.cli import render

if TYPE_CHECKING:
    from bm.config.schema import Config
    from bm.keys.key import Key
    from bm.providers.provider import Provider


def used(rows: Sequence[dict[str, Any]], *, alone: bool = False) -> str:
    """How far each budget is used: `$12.30 of $20/day; key ci: 0 tokens of 1M tokens/day`; `alone` not whose it is."""
    from bm.config.budget import said

    return "; ".join(
        f"{'' if alone else _whose(row)}{said(row['spent'], row['unit'])} of {row['limit']}" for row in rows
    )


def _whose(row: dict[str, Any]) -> str:
    return "" if row["scope"] == "total" else f"{row['scope']} {row['name']}: "


def notes(status: dict[str, Any]) -> Iterator[str]:
    """What a person should know of budgets: those that are nearly spent, and models that count nothing."""
    for row in status.get("budgets", ()):
        if row["state"] != "ok":
            share = "spent" if row["state"] == "spent" else f"spent to {row['spent'] / row['amount']:.0%}"
            whose = "the budget" if row["scope"] == "total" else f"the budget of the {row['scope']} {row['name']}"
            yield f"{whose}, {row['limit']}, is {share}: it begins anew at {render.clock(row['resets_at'])}"
    if unpriced := status.get("unpriced"):
        yield f"no price is known for {', '.join(unpriced)}: these requests count as $0 in budgets of money"


def without_price(config: Config, keys: Sequence[Key], providers: Sequence[Provider]) -> list[str]:
    """The models that providers in use map names to and whose price is unknown, if there is a budget of money."""
    from bm.chat.events import Usage
    from bm.config.budget import limits_of
    from bm.ledger.prices import cost_of

    written = [config.budgets.total, *config.budgets.providers.values(), *config.budgets.keys.values()]
    written += [key.budgets for key in keys]
    if not any(limit.unit == "money" for each in written for limit in limits_of(each)):
        return []
    costly = [
        each
        for each in providers
        if each.enabled and (each.pool or each.mode != "off") and each.auth != "none"
        if each.name not in config.budgets.free
    ]
    models = {(each.name, model) for each in costly for model in each.models.values()}
    return [f"{name}:{model}" for name, model in sorted(models) if cost_of(name, model, Usage()) is None]

"""When the models in use are turned off by their vendors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

from bm.config.chains import names_in
from bm.config.keys import Key, dotted
from bm.config.schema import Chain
from bm.providers.families import family_of
from bm.providers.provider import Provider

NOTICE: Final = timedelta(days=30)
"""How long before its day a retirement is reported."""


def retirement(model: str, today: date, listed: date | None = None) -> str:
    """What to say of a model that retires soon or has retired; empty for all others.

    `listed` is the day that the service's own list gives.
    """
    family = family_of(model)
    day = listed or (family.retires if family is not None else None)
    if day is None or day > today + NOTICE:
        return ""
    return f"retired on {day}" if day < today else f"retires on {day}"


def retiring(providers: Iterable[Provider], chains: Iterable[tuple[Key, Chain]], today: date) -> Iterator[str]:
    """The mappings of the configuration and the tables that lead to a model which retires soon or has retired."""
    for provider in providers:
        if not provider.enabled or (provider.mode == "off" and not provider.pool):
            continue
        for name, model in {**provider.words, **provider.models}.items():
            if what := retirement(model, today):
                yield f"{provider.name} maps {name} to {model}, which {what}"
    for key, chain in chains:
        for meant in names_in(chain):
            if what := retirement(meant.partition(":")[2] or meant, today):
                yield f"{dotted(key)} names {meant}, which {what}"

"""Write the table of docs/costs.md from the price data; `--check` only says if it is stale."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from genai_prices import Usage, calc_price

from bm.config.schema import GEMINI_MODELS
from bm.ledger.prices import _PROVIDER_IDS as PRICE_IDS
from bm.providers.catalog import CATALOG

PAGE = Path(__file__).resolve().parents[1] / "docs" / "costs.md"
PLACE = re.compile(r"(<!-- prices -->\n).*?(<!-- end of prices -->)", re.DOTALL)
AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
"""Prices change with the date, and some with the hour."""
READ, CACHED, WRITTEN = 2_000, 28_000, 600
"""A turn of a coding agent in mid-conversation: tokens of the prompt, new and sent before, and those of the answer."""
KINDS = {"opus": "large", "sonnet": "medium", "haiku": "small"}


def price(provider: str, model: str, usage: Usage) -> float:
    """What these tokens cost in US dollars."""
    found = calc_price(usage, model, provider_id=PRICE_IDS.get(provider, provider), genai_request_timestamp=AT)
    return float(found.total_price)


def models(name: str) -> dict[str, str]:
    """The models that bm takes for the families at a provider, with the sizes they stand for."""
    row = CATALOG[name]
    chosen = GEMINI_MODELS if name == "gemini" else {**row.words, **row.models}
    found: dict[str, str] = {}
    for family, size in KINDS.items():
        model = chosen.get(family) or chosen.get("default", "")
        if model:
            found[model] = f"{found[model]}, {size}" if model in found else size
    return found


def row(provider: str, model: str, size: str) -> str:
    """A line of the table."""
    each = (Usage(input_tokens=1000), Usage(input_tokens=1000, cache_read_tokens=1000), Usage(output_tokens=1000))
    figures = [f"{price(provider, model, usage) * 1000:.3g}" for usage in each]
    turn = Usage(input_tokens=READ + CACHED, cache_read_tokens=CACHED, output_tokens=WRITTEN)
    return f"| `{provider}` | `{model}` | {size} | {' | '.join(figures)} | {price(provider, model, turn) * 100:.2f} |"


def table() -> str:
    """All rows."""
    head = "| provider | model | for | input | cached | output | 100 turns |\n|---|---|---|---:|---:|---:|---:|\n"
    return head + "".join(
        f"{row(name, model, size)}\n"
        for name, provider in CATALOG.items()
        if name == "gemini" or (provider.key_env and name != "gemini-openai")
        for model, size in models(name).items()
    )


def main() -> int:
    """Write or check; 1 when the page is stale."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = PLACE.sub(lambda found: found[1] + table() + found[2], text)
    if "--check" in sys.argv[1:]:
        if text != wanted:
            sys.stderr.write("docs/costs.md is stale: run .venv/bin/python scripts/cost_docs.py\n")
        return int(text != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""`bm usage`: requests, tokens and cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render
from bm.cli.render import Json
from bm.names import By

if TYPE_CHECKING:
    from bm.config.paths import Paths

_COUNTS = ("requests", "failures", "input", "cache_read", "cache_write", "output", "thinking")
_COLUMNS = ("requests", "failed", "input", "cached", "cache written", "output", "thinking", "cost")

_SPARE = ("thinking", "cache written", "cached", "failed", "input")


def usage(
    days: Annotated[int, typer.Option("--days", min=1, max=400, help="How many days, including today.")] = 30,
    by: Annotated[By, typer.Option("--by", help="One line per …")] = "provider",
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
) -> None:
    """Show requests, tokens and cost at list prices."""
    answer = _answer(admin.here(), days, by)
    if as_json:
        render.json(answer)
        return
    if as_csv:
        names = (*_COUNTS, "cost")
        render.csv((by, *names), [(row["name"], *(row[name] for name in names)) for row in answer["rows"]])
        return
    rows = [_row(row["name"] or "-", row) for row in answer["rows"]]
    if rows:
        rows.append(_row("total", answer["total"]))
    span = "today" if days == 1 else f"in the last {days} days"
    render.table((by, *_COLUMNS), rows, empty=f"no requests {span}", spare=_SPARE)
    if unpriced := answer["total"]["unpriced"]:
        render.note(f"note: the cost excludes {unpriced} requests to models without a known price")


def _answer(paths: Paths, days: int, by: By) -> dict[str, Any]:
    """From the daemon, which first writes its latest requests; without one, from the ledger."""
    from datetime import datetime

    from bm.accounts.report import billed
    from bm.ledger.reader import midnight
    from bm.ledger.reader import usage as read

    daemon = admin.running(paths)
    if daemon is None:
        since, accounts = midnight(days, datetime.now()), admin.vault(paths).accounts.load().accounts
        return read(admin.ledger(paths), since=since, by=by, billed=billed(accounts))
    answer: dict[str, Any] = admin.ask_daemon(paths, daemon, "GET", f"/admin/usage?days={days}&by={by}")
    return answer


def _row(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    cost = "-" if row["cost"] is None else render.money(row["cost"])
    return (name, *(f"{row[column]:,}" for column in _COUNTS), cost)

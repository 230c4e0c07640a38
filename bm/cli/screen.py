"""What `bm top` shows: the same lines and tables on a screen, cut to its size, and in plain text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bm.cli import render
from bm.cli.why import money
from bm.duration import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from bm.cli.top import Watch

ACCOUNTS = ("account", "provider", "state", "limit", "today", "failed", "last used", "said last")
PROVIDERS = ("provider", "mode", "health", "accounts")
REQUESTS = ("time", "client", "asked for", "answered by", "first", "took", "tokens", "cost", "end")

_RIGHT = {"today", "failed", "accounts", "first", "took", "tokens", "cost"}
_GIVE_WAY = {"account", "asked for", "answered by", "said last", "limit", "end"}
"""Columns that are cut short where there is too little room."""
_LEAST = {"said last": 124, "client": 120, "first": 110, "last used": 96, "cost": 90, "provider": 84, "asked for": 72}
_LEAST |= {"limit": 66, "tokens": 58, "failed": 50}
"""How wide a screen must be for a column to be shown."""
_TROUBLE = {"disabled": 0, "cooling down": 1, "usable": 2, "off": 3}


class Listing(NamedTuple):
    """A table: its columns, its rows, and what is said when there are none."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    empty: str


def headline(watch: Watch) -> str:
    """Where it is and for how long it has been there."""
    status = watch.live["status"]
    return f"bm at {watch.url}  version {status['version']}  up {duration(status['uptime'])}"


def figures(live: dict[str, Any]) -> str:
    """Rates, tokens and cost in a line."""
    recent, today, counts = live["traffic"]["recent"], live["today"], live["status"]["accounts"]
    seconds = max(recent["seconds"], 60.0)
    parts = [
        f"{live['status']['requests']['active']} under way",
        f"{recent['requests'] * 60 / seconds:.0f} a minute",
        f"{recent['failures']} failed",
        f"{recent['output'] / seconds:,.0f} tokens/s",
        f"{counts['usable']}/{sum(counts.values())} accounts usable",
    ]
    if today is not None:
        parts.insert(4, f"${today['cost'] or 0.0:,.2f} today")
    return "  ".join(parts)


def notices(watch: Watch) -> list[str]:
    """What needs a person."""
    live, config = watch.live, watch.live["status"]["config"]
    found = [watch.problem] if watch.problem else []
    if config["error"]:
        found.append(f"the configuration cannot be used, the old one stays in force: {config['error']}")
    if live["not_ready"]:
        found.append(live["not_ready"])
    return found


def accounts(live: dict[str, Any]) -> Listing:
    """One row an account, in the pool's order."""
    rows = [
        (
            row["name"],
            row["provider"],
            _state(row),
            _fullest(row["quotas"]),
            str(row["requests_today"]),
            str(row["failures_today"]),
            f"{duration(max(live['at'] - row['last_used'], 0))} ago" if row["last_used"] else "never",
            row["reason"] or row["last_error"],
        )
        for row in live["accounts"]
    ]
    return Listing(ACCOUNTS, rows, "no accounts (bm accounts add NAME)")


def _state(row: dict[str, Any]) -> str:
    rests = [float(each["seconds"]) for each in row["cooldowns"]]
    return f"{row['state']} {_left(max(rests))}" if rests and row["state"] == "cooling down" else str(row["state"])


def _left(seconds: float) -> str:
    """A rest as it counts down: `1:35`."""
    whole = max(0, round(seconds))
    return f"{whole // 60}:{whole % 60:02}" if whole < 3600 else duration(whole)


def _fullest(quotas: Sequence[dict[str, Any]]) -> str:
    """The limit that is nearest to being used up."""
    known = [each for each in quotas if each["limit"]]
    if not known:
        return ""
    each = max(known, key=lambda quota: float(quota["used"] / quota["limit"]))
    tokens = " tokens" if each["unit"] == "tokens" else ""
    return f"{each['used']:,}/{each['limit']:,}{tokens} a {each['window']} {each['model']}"


def providers(live: dict[str, Any]) -> Listing:
    """One row a provider, the pool first."""
    rows = [(row["name"], _mode(row), row["health"], str(row["accounts"])) for row in live["providers"]]
    return Listing(PROVIDERS, rows, "no providers")


def _mode(row: dict[str, Any]) -> str:
    if not row["enabled"]:
        return "disabled"
    return "first" if row["name"] == "gemini" else str(row["mode"])


def requests(rows: Sequence[dict[str, Any]]) -> Listing:
    """One row a request."""
    return Listing(REQUESTS, [_request(row) for row in rows], 'no requests yet: eval "$(bm env)"')


def _request(row: dict[str, Any]) -> tuple[str, ...]:
    tokens = row["input"] + row["cache_read"] + row["cache_write"]
    used = tokens or row["output"]
    return (
        time.strftime("%H:%M:%S", time.localtime(row["at"])),
        row["protocol"] if row["operation"] == "generate" else f"{row['protocol']} {row['operation']}",
        row["model"],
        f"{row['provider']}/{row['account']} {row['upstream_model']}" if row["provider"] else "-",
        "" if row["first_content"] is None else f"{row['first_content']:.2f} s",
        f"{row['took']:.2f} s",
        f"{tokens:,} > {row['output']:,}" if used else "",
        "" if not used else "-" if row["cost"] is None else money(row["cost"]),
        _end(row),
    )


def _end(row: dict[str, Any]) -> str:
    tries = f", {row['attempts']} tries" if row["attempts"] > 1 else ""
    if row.get("under_way"):
        return ("waits" if row["first_content"] is None else "answers") + tries
    if row["finish"] == "client_left":
        return "client left"
    if row["failure"]:
        return f"{row['status']} {row['failure']}{tries}"
    return (row["finish"] or "complete") + tries


@contextmanager
def opened() -> Iterator[Callable[[Watch], None]]:
    """A screen of its own, which goes away again; what is yielded draws on it."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as screen:

        def show(watch: Watch) -> None:
            screen.update(drawn(watch, console), refresh=True)

        yield show


def drawn(watch: Watch, console: Console) -> RenderableType:
    """Everything, cut to the size of the screen: accounts take what they need up to a half of it."""
    from rich.console import Group
    from rich.text import Text

    width, height = console.size
    style = "bold reverse" if not watch.problem else "bold white on red"
    head = f" {headline(watch)}".ljust(width - 8)[: width - 8] + "q quits "
    lines: list[RenderableType] = [
        Text(head, style=style, no_wrap=True, overflow="crop"),
        Text(f" {figures(watch.live)}", no_wrap=True, overflow="ellipsis"),
    ]
    told = [render.clean(" ".join(each.split())) for each in notices(watch)]
    lines += [Text(f" {each}", style="red", no_wrap=True, overflow="ellipsis") for each in told]
    lines.append(Text(f" {_in_a_line(providers(watch.live))}", no_wrap=True, overflow="ellipsis"))
    left = height - len(lines)
    listed = _in_trouble_first(accounts(watch.live), max(left // 2 - 2, 1))
    left -= max(len(listed.rows), 1) + 4
    lines += ["", _table(listed, width), "", _table(requests(watch.requests[: max(left, 0)]), width)]
    return Group(*lines)


def _in_a_line(listing: Listing) -> str:
    """`gemini first ok   groq pooled degraded`: the rows without what is unknown."""
    return "   ".join(" ".join(cell for cell in row[:3] if cell != "unknown") for row in listing.rows)


def _in_trouble_first(listing: Listing, room: int) -> Listing:
    """As many rows as there is room for: where that is not all, those that need a look."""
    if len(listing.rows) <= room:
        return listing
    rows = sorted(
        listing.rows, key=lambda row: next(place for state, place in _TROUBLE.items() if row[2].startswith(state))
    )
    more = len(rows) - room + 1
    rest = [f"{more} more", *("" for _ in listing.columns[1:])]
    return listing._replace(rows=[*rows[: room - 1], tuple(rest)])


def _table(listing: Listing, width: int) -> Table | str:
    from rich.table import Table

    if not listing.rows:
        return f" {listing.empty}"
    shown = [place for place, name in enumerate(listing.columns) if width >= _LEAST.get(name, 0)]
    table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="bright_black", expand=True)
    for place in shown:
        name = listing.columns[place]
        table.add_column(
            name,
            justify="right" if name in _RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=2 if name in ("answered by", "said last") else 1 if name in _GIVE_WAY else None,
        )
    for row in listing.rows:
        table.add_row(*(render.coloured(render.clean(row[place])) for place in shown))
    return table

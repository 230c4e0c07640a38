"""The full-screen view of `bm top`: the daemon's figures and tables, cut to the size of the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bm.cli import render, tables
from bm.cli.browse import HINTS, Browse
from bm.duration import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table as RichTable

_RIGHT = {"today", "failed", "accounts", "first", "took", "tokens", "cost"}
_SHRINKABLE = {"account", "model", "answered by", "last error", "limit", "end"}
"""Columns that are cut short when the screen is narrow."""
_MIN_WIDTH = {"last error": 124, "client": 120, "first": 110, "last used": 96, "cost": 90, "provider": 84, "model": 72}
_MIN_WIDTH |= {"limit": 66, "tokens": 58, "failed": 50}
"""How wide the screen must be for a column to be shown."""
_SEVERITY = {"disabled": 0, "cooling down": 1, "usable": 2, "off": 3}


class View(NamedTuple):
    """What to show: the daemon's address, its latest `/admin/live`, requests (newest first), why it is stale, and what
    the user looks at."""

    url: str
    live: dict[str, Any]
    requests: Sequence[dict[str, Any]]
    problem: str = ""
    browse: Browse | None = None


def headline(view: View) -> str:
    """Address, version and uptime."""
    status = view.live["status"]
    return f"bm at {view.url}  version {status['version']}  up {duration(status['uptime'])}"


def figures(live: dict[str, Any]) -> str:
    """Rates, tokens and cost on one line."""
    recent, today, counts = live["traffic"]["recent"], live["today"], live["status"]["accounts"]
    seconds = max(recent["seconds"], 60.0)
    parts = [
        f"{live['status']['requests']['active']} running",
        f"{recent['requests'] * 60 / seconds:.0f} a minute",
        f"{recent['failures']} failed",
        f"{recent['output'] / seconds:,.0f} tokens/s",
        f"{counts['usable']}/{sum(counts.values())} accounts usable",
    ]
    if today is not None:
        parts.insert(4, f"${today['cost'] or 0.0:,.2f} today")
    return "  ".join(parts)


def notices(view: View) -> list[str]:
    """What needs the user's attention."""
    error = view.live["status"]["config"]["error"]
    found = [view.problem, f"the configuration is invalid, the previous one stays in force: {error}" if error else ""]
    return [each for each in (*found, view.live["not_ready"]) if each]


@contextmanager
def opened() -> Iterator[Callable[[View], None]]:
    """The terminal's alternate screen until the block ends; yields the function that draws on it."""
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as screen:

        def show(view: View) -> None:
            screen.update(rendered(view, console), refresh=True)

        yield show


def rendered(view: View, console: Console) -> RenderableType:
    """The whole view. Accounts take what they need, up to half of the screen."""
    from rich.console import Group
    from rich.text import Text

    width, height = console.size
    style = "bold reverse" if not view.problem else "bold white on red"
    head = f" {headline(view)}".ljust(width - 8)[: width - 8] + "q quits "
    lines: list[RenderableType] = [
        Text(head, style=style, no_wrap=True, overflow="crop"),
        Text(f" {figures(view.live)}", no_wrap=True, overflow="ellipsis"),
    ]
    shown = [render.clean(" ".join(each.split())) for each in notices(view)]
    lines += [Text(f" {each}", style="red", no_wrap=True, overflow="ellipsis") for each in shown]
    lines.append(Text(f" {_on_one_line(tables.live_providers(view.live))}", no_wrap=True, overflow="ellipsis"))
    lines += [Text(f" {nodes}", no_wrap=True, overflow="ellipsis") for nodes in _nodes(view.live)]
    left = height - len(lines)
    accounts = _worst_first(tables.live_accounts(view.live), max(left // 2 - 2, 1))
    left -= max(len(accounts.rows), 1) + 4
    lines += ["", _table(accounts, width), ""]
    if view.browse is None:
        return Group(*lines, _table(tables.requests(view.requests[: max(left, 0)]), width))
    hint = Text(
        f" {view.browse.message or HINTS[view.browse.panel]}", "bright_black", no_wrap=True, overflow="ellipsis"
    )
    return Group(*lines, _panel(view, view.browse, max(left - 1, 0), width), hint)


def _panel(view: View, browse: Browse, room: int, width: int) -> RenderableType:
    """What the user looks at, on so many lines below the headings."""
    from rich.console import Group
    from rich.text import Text

    if browse.panel == "why":
        lines = [part for line in browse.lines for part in (_wrapped(line, width - 2) or [""])]
        start = min(browse.place, max(len(lines) - room, 0))
        shown = [Text(f" {render.clean(line)}", no_wrap=True) for line in lines[start : start + room + 1]]
        return Group(*shown)
    if browse.panel == "modes":
        rows = [(row["name"], row["mode"], row["state"]) for row in switchable(view.live)]
        table = tables.Table(("provider", "mode", "state"), rows, "no provider beside the pool (bm providers use NAME)")
        return _table(_from(table, browse.place, room), width, chosen=_shift(browse.place, room))
    chosen = browse.chosen(view.requests)
    table = tables.requests(view.requests)
    return _table(_from(table, chosen, room), width, chosen=_shift(chosen, room))


def switchable(live: dict[str, Any]) -> list[dict[str, Any]]:
    """The providers that have a mode."""
    return [row for row in live["providers"] if row["name"] != "gemini"]


def _from(table: tables.Table, chosen: int, room: int) -> tables.Table:
    """So many rows of a table that the chosen one is among them."""
    first = max(chosen - room + 1, 0)
    return table._replace(rows=table.rows[first : first + room])


def _shift(chosen: int, room: int) -> int:
    return chosen - max(chosen - room + 1, 0)


def _wrapped(line: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(line, max(width, 10), subsequent_indent="    ", drop_whitespace=False)


def _on_one_line(table: tables.Table) -> str:
    """`gemini pooled ok   groq fallback degraded   xai ready off`: the rows without what goes without saying."""
    return "   ".join(" ".join(cell for cell in row[:4] if cell not in ("unknown", "in use")) for row in table.rows)


def _nodes(live: dict[str, Any]) -> list[str]:
    """`nodes  a 3 running   b gone 14 s` on a line of its own, if there are others."""
    team = live["status"].get("shared")
    if not team or len(team["nodes"]) < 2:
        return []
    rows = [(row[0], f"{row[5]} running" if row[5] != "-" else row[1]) for row in tables.nodes(team).rows]
    return ["nodes  " + "   ".join(render.clean(" ".join(row)) for row in rows)]


def _worst_first(table: tables.Table, room: int) -> tables.Table:
    """The table cut to `room` rows; when rows are cut, accounts that need attention come first."""
    if len(table.rows) <= room:
        return table

    def severity(row: tuple[str, ...]) -> int:
        return next((rank for state, rank in _SEVERITY.items() if row[2].startswith(state)), 0)

    rows = sorted(table.rows, key=severity)
    rest = (f"{len(rows) - room + 1} more", *("" for _ in table.columns[1:]))
    return table._replace(rows=[*rows[: room - 1], rest])


def _table(table: tables.Table, width: int, *, chosen: int = -1) -> RichTable | str:
    from rich.table import Table as RichTable

    if not table.rows:
        return f" {table.empty}"
    shown = [place for place, name in enumerate(table.columns) if width >= _MIN_WIDTH.get(name, 0)]
    rendered = RichTable(box=None, pad_edge=True, padding=(0, 1), header_style="bright_black", expand=True)
    for place in shown:
        name = table.columns[place]
        rendered.add_column(
            name,
            justify="right" if name in _RIGHT else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=2 if name in ("answered by", "last error") else 1 if name in _SHRINKABLE else None,
        )
    for number, row in enumerate(table.rows):
        cells = [render.coloured(render.clean(row[place])) for place in shown]
        rendered.add_row(*cells, style="reverse" if number == chosen else "")
    return rendered

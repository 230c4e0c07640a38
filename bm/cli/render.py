"""Output: rich tables on a terminal, plain text elsewhere, JSON on request; numbers and times as words."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
"""The option of every reading command."""

_COLOURS = {
    **dict.fromkeys(("ok", "usable", "in use", "yes", "pooled", "exclusive", "fallback", "passed", "planned"), "green"),
    **dict.fromkeys(("cooling down", "degraded", "warning", "waiting", "ready"), "yellow"),
    **dict.fromkeys(("disabled", "down", "failed", "error"), "red"),
    **dict.fromkeys(("off", "excluded", "unknown", "no", "-"), "bright_black"),
}
"""Words that name a state: alone in a cell, or followed by a duration (`cooling down 3 min`)."""
_WEEK = 6 * 86400.0
"""Seconds for which the name of a day is clear."""
_PATIENCE = 0.5
_SPINNER = "|/-\\"
_STATE = re.compile(r"(\D*?)(?: \d.*)?")


def line(text: str = "") -> None:
    """Print a line of the result."""
    _write(sys.stdout, text)


def part(text: str) -> None:
    """Print a piece of a text as it comes."""
    _write(sys.stdout, text, end="")


def note(text: str) -> None:
    """Print a line to standard error: about the result, not part of it."""
    _write(sys.stderr, _fitted(text))


def error(text: str) -> None:
    """Print why the command failed."""
    _write(sys.stderr, _fitted(f"error: {text}"))


@contextmanager
def waiting(text: str) -> Iterator[None]:
    """Show that bm is waiting for something, on a terminal and if it takes longer than half a second."""
    import threading

    if sys.stderr is None or not sys.stderr.isatty() or threading.current_thread() is not threading.main_thread():
        yield
        return
    done = threading.Event()

    def turn() -> None:
        if done.wait(_PATIENCE):
            return
        for number in itertools.count():
            _write(sys.stderr, f"\r{_SPINNER[number % len(_SPINNER)]} {text} …", raw=True, end="")
            if done.wait(0.1):
                _write(sys.stderr, f"\r{' ' * (len(text) + 4)}\r", raw=True, end="")
                return

    spinner = threading.Thread(target=turn, daemon=True)
    spinner.start()
    try:
        yield
    finally:
        done.set()
        spinner.join()


def json(value: Any) -> None:
    """Print the result for programs."""
    import msgspec

    _write(sys.stdout, msgspec.json.format(msgspec.json.encode(value)).decode(), raw=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str, spare: Sequence[str] = ()) -> None:
    """Print rows under their headings, or `empty` when there are none. White space in cells becomes single spaces.

    On a narrow terminal, the columns in `spare` are dropped in order until the table fits; then cells are wrapped.
    """
    cells = [[clean(" ".join(cell.split())) for cell in row] for row in rows]
    if not cells:
        line(empty)
    elif is_terminal():
        _rich_table(columns, cells, [each for each in spare if each in columns])
    else:
        _plain_table(columns, cells)


def paragraph(text: str, *, indent: int = 0) -> None:
    """Print a text as one line; on a terminal, wrap it between words."""
    _wrapped(" ".join(text.split()), " " * indent, " " * (indent + 2))


def _wrapped(text: str, first: str, further: str) -> None:
    """Print a text behind `first`; on a terminal, wrap it between words, further lines behind `further`."""
    line(_filled(text, first, further) if is_terminal() else first + text)


def _fitted(text: str) -> str:
    """A text for standard error: on a terminal, lines are wrapped between words; indented ones are to be copied."""
    if sys.stderr is None or not sys.stderr.isatty():
        return text
    return "\n".join(each if each.startswith(" ") else _filled(each, "", "  ") for each in text.split("\n"))


def _filled(text: str, first: str, further: str) -> str:
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    if width <= len(further):
        return first + text
    wrapper = textwrap.TextWrapper(
        width, initial_indent=first, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
    return wrapper.fill(text)


def facts(pairs: Mapping[str, str]) -> None:
    """Print names and values, one pair a line, without empty values."""
    shown = {name: value for name, value in pairs.items() if value}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        _wrapped(value, f"{name:<{width}}  ", " " * (width + 2))


def csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for spreadsheets, their headings first."""
    import csv as writer
    import io

    text = io.StringIO()
    writer.writer(text, lineterminator="\n").writerows((columns, *rows))
    _write(sys.stdout, text.getvalue(), raw=True, end="")


def is_terminal() -> bool:
    """Whether the output goes to a terminal that can draw."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def yes(value: object) -> str:
    """`yes` or `no`."""
    return "yes" if value else "no"


def count(number: int | None) -> str:
    """`12,345`; `-` for None."""
    return "-" if number is None else f"{number:,}"


def seconds(value: float | None) -> str:
    """`0.42 s`; `-` for None."""
    return "-" if value is None else f"{value:.2f} s"


def money(cost: float | None) -> str:
    """US dollars, with as many digits as a small request needs."""
    if cost is None:
        return "no known price"
    return f"${cost:,.2f}" if cost >= 10 else f"${cost:.6f}".rstrip("0").rstrip(".")


def moment(at: float) -> str:
    """A Unix time as local date and time."""
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def clock(at: float, *, seconds: bool = False) -> str:
    """A Unix time as local time, with its day unless that is today."""
    import time

    then, now = time.localtime(at), time.localtime()
    shown = "%H:%M:%S" if seconds else "%H:%M"
    if then[:3] != now[:3]:
        shown = f"%a {shown}" if abs(at - time.time()) < _WEEK else f"%Y-%m-%d {shown}"
    return time.strftime(shown, then)


def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    everything = [[name.upper() for name in columns], *rows]
    widths = [max(len(row[column]) for row in everything) for column in range(len(columns))]
    for row in everything:
        line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rich_table(columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    everything = console.options.update(width=10_000)

    def holding(names: Sequence[str]) -> Table:
        places = [columns.index(name) for name in names]
        return _table(names, [[row[place] for place in places] for row in rows])

    def fits(names: Sequence[str]) -> bool:
        return console.measure(holding(names), options=everything).maximum <= console.width

    kept = list(columns)
    gone: list[str] = []
    while not fits(kept) and len(gone) < len(spare):
        gone.append(spare[len(gone)])
        kept.remove(gone[-1])
    # The last one that was dropped may have been so wide that others fit in its place.
    for name in reversed(gone[:-1]):
        wider = [each for each in columns if each in kept or each == name]
        kept = wider if fits(wider) else kept
    console.print(holding(kept))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        # Names stay whole, and sentences are wrapped.
        table.add_column(name, overflow="fold", no_wrap=not any(" " in row[place] for row in rows))
    for row in rows:
        table.add_row(*(coloured(cell) for cell in row))
    return table


def coloured(cell: str) -> Text:
    """A cell in the colour of the state it names."""
    from rich.text import Text

    state = _STATE.fullmatch(cell)
    return Text(cell, style=_COLOURS.get(state[1], "") if state else "")


def _write(stream: TextIO | None, text: str, *, raw: bool = False, end: str = "\n") -> None:
    """Write a text and flush; characters that the stream cannot encode are escaped."""
    if stream is None:  # closed by the caller, or Python on Windows without a console
        return
    shown = text if raw else "\n".join(map(clean, text.split("\n")))
    encoding = stream.encoding or "utf-8"
    stream.write(shown.encode(encoding, "backslashreplace").decode(encoding) + end)
    stream.flush()


def clean(text: str) -> str:
    """`text` without control characters: upstream messages are printed too."""
    return "".join(letter if letter.isprintable() or letter == "\t" else "�" for letter in text)

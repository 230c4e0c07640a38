"""Reads the ledger, also while a daemon writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from bm.chat.parts import Json
from bm.errors import BmError, Failure
from bm.ledger.database import primary_code
from bm.ledger.entry import COLUMNS
from bm.names import MAIN_KEY, By

PATIENCE = 2.0
"""Seconds to wait while another process holds the file's lock."""

Step: TypeAlias = Literal["hour", "day"]
"""How usage over time is divided."""

_KEYS: dict[By, str] = {
    "provider": "provider",
    "model": "upstream_model",
    "account": "provider || '/' || account",
    "key": "key",
    "tool": "tool",
    "day": "step",
}
_SUMS = """
    coalesce(sum(requests), 0) AS requests, coalesce(sum(failures), 0) AS failures, coalesce(sum(input), 0) AS input,
    coalesce(sum(cache_read), 0) AS cache_read, coalesce(sum(cache_write), 0) AS cache_write,
    coalesce(sum(output), 0) AS output, coalesce(sum(thinking), 0) AS thinking, sum(cost) AS cost,
    coalesce(sum(unpriced), 0) AS unpriced
"""
_GROUPED = "provider, account, upstream_model, key, tool"
_COUNTED = "input, cache_read, cache_write, output, thinking, cost"
_EACH = f"""
    SELECT strftime(:form, at, 'unixepoch', 'localtime') AS step, {_GROUPED}, 1 AS requests,
        failure <> '' AS failures, {_COUNTED},
        cost IS NULL AND input + cache_read + cache_write + output > 0 AS unpriced
    FROM requests
"""
_DAYS = f"SELECT day AS step, {_GROUPED}, requests, failures, {_COUNTED}, unpriced FROM totals"
_FREE = "sum(CASE WHEN provider = 'gemini' AND account NOT IN (SELECT value FROM json_each(:billed)) THEN cost END)"
_FORMS: dict[Step, str] = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d"}
_HALF_HOUR = 1_800.0
_ALWAYS = float("inf")


_ADDED = ((3, "key", MAIN_KEY), (4, "tool", ""))
"""Columns of later versions of the schema, and what holds for older files. Only the writer migrates, and a file may not
have had one yet."""


class LedgerError(BmError):
    """The ledger cannot be read."""


def midnight(days: int, today: datetime) -> float:
    """The Unix time at which the last `days` days began, including today. `today` is local time."""
    first = today.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=days - 1)
    return first.timestamp()


def usage(path: Path, *, since: float, by: By, billed: Sequence[str] = ()) -> Json:
    """Usage since a Unix time: one row per group, and the total.

    `cost` is None if no price is known; `unpriced` counts the requests whose tokens have no known price. `free_cost` is
    the part of it that Gemini accounts other than those `billed` would have cost outside the free tier.

    Raises:
        LedgerError: the file cannot be read.
    """
    nothing = dict.fromkeys(("requests", "failures", "input", "cache_read", "cache_write", "output", "thinking"), 0)
    with _reading(path) as ledger:
        if ledger is None:
            total: Json = {**nothing, "cost": None, "unpriced": 0, "free_cost": None}
            return {"since": since, "by": by, "rows": [], "total": total}
        order = "name" if by == "day" else "requests DESC, name"
        sums, (source, given) = f"{_SUMS}, {_FREE} AS free_cost", _source(ledger, since)
        given["billed"] = msgspec.json.encode(billed).decode()
        grouped = f"SELECT {_KEYS[by]} AS name, {sums} FROM ({source}) GROUP BY name ORDER BY {order}"
        rows = [dict(row) for row in ledger.execute(grouped, given)]
        total = dict(ledger.execute(f"SELECT {sums} FROM ({source})", given).fetchone())
    return {"since": since, "by": by, "rows": rows, "total": total}


def series(path: Path, *, since: float, until: float, by: By, step: Step, billed: Sequence[str] = ()) -> Json:
    """Usage in each hour or day of local time between two Unix times: a point per group and step that has any.

    `steps` names all of them, also those without requests.

    Raises:
        LedgerError: the file cannot be read.
    """
    form = _FORMS[step]
    # In half hours, since days differ in length where clocks are changed.
    count = int((until - since) // _HALF_HOUR) + 1
    moments = (datetime.fromtimestamp(since + number * _HALF_HOUR).strftime(form) for number in range(count))
    found: Json = {"since": since, "by": by, "step": step, "steps": list(dict.fromkeys(moments)), "points": []}
    with _reading(path) as ledger:
        if ledger is not None:
            source, given = _source(ledger, since, until, form)
            given["billed"] = msgspec.json.encode(billed).decode()
            grouped = f"""
                SELECT step, {_KEYS[by]} AS name, {_SUMS}, {_FREE} AS free_cost
                FROM ({source}) GROUP BY step, name ORDER BY step, name
            """
            found["points"] = [dict(row) for row in ledger.execute(grouped, given)]
    return found


def _source(
    ledger: sqlite3.Connection, since: float, until: float = _ALWAYS, form: str = _FORMS["day"]
) -> tuple[str, dict[str, Any]]:
    """A query for what was used between two times, and its parameters: whole days by their totals.

    Totals are of the days of the time zone in which they were written.
    """
    given: dict[str, Any] = {"since": since, "until": until, "form": form}
    each = f"{_EACH} WHERE at >= :since AND at <= :until"
    if form != _FORMS["day"] or not ledger.execute("SELECT 1 FROM sqlite_schema WHERE name = 'totals'").fetchone():
        return each, given
    first = datetime.fromtimestamp(since)
    if midnight(1, first) != since:
        first = datetime.fromtimestamp(midnight(0, first))
    given |= {"first": first.strftime(form), "full": midnight(1, first), "last": "9999"}
    parts = f"{_DAYS} WHERE day >= :first AND day < :last", f"{_EACH} WHERE at >= :since AND at < :full"
    if until == _ALWAYS:
        return " UNION ALL ".join(parts), given
    last = datetime.fromtimestamp(until)
    given |= {"last": last.strftime(form), "ending": max(midnight(1, last), since)}
    if given["ending"] < given["full"]:
        return each, given
    return " UNION ALL ".join((*parts, f"{_EACH} WHERE at >= :ending AND at <= :until")), given


class Spent(msgspec.Struct, frozen=True):
    """What requests with a key to a provider have cost, in US dollars as far as prices are known, and in tokens."""

    key: str
    provider: str
    money: float
    tokens: int


def spent(path: Path, *, since: float, ended: float) -> list[Spent]:
    """What the requests have used that came in since a Unix time and have ended until another.

    Raises:
        LedgerError: the file cannot be read.
    """
    with _reading(path) as ledger:
        if ledger is None:
            return []
        rows = ledger.execute(
            """
            SELECT key, provider, coalesce(sum(cost), 0.0), sum(input + cache_read + cache_write + output)
            FROM requests WHERE at >= ? AND at + took <= ? GROUP BY key, provider
            """,
            (since, ended),
        )
        return [Spent(*row) for row in rows]


def requests(path: Path, limit: int) -> list[Json]:
    """The latest requests, newest first.

    Raises:
        LedgerError: the file cannot be read.
    """
    with _reading(path) as ledger:
        if ledger is None:
            return []
        found = ledger.execute(f"SELECT {', '.join(COLUMNS)} FROM requests ORDER BY seq DESC LIMIT ?", (limit,))
        return [_typed(dict(row)) for row in found]


def decision(path: Path, request_id: str) -> Json | None:
    """The decisions behind a request, by its id; None if it is unknown or no longer kept. `last` is the latest request.

    Raises:
        LedgerError: the file cannot be read.
    """
    with _reading(path) as ledger:
        if ledger is None:
            return None
        if request_id == "last":
            row = ledger.execute("SELECT document FROM decisions ORDER BY seq DESC LIMIT 1").fetchone()
        else:
            row = ledger.execute("SELECT document FROM decisions WHERE id = ?", (request_id,)).fetchone()
    return None if row is None else msgspec.json.decode(row[0])


def unknown(request_id: str) -> Failure:
    if request_id == "last":
        return Failure(kind="not_found", message="no request has been recorded yet")
    message = f"{request_id} is unknown or no longer kept: [limits] decisions sets how many requests are kept"
    return Failure(kind="not_found", message=message)


def _typed(row: dict[str, Any]) -> Json:
    return row | {name: bool(row[name]) for name in ("stream", "passed_through")}


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The file, open for reading; None if it does not exist or is still empty."""
    if not path.exists():
        yield None
        return
    try:
        ledger = _opened(path)
        try:
            version: int = ledger.execute("PRAGMA user_version").fetchone()[0]
            if lacking := [f"'{value}' AS {name}" for since, name, value in _ADDED if 0 < version < since]:
                ledger.execute(f"CREATE TEMP VIEW requests AS SELECT *, {', '.join(lacking)} FROM main.requests")
            yield ledger if version else None
        finally:
            ledger.close()
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: cannot be read: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    """A read-only connection; where SQLite cannot create files beside the ledger, one that takes no locks."""
    try:
        return _connected(path, "mode=ro")
    except sqlite3.OperationalError as error:
        if primary_code(error) != sqlite3.SQLITE_CANTOPEN:
            raise
    return _connected(path, "immutable=1")


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    ledger = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=PATIENCE)
    ledger.row_factory = sqlite3.Row
    try:
        ledger.execute("SELECT 1 FROM sqlite_schema LIMIT 1")
    except sqlite3.Error:
        ledger.close()
        raise
    return ledger

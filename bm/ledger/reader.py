"""Reads the ledger, also while a daemon writes it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import msgspec

from bm.chat.parts import Json
from bm.errors import Failure
from bm.ledger.entry import COLUMNS, FLAGS
from bm.ledger.source import Source, Where, reading
from bm.names import By

Step: TypeAlias = Literal["hour", "day"]
"""How usage over time is divided."""

_KEYS: dict[By, str] = {
    "provider": "provider",
    "model": "upstream_model",
    "account": "provider || '/' || account",
    "key": "key",
    "tool": "tool",
    "node": "node",
    "day": "step",
}
_SUMS = """
    coalesce(sum(requests), 0) AS requests, coalesce(sum(failures), 0) AS failures, coalesce(sum(input), 0) AS input,
    coalesce(sum(cache_read), 0) AS cache_read, coalesce(sum(cache_write), 0) AS cache_write,
    coalesce(sum(output), 0) AS output, coalesce(sum(thinking), 0) AS thinking, sum(cost) AS cost,
    coalesce(sum(unpriced), 0) AS unpriced
"""
_GROUPED = "provider, account, upstream_model, key, tool, node"
_COUNTED = "input, cache_read, cache_write, output, thinking, cost"
_EACH = f"""
    SELECT {_GROUPED}, 1 AS requests, CASE WHEN failure <> '' THEN 1 ELSE 0 END AS failures, {_COUNTED},
        CASE WHEN cost IS NULL AND input + cache_read + cache_write + output > 0 THEN 1 ELSE 0 END AS unpriced
"""
_DAYS = f"SELECT {_GROUPED}, requests, failures, {_COUNTED}, unpriced, day AS step FROM totals"
_FORMS: dict[Step, str] = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d"}
_LATEST = f"SELECT {', '.join(COLUMNS)}, node FROM requests ORDER BY place DESC LIMIT :limit"
_HALF_HOUR = 1_800.0
_ALWAYS = float("inf")


def midnight(days: int, today: datetime) -> float:
    """The Unix time at which the last `days` days began, including today. `today` is local time."""
    first = today.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None) - timedelta(days=days - 1)
    return first.timestamp()


def usage(ledger: Where, *, since: float, by: By, billed: Sequence[str] = ()) -> Json:
    """Usage since a Unix time: one row per group, and the total.

    `cost` is None if no price is known; `unpriced` counts the requests whose tokens have no known price. `free_cost` is
    the part of it that Gemini accounts other than those `billed` would have cost outside the free tier.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    nothing = dict.fromkeys(("requests", "failures", "input", "cache_read", "cache_write", "output", "thinking"), 0)
    with reading(ledger) as source:
        if source is None:
            total: Json = {**nothing, "cost": None, "unpriced": 0, "free_cost": None}
            return {"since": since, "by": by, "rows": [], "total": total}
        order = "name" if by == "day" else "requests DESC, name"
        used, given = _used(source, since)
        given["billed"] = msgspec.json.encode(billed).decode()
        sums = f"{_SUMS}, {_free(source)} AS free_cost"
        grouped = f"SELECT {_KEYS[by]} AS name, {sums} FROM ({used}) AS used GROUP BY name"
        rows = source.rows(f"{grouped} ORDER BY {order}", given)
        (total,) = source.rows(f"SELECT {sums} FROM ({used}) AS used", given)
    return {"since": since, "by": by, "rows": rows, "total": total}


def series(ledger: Where, *, since: float, until: float, by: By, step: Step, billed: Sequence[str] = ()) -> Json:
    """Usage in each hour or day of local time between two Unix times: a point per group and step that has any.

    `steps` names all of them, also those without requests.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    # In half hours, since days differ in length where clocks are changed.
    count = int((until - since) // _HALF_HOUR) + 1
    moments = (datetime.fromtimestamp(since + number * _HALF_HOUR).strftime(_FORMS[step]) for number in range(count))
    found: Json = {"since": since, "by": by, "step": step, "steps": list(dict.fromkeys(moments)), "points": []}
    with reading(ledger) as source:
        if source is not None:
            used, given = _used(source, since, until, step)
            given["billed"] = msgspec.json.encode(billed).decode()
            grouped = f"""
                SELECT step, {_KEYS[by]} AS name, {_SUMS}, {_free(source)} AS free_cost
                FROM ({used}) AS used GROUP BY step, name ORDER BY step, name
            """
            found["points"] = source.rows(grouped, given)
    return found


def _free(source: Source) -> str:
    """What the accounts of the free tier would have cost."""
    return f"sum(CASE WHEN provider = 'gemini' AND account NOT IN ({source.elements}) THEN cost END)"


def _used(source: Source, since: float, until: float = _ALWAYS, step: Step = "day") -> tuple[str, dict[str, Any]]:
    """A query for what was used between two times, and its parameters: whole days by their totals.

    Totals are of the days of the time zone in which they were written.
    """
    given: dict[str, Any] = {"since": since, "until": until}
    requests = f"{_EACH}, {step} AS step FROM requests"
    each = f"{requests} WHERE at >= :since AND at <= :until"
    if step != "day" or not source.has_totals:
        return each, given
    first = datetime.fromtimestamp(since)
    if midnight(1, first) != since:
        first = datetime.fromtimestamp(midnight(0, first))
    given |= {"first": first.strftime(_FORMS[step]), "full": midnight(1, first), "last": "9999"}
    whole = f"{_DAYS} WHERE day >= :first AND day < :last"
    whole = f"{whole} UNION ALL {requests} WHERE at >= :since AND at < :full"
    if until == _ALWAYS:
        return whole, given
    last = datetime.fromtimestamp(until)
    given |= {"last": last.strftime(_FORMS[step]), "ending": max(midnight(1, last), since)}
    if given["ending"] < given["full"]:
        return each, given
    return f"{whole} UNION ALL {requests} WHERE at >= :ending AND at <= :until", given


class Spent(msgspec.Struct, frozen=True):
    """What requests with a key to a provider have cost, in US dollars as far as prices are known, and in tokens."""

    key: str
    provider: str
    money: float
    tokens: int


def spent(ledger: Where, *, since: float, ended: float) -> list[Spent]:
    """What the requests have used that came in since a Unix time and have ended until another.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with reading(ledger) as source:
        if source is None:
            return []
        rows = source.rows(
            """
            SELECT key, provider, coalesce(sum(cost), 0.0) AS money,
                sum(input + cache_read + cache_write + output) AS tokens
            FROM requests WHERE at >= :since AND at + took <= :ended GROUP BY key, provider ORDER BY key, provider
            """,
            {"since": since, "ended": ended},
        )
        return [Spent(**row) for row in rows]


def requests(ledger: Where, limit: int) -> list[Json]:
    """The latest requests, newest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with reading(ledger) as source:
        if source is None:
            return []
        found = source.rows(_LATEST, {"limit": limit})
        return [row | {name: bool(row[name]) for name in FLAGS} for row in found]


def decision(ledger: Where, request_id: str) -> Json | None:
    """The decisions behind a request, by its id; None if it is unknown or no longer kept. `last` is the latest request.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with reading(ledger) as source:
        if source is None:
            return None
        if request_id == "last":
            rows = source.rows("SELECT document FROM decisions ORDER BY place DESC LIMIT 1")
        else:
            rows = source.rows("SELECT document FROM decisions WHERE id = :id", {"id": request_id})
    return msgspec.json.decode(rows[0]["document"]) if rows else None


def unknown(request_id: str) -> Failure:
    if request_id == "last":
        return Failure(kind="not_found", message="no request has been recorded yet")
    message = f"{request_id} is unknown or no longer kept: [limits] decisions sets how many requests are kept"
    return Failure(kind="not_found", message=message)

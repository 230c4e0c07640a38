"""Tables of accounts, providers and requests, shared by `bm accounts`, `bm providers` and `bm top`.

Rows come from the JSON of the admin app.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from bm.cli import render
from bm.duration import duration

NO_ACCOUNTS = "no accounts (bm accounts add NAME)"


class Table(NamedTuple):
    """Columns, rows, and the text to show when there are no rows."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    empty: str


def nodes(team: dict[str, Any]) -> Table:
    """For `bm status --all` and `bm top`: the nodes of a team as their last signs of life have described them."""
    columns = ("node", "state", "address", "version", "up", "running", "requests", "failed", "clock")
    return Table(columns, [_node(row) for row in team["nodes"]], "no nodes")


def _node(row: dict[str, Any]) -> tuple[str, ...]:
    load = row["requests"]
    return (
        row["name"],
        "there" if row["here"] else f"gone {duration(row['seen'])}",
        row["url"],
        row["version"],
        duration(max(time.time() - row["since"], 0)) if row["here"] else "-",
        str(load["active"]) if row["here"] else "-",
        str(load["total"]),
        str(load["failed"]),
        f"{row['clock']:+.1f}s",
    )


def accounts(rows: Sequence[dict[str, Any]]) -> Table:
    """For `bm accounts`: state, the model that is cooling down, use today, credential."""
    columns = ("account", "provider", "state", "model", "today", "failed", "key", "last used")
    usual = {"tier": 0, "weight": 1}
    more = [name for name, value in usual.items() if any(row.get(name, value) != value for row in rows)]
    cells = [(*_account(row), *(str(row.get(name, usual[name])) for name in more)) for row in rows]
    return Table((*columns, *more), cells, NO_ACCOUNTS)


def _account(row: dict[str, Any]) -> tuple[str, ...]:
    seconds, model = longest_cooldown(row["cooldowns"]) if row["state"] == "cooling down" else (0.0, "")
    return (
        row["name"],
        row["provider"],
        f"{row['state']} {duration(seconds)}" if seconds else row["state"],
        model or "-",
        str(row["requests_today"]),
        str(row["failures_today"]),
        credential(row),
        _last_used(row, time.time()),
    )


def credential(row: dict[str, Any]) -> str:
    """How the account authenticates, and where; of a key only its ends."""
    owner = row["key_hint"].removesuffix(".iam.gserviceaccount.com")
    shown = {"google_oauth": "sign-in", "adc": "ADC", "service_account": owner or "key file"}
    project = "" if owner.endswith(f"@{row['project']}") else row["project"]
    words = (shown.get(row["kind"], row["key_hint"]), project, row["location"])
    return ", ".join(word for word in words if word)


def longest_cooldown(cooldowns: Sequence[dict[str, Any]]) -> tuple[float, str]:
    """Seconds and model of the longest cooldown, and how many others there are; 0 without any."""
    active = [each for each in cooldowns if each["seconds"] > 0]
    if not active:
        return 0.0, ""
    longest = max(active, key=lambda each: float(each["seconds"]))
    more = f" (+{len(active) - 1})" if len(active) > 1 else ""
    return float(longest["seconds"]), f"{longest['model'] or 'all models'}{more}"


def _last_used(row: dict[str, Any], now: float) -> str:
    return f"{duration(max(now - row['last_used'], 0))} ago" if row["last_used"] else "never"


def quotas(rows: Sequence[dict[str, Any]], most: int) -> tuple[Table, int]:
    """For `bm accounts`: how much of each model's limits is used, one row a model.

    With more than `most` rows, those without a known limit are left out; the number of these is returned too.
    """
    names = [row["name"] for row in rows]
    found = [line for row in rows for line in quota_rows(row, alone=names.count(row["name"]) == 1)]
    known = [line for line in found if "/" in line[2]] if len(found) > most else found
    return Table(("account", "model", "used", "resets"), known, ""), len(found) - len(known)


def quota_rows(row: dict[str, Any], *, alone: bool = True) -> list[tuple[str, ...]]:
    """The models an account has used, with the local time at which the longest window ends.

    An account that is not `alone` with its name is shown with its provider.
    """
    name = row["name"] if alone else f"{row['name']} of {row['provider']}"
    by_model: dict[str, list[dict[str, Any]]] = {}
    for quota in row.get("quotas", ()):
        by_model.setdefault(quota["model"], []).append(quota)
    return [(name, model, ", ".join(map(_used, found)), _resets(found)) for model, found in by_model.items()]


def _used(quota: dict[str, Any]) -> str:
    """`12/15 per minute`, `31k/250k tokens per minute`; without a known limit `12 this minute`, `40 today`."""
    tokens = " tokens" if quota["unit"] == "tokens" else ""
    used, limit = (_thousands(quota[name]) if tokens else quota[name] for name in ("used", "limit"))
    if limit is None:
        return f"{used} {'this minute' if quota['window'] == 'minute' else 'today'}"
    return f"{used}/{limit}{tokens} per {quota['window']}"


def _thousands(number: int | None) -> str | None:
    return None if number is None else str(number) if number < 10_000 else f"{round(number / 1000)}k"


def _resets(found: list[dict[str, Any]]) -> str:
    ends = [quota["resets"] for quota in found if quota["resets"]]
    return render.clock(max(ends)) if ends else "-"


def live_accounts(live: dict[str, Any]) -> Table:
    """For `bm top`: one row an account, in the pool's order."""
    columns = ("account", "provider", "state", "limit", "today", "failed", "last used", "last error")
    rows = [
        (
            row["name"],
            row["provider"],
            _live_state(row),
            _nearest_limit(row["quotas"]),
            str(row["requests_today"]),
            str(row["failures_today"]),
            _last_used(row, live["at"]),
            row["reason"] or row["last_error"],
        )
        for row in live["accounts"]
    ]
    return Table(columns, rows, NO_ACCOUNTS)


def _live_state(row: dict[str, Any]) -> str:
    """The state, with a cooldown as it counts down: `cooling down 1:35`."""
    left = round(longest_cooldown(row["cooldowns"])[0])
    if row["state"] != "cooling down" or not left:
        return str(row["state"])
    return f"{row['state']} {f'{left // 60}:{left % 60:02}' if left < 3600 else duration(left)}"


def _nearest_limit(quotas: Sequence[dict[str, Any]]) -> str:
    """The limit that is closest to being used up."""
    known = [each for each in quotas if each["limit"]]
    if not known:
        return ""
    nearest = max(known, key=lambda quota: float(quota["used"] / quota["limit"]))
    return f"{_used(nearest)} {nearest['model']}"


def live_providers(live: dict[str, Any]) -> Table:
    """For `bm top`: one row a provider, the pool first."""
    rows = [(row["name"], row["state"], row["mode"], row["health"], str(row["accounts"])) for row in live["providers"]]
    return Table(("provider", "state", "mode", "health", "accounts"), rows, "no providers")


def requests(rows: Sequence[dict[str, Any]]) -> Table:
    """For `bm top`: one row a request, running or finished."""
    columns = ("time", "client", "model", "answered by", "first", "took", "tokens", "cost", "end")
    return Table(columns, [_request(row) for row in rows], 'no requests yet: eval "$(bm env)"')


def _request(row: dict[str, Any]) -> tuple[str, ...]:
    tokens = row["input"] + row["cache_read"] + row["cache_write"]
    used = tokens or row["output"]
    return (
        render.clock(row["at"], seconds=True),
        row["protocol"] if row["operation"] == "generate" else f"{row['protocol']} {row['operation']}",
        row["model"],
        f"{row['provider']}/{row['account']} {row['upstream_model']}" if row["provider"] else "-",
        "" if row["first_content"] is None else render.seconds(row["first_content"]),
        render.seconds(row["took"]),
        f"{tokens:,} > {row['output']:,}" if used else "",
        "" if not used else "-" if row["cost"] is None else render.money(row["cost"]),
        _end(row),
    )


def _end(row: dict[str, Any]) -> str:
    attempts = f", {row['attempts']} attempts" if row["attempts"] > 1 else ""
    if row.get("under_way"):
        return ("waiting" if row["first_content"] is None else "answering") + attempts
    if row["finish"] == "client_left":
        return "client left"
    if row["failure"]:
        return f"{row['status']} {row['failure']}{attempts}"
    return (row["finish"] or "complete") + attempts

"""`bm test`: one small real request to each account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.config.paths import Paths


def test(
    names: Annotated[list[str] | None, typer.Argument(help="Providers or accounts; none = all in use.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send one small real request to each account."""
    report(probe(admin.here(), names or []), as_json=as_json)


def probe(paths: Paths, names: list[str]) -> list[dict[str, Any]]:
    """What came of each account.

    Raises:
        BmError: nobody can be asked.
    """
    answer = admin.ask(paths, "POST", "/admin/probe", {"names": names}, timeout=admin.PROBE_LIMIT)
    return list(answer["results"])


def report(results: list[dict[str, Any]], *, as_json: bool) -> None:
    """Show results; exits with 1 when one is a failure, or when there is none."""
    if as_json:
        render.json({"results": results})
    else:
        columns = ("provider", "account", "result", "key", "model", "first token", "total", "tokens", "cost")
        empty = "nothing to test: no provider in use has an account (bm accounts add NAME)"
        render.table(columns, [_row(row) for row in results], empty=empty)
        for row in results:
            if not row["ok"]:
                remedy = f" ({row['remedy']})" if row["remedy"] else ""
                render.line(f"{_who(row)}: {row['error']}{remedy}")
    if not results or not all(row["ok"] for row in results):
        raise typer.Exit(1)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    accepted = {True: "accepted", False: "refused", None: "-"}[row["key_accepted"]]
    tokens = f"{row['input_tokens']} + {row['output_tokens']}" if row["output_tokens"] is not None else "-"
    cost = f"${row['cost']:.6f}" if row["cost"] is not None else "-"
    result = "ok" if row["ok"] else "failed"
    times = (_seconds(row["first_token"]), _seconds(row["total"]))
    return (row["provider"], row["account"] or "-", result, accepted, row["model"] or "-", *times, tokens, cost)


def _who(row: dict[str, Any]) -> str:
    return f"{row['provider']} {row['account']}".strip()


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"


COMMANDS = {"test": test}

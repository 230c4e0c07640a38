"""`bm models`: the models in use, and what was learned of one."""

from __future__ import annotations

from typing import Annotated

import typer

from bm.cli import admin, render
from bm.cli.render import Json


def models(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL | forget MODEL]", help="Show or forget what was learned of a model."),
    ] = None,
    as_json: Json = False,
    everything: Annotated[bool, typer.Option("--all", help="Include models that do not chat.")] = False,
) -> None:
    """List the models in use, or what was learned of one."""
    match words or []:
        case []:
            _list_models(as_json=as_json, everything=everything)
        case ["forget", model]:
            _forget(model, as_json=as_json)
        case [model]:
            _learned(model, as_json=as_json)
        case _:
            raise typer.BadParameter("give one model, or: forget MODEL")


def _forget(model: str, *, as_json: bool) -> None:
    answer = admin.ask(admin.here(), "POST", "/admin/models/forget", {"model": model})
    if as_json:
        render.json(answer)
        return
    render.line(f"forgot {answer['forgotten']} changes of requests to {model}")


def _learned(model: str, *, as_json: bool) -> None:
    answer = admin.ask(admin.here(), "POST", "/admin/models/learned", {"model": model})
    if as_json:
        render.json(answer)
        return
    rows = [
        (f"{row['provider']}:{row['model']}", row["protocol"], row["remedy"], render.moment(row["at"]), row["reason"])
        for row in answer["learned"]
    ]
    empty = f"nothing was learned of {model}: its requests are sent as they are"
    render.table(("model", "protocol", "change", "since", "because"), rows, empty=empty)


def _list_models(*, as_json: bool, everything: bool) -> None:
    from datetime import date

    from bm.providers.retirement import retirement

    answer = admin.ask(admin.here(), "GET", "/admin/models", timeout=admin.PROBE_LIMIT)
    if as_json:
        render.json(answer)
        return
    today = date.today()
    rows = [
        (
            row["id"],
            row["provider"],
            render.count(row["context"] or None),
            render.count(row["max_output"] or None),
            retirement(row["id"], today, date.fromisoformat(row["retires"]) if row.get("retires") else None),
        )
        for row in answer["models"]
        if everything or row["generates"]
    ]
    empty = "no provider in use lists any model (bm test says why)"
    render.table(("model", "provider", "context", "longest answer", "note"), rows, empty=empty)

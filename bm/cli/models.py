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
    """List models, aliases and routes, or what was learned of a model."""
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
    render.table(("model", "protocol", "change", "since", "because"), rows, empty=empty, spare=("protocol", "since"))


def _list_models(*, as_json: bool, everything: bool) -> None:
    import msgspec

    from bm.config.chains import chains_of, described

    paths = admin.here()
    answer = admin.ask(paths, "GET", "/admin/models", timeout=admin.PROBE_LIMIT)
    rows = [row for row in answer["models"] if everything or row["generates"]]
    chains = dict(chains_of(admin.loaded(paths).config))
    aliases = {key[1]: chain for key, chain in chains.items() if key[0] == "aliases"}
    routes = {".".join(key[1:]): chain for key, chain in chains.items() if key[0] == "routes"}
    if as_json:
        named = {"aliases": msgspec.to_builtins(aliases), "routes": msgspec.to_builtins(routes)}
        render.json({"models": rows, **named})
        return
    for columns, found in ((("alias", "stands for"), aliases), (("route", "goes to"), routes)):
        if found:
            render.table(columns, [(name, described(chain)) for name, chain in found.items()], empty="")
            render.line()
    heads = ("name to type", "context", "answer", "in / out", "takes", "note")
    cells = [
        (
            row["name"],
            render.count(row["context"] or None),
            render.count(row["max_output"] or None),
            _price(row["price"]),
            ", ".join(row["takes"]),
            row["note"],
        )
        for row in rows
    ]
    empty = "no provider in use lists any model (bm test says why)"
    render.table(heads, cells, empty=empty, spare=("answer", "takes", "note"))
    if cells:
        render.note("context and answer in tokens; in / out: US dollars per million tokens, at list price")


def _price(price: list[float] | None) -> str:
    return "-" if price is None else " / ".join(f"{each:.2f}" for each in price)

"""`bm models`: what can be asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from bm.cli import admin, render


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that answer no chats.")] = False,
) -> None:
    """List the models of the providers in use."""
    answer = admin.ask(admin.here(), "GET", "/admin/models", timeout=admin.PROBE_LIMIT)
    if as_json:
        render.json(answer)
        return
    rows = [
        (row["id"], row["provider"], _count(row["context"]), _count(row["max_output"]))
        for row in answer["models"]
        if everything or row["generates"]
    ]
    empty = "no provider in use lists any model (bm test tells why)"
    render.table(("model", "provider", "context", "longest answer"), rows, empty=empty)


def _count(tokens: int) -> str:
    return f"{tokens:,}" if tokens else "-"


COMMANDS = {"models": models}

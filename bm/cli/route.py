"""`bm route`: where a request would go, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bm.cli import admin, render
from bm.names import ProtocolName


def route(
    model: Annotated[str, typer.Argument(help="The model, as a tool would name it.")],
    protocol: Annotated[ProtocolName, typer.Option("--protocol", help="The tool's protocol.")] = "anthropic",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print where a request would go, and why; sends nothing."""
    question = {"model": model, "protocol": protocol}
    answer = admin.ask(admin.here(), "POST", "/admin/route", question)
    if as_json:
        render.json(answer)
    else:
        _draw(answer)
    if answer["failure"]:
        raise typer.Exit(1)


def _draw(answer: dict[str, Any]) -> None:
    for step in answer.get("steps", ()):
        render.line(step)
    targets = [
        (str(number), each["provider"], each["account"], each["model"], each["reason"])
        for number, each in enumerate(answer["targets"], 1)
    ]
    render.table(("", "provider", "account", "model", "why"), targets, empty="nothing can serve this request")
    if answer["failure"]:
        render.line(answer["failure"]["message"])
    considered = [
        (each["provider"], each["account"] or "", "in" if each["in"] else each.get("verdict", "out"), each["reason"])
        for each in answer["considered"]
    ]
    if considered:
        render.line()
        render.table(("considered", "account", "verdict", "why"), considered, empty="")


COMMANDS = {"route": route}

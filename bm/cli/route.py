"""`bm route`: where a request would go, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bm.cli import admin, render
from bm.cli.why import standing
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
        render.paragraph(step)
    targets = [
        (str(number), each["provider"], each["account"], each["model"], each["reason"])
        for number, each in enumerate(answer["targets"], 1)
    ]
    render.table(("", "provider", "account", "model", "why"), targets, empty="nothing can serve this request")
    if answer["failure"]:
        render.paragraph(answer["failure"]["message"])
    left_out = [
        (each["provider"], each["account"] or "", standing(each), " ".join(each["reason"].split()))
        for each in answer["considered"]
        if not each["in"]
    ]
    if left_out:
        render.line()
        render.table(("not in it", "account", "", "why"), left_out, empty="")


COMMANDS = {"route": route}

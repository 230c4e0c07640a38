"""`bm doctor`: look for what commonly goes wrong, and say how to cure it."""

from __future__ import annotations

from typing import Annotated

import typer

from bm.cli import admin, render


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look for what commonly goes wrong; sends nothing."""
    import os

    import msgspec

    from bm.cli.checks import examine

    findings = examine(admin.here(), os.environ)
    if as_json:
        render.json({"checks": [msgspec.to_builtins(each) for each in findings]})
    else:
        rows = [(each.result, each.check, each.detail) for each in findings]
        render.table(("result", "check", "detail"), rows, empty="nothing to check")
        for each in findings:
            if each.cure:
                render.line(f"{each.check}: {each.cure}")
    if any(each.result == "failed" for each in findings):
        raise typer.Exit(1)


COMMANDS = {"doctor": doctor}

"""`bm demo`: all of bm on simulated providers, in a temporary home."""

from __future__ import annotations

from typing import Annotated

import typer


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the walk instead of waiting for Ctrl-C.")] = False,
) -> None:
    """Show the dispatch modes on simulated providers."""
    from bm.cli.demo_walk import walk

    walk(once=once)

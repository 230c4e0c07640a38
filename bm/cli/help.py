"""`bm help`, and how help is laid out: commands by section, examples at the end."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bm.cli import completion, render
from bm.cli.examples import EXAMPLES, SECTIONS


class Sections(TyperGroup):
    """The commands of `bm`, listed by section."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each section with its commands; all sections have columns of one width."""
        width = max(map(len, self.commands))
        for title, names in SECTIONS.items():
            rows = [(name.ljust(width), self.commands[name].get_short_help_str(80)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)


def epilog(words: str) -> str | None:
    """The examples of a command, for the end of its help; each stays on a line of its own."""
    lines = [f"  {each}" for each in EXAMPLES.get(words, ())]
    return "\n".join(("\b", "Examples:", *lines)) if lines else None


def help_(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]...", help="The command.", autocompletion=completion.commands),
    ] = None,
) -> None:
    """Show the help of bm or of one of its commands."""
    from bm.cli.exits import UsageError
    from bm.config.validation import nearest

    found: Any = context.find_root()
    for word in words or []:
        below = getattr(found.command, "commands", {})
        if word not in below:
            near = nearest(word, list(below)) or "bm help"
            raise UsageError(f"{found.command_path} has no command {word!r} ({near})")
        found = type(context)(below[word], parent=found, info_name=word)
    render.line(found.get_help())

"""Write docs/cli.md from the commands themselves; `--check` only tells whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bm.cli import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH = 100
HEAD = """\
# Commands

<!-- Written by scripts/cli_docs.py from the commands themselves. -->

Every reading command takes `--json`, and works as far as possible while the daemon is down. Tables have borders on a
terminal and none elsewhere. No command prints a provider's key; `bm env` prints bm's own, because tools need it.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the command or a check failed |
| 2 | wrong usage, or an unusable configuration or accounts file |
| 3 | the daemon is not running |

All files are in the platform's own folders (`bm config path`), or in the folder that `BM_HOME` names.
"""


def commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The name and the help of a command and of all below it."""
    sizes = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    context = command.make_context(" ".join(words), [], resilient_parsing=True, **sizes)
    yield " ".join(words), command.get_help(context)
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


def page() -> str:
    """The whole page."""
    sections = [HEAD]
    for name, text in commands(typer.main.get_command(app), ("bm",)):
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        sections.append(f"## `{name}`\n\n```text\n{lines}\n```\n")
    return "\n".join(sections)


def main() -> int:
    """Write or check; 1 when the page is out of date."""
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write("docs/cli.md is out of date: run .venv/bin/python scripts/cli_docs.py\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

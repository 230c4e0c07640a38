"""Write docs/cli.md and the manual page docs/bm.1 from the commands; `--check` only says if they are stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import typer

from bm import __version__
from bm.cli.app import app
from bm.cli.examples import EXAMPLES, SECTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, MANUAL = DOCS / "cli.md", DOCS / "bm.1"
WIDTH = 100
INTRODUCTION: Final = """\
Every reading command takes `--json`, and works as far as possible while the daemon is down. Tables have borders on a
terminal and none elsewhere. No command prints a provider's key; `bm env` prints bm's own, because tools need it."""
EXIT_CODES: Final = {
    "0": "done",
    "1": "the command or a check failed",
    "2": "wrong usage, or an unusable configuration or accounts file",
    "3": "the daemon is not running",
}
FILES: Final = "All files are in the platform's own folders (`bm config path`), or in the folder that `BM_HOME` names."
HEAD = f"""\
# Commands

<!-- Written by scripts/cli_docs.py from the commands themselves. -->

{INTRODUCTION}

| exit code | meaning |
|---|---|
{"".join(f"| {code} | {meaning} |{chr(10)}" for code, meaning in EXIT_CODES.items())}
{FILES}
"""


class Command(NamedTuple):
    """A command with the words that call it."""

    words: str
    command: Any
    context: Any


def commands(command: Any, words: tuple[str, ...] = ("bm",)) -> Iterator[Command]:
    """A command and all below it."""
    sizes = {"terminal_width": WIDTH, "max_content_width": WIDTH}
    yield Command(" ".join(words), command, command.make_context(" ".join(words), [], resilient_parsing=True, **sizes))
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


def page() -> str:
    """The whole page."""
    sections = [HEAD]
    for each in commands(typer.main.get_command(app)):
        lines = "\n".join(line.rstrip() for line in each.command.get_help(each.context).strip().splitlines())
        sections.append(f"## `{each.words}`\n\n```text\n{lines}\n```\n")
    return "\n".join(sections)


def manual() -> str:
    """The manual page bm(1), in the man macros that man, mandoc and groff read."""
    root, *below = commands(typer.main.get_command(app))
    by_group: dict[str, list[Command]] = {each.words.split()[1]: [] for each in below}
    for each in below:
        by_group[each.words.split()[1]].append(each)
    lines = [
        f'.TH BM 1 "" "bm {__version__}" "User Commands"',
        ".SH NAME",
        f"bm \\- {_roff(root.command.help[0].lower() + root.command.help[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        ".B bm",
        r"\fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        *_paragraph(INTRODUCTION),
        *_paragraph("bm alone says what is set up and what to do next."),
    ]
    for title, names in SECTIONS.items():
        lines.append(f".SH {title.upper()}")
        for each in (each for name in names for each in by_group[name]):
            lines += _section(each)
    lines += [".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        lines += [".TP", f".B {code}", _roff(meaning)]
    lines += [".SH FILES", *_paragraph(FILES), ".SH ENVIRONMENT", ".TP", ".B BM_HOME", "The folder of all files."]
    lines += [".TP", r".B BM_\fISECTION\fB_\fIKEY\fR", r"Overrides a setting, as BM_SERVER_PORT overrides server.port."]
    return "\n".join(lines) + "\n"


def _section(each: Command) -> list[str]:
    usage = " ".join(each.command.collect_usage_pieces(each.context))
    lines = [f".SS {_roff(each.words)} {_roff(usage)}"]
    for paragraph in each.command.help.split("\n\n"):
        lines += _paragraph(paragraph)
    for parameter in each.command.get_params(each.context):
        record = None if "--help" in parameter.opts else parameter.get_help_record(each.context)
        if record:
            lines += [".TP", f".B {_roff(record[0])}", _roff(record[1])]
    if examples := EXAMPLES.get(each.words.removeprefix("bm "), ()):
        lines += [".PP", "Examples:", ".PP", ".nf", *(f"    {_roff(example)}" for example in examples), ".fi"]
    return lines


def _paragraph(text: str) -> list[str]:
    return [".PP", _roff(" ".join(text.split()).replace("`", ""))]


def _roff(text: str) -> str:
    """A text that roff prints as it is."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("…", "...")
    return f"\\&{text}" if text.startswith((".", "\\(aq")) else text


def main() -> int:
    """Write or check; 1 when a page is out of date."""
    wanted = {PAGE: page(), MANUAL: manual()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"docs/{path.name} is out of date: run .venv/bin/python scripts/cli_docs.py\n")
        return int(bool(stale))
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Help: every command has its place and examples, and every example is a command line that exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from bm.cli.app import app
from bm.cli.examples import EXAMPLES, SECTIONS
from tests.cli.conftest import Bm

ROOT: Any = typer.main.get_command(app)


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[str]:
    """The words of every command below one."""
    for name, below in getattr(command, "commands", {}).items():
        yield " ".join((*words, name))
        yield from commands(below, (*words, name))


def parsed(words: list[str]) -> Any:
    """The context of a command line; an error of usage raises."""
    command, context = ROOT, ROOT.make_context("bm", [], resilient_parsing=True)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words[0]]
        context = command.make_context(words[0], words[1:], parent=context)
        words = words[1:]
    return context


def test_every_command_has_one_section_and_examples() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(ROOT.commands)
    assert set(EXAMPLES) == set(commands(ROOT))


@pytest.mark.parametrize(("command", "example"), [(name, each) for name, lines in EXAMPLES.items() for each in lines])
def test_an_example_is_a_command_line_of_its_command(command: str, example: str) -> None:
    inner = re.fullmatch(r'eval "\$\((.*)\)"', example)
    line = (inner[1] if inner else example).removeprefix("git diff | ").removesuffix(" | source").partition(" < ")[0]
    bm, *words = shlex.split(line)
    assert (bm, words[: len(command.split())]) == ("bm", command.split())
    parsed(words)


def test_help_lists_the_commands_by_section(bm: Bm) -> None:
    ran = bm("help")
    assert ran == bm("--help") == bm("-h")
    assert re.findall(r"^(\w[\w ]*):$", ran.out, re.MULTILINE) == ["Options", *SECTIONS]
    lines = {tuple(line.split()[:2]) for line in ran.out.splitlines()}
    assert {("run", "Run"), ("doctor", "Check"), ("accounts", "Manage")} <= lines


def test_help_of_a_command_is_its_own(bm: Bm) -> None:
    ran = bm("help", "providers", "mode")
    assert ran == bm("providers", "mode", "--help")
    assert ran.out.startswith("Usage: bm providers mode ")
    assert ran.out.endswith("Examples:\n    bm providers mode groq fallback\n    bm providers mode groq off\n")


def test_help_of_an_unknown_command_names_the_nearest(bm: Bm) -> None:
    assert bm("help", "acounts") == (2, "", "error: bm has no command 'acounts' (did you mean \"accounts\"?)\n")
    assert bm("help", "accounts", "xyz").err == "error: bm accounts has no command 'xyz' (bm help)\n"

"""Ask a person: keys without echo, questions with a safe default."""

from __future__ import annotations

import sys

import typer

from bm.cli.exits import UsageError


def key(what: str) -> str:
    """A key from a hidden prompt, or from standard input where that is no terminal; never from the command line,
    which other users of the machine and the shell's history can read.

    Raises:
        UsageError: nothing was given, or more than one line.
    """
    if sys.stdin.isatty():
        text = str(typer.prompt(f"Key for {what}", hide_input=True, default="", show_default=False, err=True))
    else:
        text = sys.stdin.read()
    lines = text.split()
    if len(lines) > 1 and not text.strip().startswith("cmd:"):
        raise UsageError("one key is wanted, not several words or lines")
    if not lines:
        raise UsageError(f"no key was given (type it at the prompt, or pipe it: bm … < key-file) for {what}")
    return text.strip()


def passphrase(*, twice: bool) -> str:
    """A passphrase from a hidden prompt, asked for twice where a typing error would lock something up; else the first
    line of standard input.

    Raises:
        UsageError: nothing was given.
    """
    if sys.stdin.isatty():
        text = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise UsageError("no passphrase was given (type it at the prompt, or pipe it)")
    return text


def answer(question: str) -> str:
    """A line that a person types or pastes, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, default="", show_default=False, err=True))
    return sys.stdin.readline()


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether to go on: `yes`, or a person says so; where nobody can be asked, the command itself was the answer."""
    return yes or not sys.stdin.isatty() or typer.confirm(question, err=True)

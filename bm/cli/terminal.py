"""Input from the user: secrets without echo, questions with a safe default, single key presses."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer

from bm.cli.exits import UsageError

Wait = Callable[[float], str]
"""Returns the key pressed within this many seconds, "" when none is: a letter, or a name such as `up` and `enter`."""

_NAMES = {"\r": "enter", "\n": "enter", "\x1b": "esc"}
_KEY = re.compile(r"\x1b[\[O][\d;]*[~A-Za-z]|.", re.DOTALL)
_SEQUENCES = {"A": "up", "B": "down", "C": "right", "D": "left", "5~": "pgup", "6~": "pgdn", "H": "home", "F": "end"}
"""What follows `ESC [` or `ESC O` in terminals of today."""
_WINDOWS = {"H": "up", "P": "down", "M": "right", "K": "left", "I": "pgup", "Q": "pgdn", "G": "home", "O": "end"}


def named(text: str) -> list[str]:
    """The keys in what a terminal has sent, without those that have no name here."""
    found = []
    for sent in _KEY.findall(text):
        found.append(_SEQUENCES.get(sent[2:], "") if len(sent) > 1 else _NAMES.get(sent, sent))
    return [key for key in found if key]


def key(what: str) -> str:
    """A key from a hidden prompt, or from standard input when that is not a terminal.

    Never from the command line, which other users of the machine and the shell's history can read.

    Raises:
        UsageError: nothing was given, or more than one line.
    """
    if sys.stdin.isatty():
        text = str(typer.prompt(f"Key for {what}", hide_input=True, default="", show_default=False, err=True))
    else:
        text = sys.stdin.read()
    lines = text.split()
    if len(lines) > 1 and not text.strip().startswith("cmd:"):
        raise UsageError("expected one key, got several words or lines")
    if not lines:
        raise UsageError(f"no key given for {what} (type it at the prompt, or pipe it: bm … < key-file)")
    return text.strip()


def passphrase(*, twice: bool) -> str:
    """A passphrase from a hidden prompt, or the first line of standard input.

    `twice` asks for it again, where a typing error would lock something.

    Raises:
        UsageError: nothing was given.
    """
    if sys.stdin.isatty():
        text = str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=twice, err=True))
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if not text:
        raise UsageError("no passphrase given (type it at the prompt, or pipe it)")
    return text


def answer(question: str) -> str:
    """A line the user types or pastes, or the first line of standard input."""
    if sys.stdin.isatty():
        return str(typer.prompt(question, default="", show_default=False, err=True))
    return sys.stdin.readline()


def asked(question: str, *, hidden: bool = False) -> str:
    """A line without outer spaces, typed or from standard input; empty for Enter alone.

    Raises:
        EOFError: standard input has ended.
    """
    if sys.stdin.isatty():
        return str(typer.prompt(question, default="", show_default=False, hide_input=hidden, err=True)).strip()
    typer.echo(f"{question}:", err=True)
    line = sys.stdin.readline()
    if not line:
        raise EOFError(question)
    return line.strip()


def agreed(question: str, *, default: bool) -> bool:
    """Whether the user agrees; Enter alone means the default.

    Raises:
        EOFError: standard input has ended.
    """
    while True:
        given = asked(f"{question} {'[Y/n]' if default else '[y/N]'}").lower()
        if given in ("", "y", "yes", "n", "no"):
            return given.startswith("y") if given else default


def choice(question: str, options: Sequence[str]) -> int:
    """The place of the option that the user picks by its number; Enter alone picks the first.

    Raises:
        EOFError: standard input has ended.
    """
    lines = [question, *(f"  {number}  {option}" for number, option in enumerate(options, 1))]
    typer.echo("\n".join(lines), err=True)
    while True:
        given = asked(f"1-{len(options)} [1]") or "1"
        if given.isdecimal() and 1 <= int(given) <= len(options):
            return int(given) - 1


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether to proceed: `yes` (the option), or the user agrees, on the terminal or in the first line of input.

    Raises:
        UsageError: there is no answer to read, so the option is needed.
    """
    if yes or sys.stdin.isatty():
        return yes or typer.confirm(question, err=True)
    line = sys.stdin.readline().strip().lower()
    if not line:
        raise UsageError(f"{question} There is no terminal to ask on: add --yes")
    return line in ("y", "yes")


if sys.platform == "win32":
    import msvcrt

    _POLL = 0.05

    @contextmanager
    def keys() -> Iterator[Wait]:
        """Read keys as they are pressed."""

        def wait(seconds: float) -> str:
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                if msvcrt.kbhit():
                    pressed = msvcrt.getwch()
                    # Keys without a letter come as two.
                    return _WINDOWS.get(msvcrt.getwch(), "") if pressed in "\x00\xe0" else named(pressed)[0]
                time.sleep(_POLL)
            return ""

        yield wait

else:
    import os
    import select
    import termios

    @contextmanager
    def keys() -> Iterator[Wait]:
        """Read keys as they are pressed, without echo; the terminal's settings are restored afterwards.

        Ctrl-C works as usual. Ctrl-Z is ignored: it would leave the shell on another program's screen. When standard
        input is not a terminal, no key is ever pressed.
        """
        if not sys.stdin.isatty():
            yield _no_key
            return
        source = sys.stdin.fileno()
        before = termios.tcgetattr(source)
        changed = termios.tcgetattr(source)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        changed[6][termios.VSUSP] = b"\0"
        pending: list[str] = []

        def wait(seconds: float) -> str:
            if not pending and select.select([source], [], [], seconds)[0]:
                pending.extend(named(os.read(source, 64).decode("utf-8", "replace")))
            return pending.pop(0) if pending else ""

        try:
            termios.tcsetattr(source, termios.TCSADRAIN, changed)
            yield wait
        finally:
            termios.tcsetattr(source, termios.TCSADRAIN, before)

    def _no_key(seconds: float) -> str:
        time.sleep(seconds)
        return ""

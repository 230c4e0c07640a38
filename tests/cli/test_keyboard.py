"""Single keys, from a terminal that is left as it was found."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest

from bm.cli.keyboard import keys

if sys.platform == "win32":
    pytest.skip("a matter of POSIX terminals", allow_module_level=True)

import pty
import termios


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A terminal: the person's end, and the program's, which is standard input."""
    person, program = pty.openpty()
    with os.fdopen(program, "r", closefd=False) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        yield person, program
    for end in (person, program):
        os.close(end)


def test_a_key_counts_without_return_and_is_not_shown(ends: tuple[int, int]) -> None:
    person, program = ends
    before = termios.tcgetattr(program)
    with keys() as wait:
        os.write(person, b"q")
        assert wait(20.0) == "q"
        assert wait(0.0) == ""
        during = termios.tcgetattr(program)
        assert not during[3] & (termios.ECHO | termios.ICANON) and during[3] & termios.ISIG
    assert termios.tcgetattr(program) == before


def test_the_terminal_is_given_back_after_an_error(ends: tuple[int, int]) -> None:
    before = termios.tcgetattr(ends[1])
    with pytest.raises(KeyboardInterrupt), keys():
        raise KeyboardInterrupt
    assert termios.tcgetattr(ends[1]) == before


def test_where_there_is_no_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("q"))
    with keys() as wait:
        assert wait(0.0) == ""

"""Keys and passphrases come from a hidden prompt or standard input; single keys from a terminal that is restored."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

import pytest

from bm.cli import terminal
from bm.cli.exits import UsageError
from bm.cli.terminal import keys

if sys.platform != "win32":
    import pty
    import termios

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")


class Terminal(io.StringIO):
    """A standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("text", ["a-key", "a-key\n", "  a-key \r\n"])
def test_a_piped_key(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, text)
    assert terminal.key("groq") == "a-key"


def test_a_command_may_have_words(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "cmd:pass show groq\n")
    assert terminal.key("groq") == "cmd:pass show groq"


@pytest.mark.parametrize("text", ["", "\n", "one two", "one\ntwo\n"])
def test_no_key_or_several_are_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, text)
    with pytest.raises(UsageError) as caught:
        terminal.key("groq")
    assert "two" not in str(caught.value)


def test_a_typed_key_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def ask(text: str, **options: object) -> str:
        asked.update(options, text=text)
        return " a-key "

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("typer.prompt", ask)
    assert terminal.key("groq") == "a-key"
    assert (asked["text"], asked["hide_input"]) == ("Key for groq", True)


def test_only_a_yes_confirms(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, confirmed in (("y\n", True), ("YES\n", True), ("n\n", False), ("what?\n", False)):
        given(monkeypatch, text)
        assert terminal.confirmed("Really?", yes=False) is confirmed
    given(monkeypatch, "")
    with pytest.raises(UsageError, match="--yes"):
        terminal.confirmed("Really?", yes=False)
    assert terminal.confirmed("Really?", yes=True)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("typer.confirm", lambda text, err: False)
    assert not terminal.confirmed("Really?", yes=False)
    assert terminal.confirmed("Really?", yes=True)


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the user's end, and the program's, which is standard input."""
    assert sys.platform != "win32"
    user, program = pty.openpty()
    with os.fdopen(program, "r", closefd=False) as stream:
        monkeypatch.setattr("sys.stdin", stream)
        yield user, program
    for end in (user, program):
        os.close(end)


@posix
def test_a_key_press_is_read_at_once_and_not_shown(ends: tuple[int, int]) -> None:
    user, program = ends
    before = termios.tcgetattr(program)
    with keys() as wait:
        os.write(user, b"q")
        assert wait(20.0) == "q"
        assert wait(0.0) == ""
        during = termios.tcgetattr(program)
        assert not during[3] & (termios.ECHO | termios.ICANON) and during[3] & termios.ISIG
    assert termios.tcgetattr(program) == before


@posix
def test_the_terminal_is_restored_after_an_error(ends: tuple[int, int]) -> None:
    before = termios.tcgetattr(ends[1])
    with pytest.raises(KeyboardInterrupt), keys():
        raise KeyboardInterrupt
    assert termios.tcgetattr(ends[1]) == before


def test_without_a_terminal_there_are_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("q"))
    with keys() as wait:
        assert wait(0.0) == ""


def test_a_question_takes_a_line_and_enter_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, default, agreed in (
        ("\n", True, True),
        ("\n", False, False),
        ("N\n", True, False),
        ("?\nyes\n", False, True),
    ):
        given(monkeypatch, text)
        assert terminal.agreed("Really?", default=default) is agreed
    given(monkeypatch, "")
    with pytest.raises(EOFError):
        terminal.agreed("Really?", default=True)


def test_a_choice_is_a_number_and_enter_means_the_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, place in (("\n", 0), ("2\n", 1), ("3\ntwo\n2\n", 1)):
        given(monkeypatch, text)
        assert terminal.choice("Which?", ("this", "that")) == place
    assert capsys.readouterr().err.startswith("Which?\n  1  this\n  2  that\n1-2 [1]:\n")


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("q", ["q"]),
        ("\r", ["enter"]),
        ("\x1b", ["esc"]),
        ("\x1b[A", ["up"]),
        ("\x1bOB", ["down"]),
        ("\x1b[6~", ["pgdn"]),
        ("\x1b[A\x1b[B\r", ["up", "down", "enter"]),
        ("\x1b[200~x", ["x"]),
        ("", []),
    ],
)
def test_keys_have_names(sent: str, keys: list[str]) -> None:
    assert terminal.named(sent) == keys

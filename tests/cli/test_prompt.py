"""Keys come from a hidden prompt or standard input."""

from __future__ import annotations

import io

import pytest

from bm.cli import prompt
from bm.cli.exits import UsageError


class Terminal(io.StringIO):
    """A standard input that a person types at."""

    def isatty(self) -> bool:
        return True


def given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("text", ["a-key", "a-key\n", "  a-key \r\n"])
def test_a_piped_key(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, text)
    assert prompt.key("groq") == "a-key"


def test_a_command_may_have_words(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "cmd:pass show groq\n")
    assert prompt.key("groq") == "cmd:pass show groq"


@pytest.mark.parametrize("text", ["", "\n", "one two", "one\ntwo\n"])
def test_nothing_or_too_much_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    given(monkeypatch, text)
    with pytest.raises(UsageError) as caught:
        prompt.key("groq")
    assert "two" not in str(caught.value)


def test_a_typed_key_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}

    def ask(text: str, **options: object) -> str:
        asked.update(options, text=text)
        return " a-key "

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("typer.prompt", ask)
    assert prompt.key("groq") == "a-key"
    assert (asked["text"], asked["hide_input"]) == ("Key for groq", True)


def test_questions_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, "")
    assert prompt.confirmed("Really?", yes=False)
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("typer.confirm", lambda text, err: False)
    assert not prompt.confirmed("Really?", yes=False)
    assert prompt.confirmed("Really?", yes=True)

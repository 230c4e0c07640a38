"""Plain text for programs and pipes, rich on a terminal, never control characters from outside."""

from __future__ import annotations

import io
import re
import time

import pytest

from bm.cli import render


class Terminal(io.StringIO):
    """A standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("name", "state"), [("a", "usable"), ("longer", "disabled")], empty="none")
    assert capsys.readouterr().out == "NAME    STATE\na       usable\nlonger  disabled\n"


def test_an_empty_table(capsys: pytest.CaptureFixture[str]) -> None:
    render.table(("name",), [], empty="none")
    assert capsys.readouterr().out == "none\n"


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("usable", "\x1b[32musable"),
        ("disabled", "\x1b[31mdisabled"),
        ("cooling down 3 min", "\x1b[33mcooling down 3 min"),
        ("in turn among the others", " in turn among the others"),
        ("no usage reported", " no usage reported"),
    ],
)
def test_states_are_coloured_on_a_terminal_and_sentences_are_not(
    monkeypatch: pytest.MonkeyPatch, cell: str, shown: str
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    render.table(("name", "state"), [("a", cell)], empty="none")
    assert shown in screen.getvalue()


def test_a_table_stays_a_table_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "36")
    rows = [("anthropic", "the whole of a long reason", "fallback"), ("groq", "none", "")]
    render.table(("provider", "why", "mode"), rows, empty="none")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert all(len(line) <= 36 for line in plain.splitlines())
    assert plain.split()[:3] == ["provider", "why", "mode"]
    assert "anthropic  the whole of" in plain


def test_a_time_carries_its_day_unless_that_is_today() -> None:
    now = time.time()
    midnight = now - now % 86400
    for at, shown in ((now, "%H:%M"), (now + 3 * 86400, "%a %H:%M"), (midnight - 30 * 86400, "%Y-%m-%d %H:%M")):
        assert render.clock(at) == time.strftime(shown, time.localtime(at))
    assert render.clock(now, seconds=True) == time.strftime("%H:%M:%S", time.localtime(now))


def test_a_dumb_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert not render.is_terminal()


def test_facts_are_aligned_and_empty_ones_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    render.facts({"a": "1", "long": "2", "gone": ""})
    assert capsys.readouterr().out == "a     1\nlong  2\n"


def test_control_characters_are_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    render.line("a\x1b[2Jb\rc")
    render.table(("n",), [("x\n  y\x07",)], empty="")
    assert capsys.readouterr().out == "a�[2Jb�c\nN\nx y�\n"


def test_characters_that_the_output_cannot_encode_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    render.line("bm-a…z")
    assert raw.getvalue() == b"bm-a\\u2026z\n"


def test_errors_and_notes_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    render.error("no")
    render.note("but")
    assert capsys.readouterr() == ("", "error: no\nbut\n")


def test_a_long_wait_is_shown_on_a_terminal_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with render.waiting("waiting for bm"):
        pass
    assert screen.getvalue() == ""
    monkeypatch.setattr(render, "_PATIENCE", 0.0)
    with render.waiting("waiting for bm"):
        time.sleep(0.02)
    shown = screen.getvalue()
    assert shown.startswith("\r| waiting for bm …")
    assert shown.endswith(f"\r{' ' * 18}\r")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    render.json({"a": [1], "b": "ü"})
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ],\n  "b": "ü"\n}\n'


def test_yes_and_no() -> None:
    assert (render.yes(1), render.yes("")) == ("yes", "no")


def test_a_narrow_terminal_drops_the_spare_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "24")
    rows = [("a", "usable 3 min", "a long key", "never")]
    render.table(("account", "state", "key", "last used"), rows, empty="none", spare=("last used", "key"))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    shown = [line.split() for line in plain.splitlines() if line.strip()]
    assert shown[0] == ["account", "state"] and shown[2] == ["a", "usable", "3", "min"]


def test_what_fits_in_the_place_of_a_wide_column_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "24")
    rows = [("a", "7", "a very long key", "usable")]
    render.table(("account", "used", "key", "state"), rows, empty="none", spare=("used", "key", "state"))
    shown = [line.split() for line in re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue()).splitlines()]
    assert (shown[0], shown[2]) == (["account", "used", "state"], ["a", "7", "usable"])


def test_csv_quotes_what_needs_it(capsys: pytest.CaptureFixture[str]) -> None:
    render.csv(("name", "cost"), [("a, b", None), ('"c"', 0.5)])
    assert capsys.readouterr().out == 'name,cost\n"a, b",\n"""c""",0.5\n'


def test_a_paragraph_is_wrapped_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "bm accounts verify me, or go to https://a-very-long.example/address"
    render.paragraph(words.replace(", ", ",\n"), indent=2)
    assert capsys.readouterr().out == f"  {words}\n"
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "20")
    render.paragraph(words, indent=2)
    assert screen.getvalue().splitlines() == [
        "  bm accounts verify",
        "    me, or go to",
        "    https://a-very-long.example/address",
    ]


@pytest.mark.parametrize(
    ("cost", "words"), [(None, "no known price"), (0.0, "$0"), (0.0021, "$0.0021"), (12.3456, "$12.35")]
)
def test_money(cost: float | None, words: str) -> None:
    assert render.money(cost) == words


def test_numbers_and_times_or_a_dash() -> None:
    assert (render.count(12345), render.count(None)) == ("12,345", "-")
    assert (render.seconds(0.418), render.seconds(None)) == ("0.42 s", "-")


def test_messages_are_wrapped_on_a_terminal_and_commands_in_them_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "20")
    render.error("ollama does not run at\n    bm providers use ollama --no-verify")
    assert screen.getvalue().splitlines() == [
        "error: ollama does",
        "  not run at",
        "    bm providers use ollama --no-verify",
    ]

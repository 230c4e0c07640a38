"""The log: one line per record without secrets, and reading its end while it grows."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from bm.config.schema import Log
from bm.daemon.log import LineFormatter, Redactor, follow, set_up, tail

PLANTED = "planted-key-0123456789"


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("bm.test", logging.INFO, __file__, 1, message, args, None)


def written() -> None:
    """Wait for what is logged."""
    logging.getLogger().handlers[-1].flush()


def test_known_secrets_are_masked() -> None:
    formatter = LineFormatter(Redactor(lambda: [PLANTED]))
    assert formatter.format(record("sent %s to you", PLANTED)).endswith("INFO bm.test: sent [secret] to you")


def test_secrets_in_tracebacks_are_masked() -> None:
    formatter = LineFormatter(Redactor(lambda: [PLANTED]))
    try:
        raise ValueError(PLANTED)
    except ValueError as error:
        entry = record("failed")
        entry.exc_info = (ValueError, error, error.__traceback__)
    line = formatter.format(entry)
    assert PLANTED not in line
    assert "ValueError: [secret]" in line


def test_a_changed_file_is_read_again_and_old_secrets_stay_masked(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text("first-secret")
    redact = Redactor(lambda: [file.read_text()], [file])
    assert redact("first-secret") == "[secret]"
    file.write_text("second-secret!")
    assert redact("first-secret second-secret!") == "[secret] [secret]"


def test_each_record_has_its_own_time() -> None:
    formatter, first, second = LineFormatter(Redactor(list)), record("one"), record("two")
    first.created, first.msecs, second.created, second.msecs = 1e9, 5.0, 1e9 + 1, 250.0
    lines = [formatter.format(each) for each in (first, second, first)]
    assert [line.split()[1][-6:] for line in lines] == ["40.005", "41.250", "40.005"]


def test_a_record_is_one_line() -> None:
    line = LineFormatter(Redactor(list)).format(record("one\r\ntwo\n\n\x1b[31mthree\x00"))
    assert line.endswith("bm.test: one | two | �[31mthree�")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_file_is_private_and_rotates(tmp_path: Path, clean_logging: None) -> None:
    path = tmp_path / "daemon.log"
    set_up(path, Log(max_mb=1, files=2), Redactor(list), terminal=False)
    for _ in range(3):
        logging.getLogger("bm.test").info("x" * 600_000)
    written()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["daemon.log", "daemon.log.1"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_the_level_applies_and_libraries_log_warnings_only(tmp_path: Path, clean_logging: None) -> None:
    path = tmp_path / "daemon.log"
    set_up(path, Log(level="info"), Redactor(list), terminal=False)
    logging.getLogger("bm.test").debug("unseen")
    logging.getLogger("uvicorn.error").info("unseen")
    logging.getLogger("uvicorn.error").warning("seen")
    assert [line.partition(": ")[2] for line in tail(path, 10)] == ["seen"]


def test_records_are_gathered_and_a_warning_is_written_with_all_before_it(tmp_path: Path, clean_logging: None) -> None:
    path = tmp_path / "daemon.log"
    set_up(path, Log(), Redactor(lambda: [PLANTED]), terminal=False)
    for words in ("one", f"two {PLANTED}", "three\nlines"):
        logging.getLogger("bm.test").info(words)
    assert tail(path, 10) == [], "nothing has waited long enough"
    logging.getLogger("bm.test").warning("four")
    assert [line.partition(": ")[2] for line in tail(path, 10)] == ["one", "two [secret]", "three | lines", "four"]


def test_on_a_terminal_records_are_shown_there_too(
    tmp_path: Path, clean_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up(tmp_path / "daemon.log", Log(), Redactor(list), terminal=True)
    logging.getLogger("bm.test").info("both")
    written()
    assert capsys.readouterr().err.endswith("INFO bm.test: both\n")


@pytest.mark.parametrize(("count", "lines"), [(0, []), (2, ["c", "d"]), (9, ["a", "b", "c", "d"])])
def test_the_tail_of_a_file(tmp_path: Path, count: int, lines: list[str]) -> None:
    path = tmp_path / "log"
    path.write_text("a\nb\nc\nd\n")
    assert tail(path, count) == lines


def test_the_tail_of_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"{number:099}\n" for number in range(5_000)))
    assert tail(path, 2_000) == [f"{number:099}" for number in range(3_000, 5_000)]


def test_a_missing_file_has_no_tail(tmp_path: Path) -> None:
    assert tail(tmp_path / "log", 5) == []


def test_following_yields_complete_lines_across_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")

    def append(text: str) -> None:
        with path.open("a") as file:
            file.write(text)

    def rotate() -> None:
        path.rename(tmp_path / "log.1")
        path.write_text("after\n")

    steps = iter([lambda: append("ne"), lambda: append("w\n"), rotate])
    lines = follow(path, wait=lambda seconds: next(steps)())
    assert [next(lines), next(lines)] == ["new", "after"]


def test_no_line_is_lost_between_the_tail_and_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntwo\n")
    lines = follow(path, 1)
    assert next(lines) == "two"
    with path.open("a") as file:
        file.write("three\n")
    assert next(lines) == "three"


def test_a_missing_file_can_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def create(seconds: float) -> None:
        path.write_text("first\n")

    assert next(follow(path, wait=create)) == "first"

"""Files of tools are changed and put back whole: links, permissions, folders, crashes and other programs included."""

from __future__ import annotations

import json
import os
import stat
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.clients import journal, jsonc
from bm.clients.catalog import BY_NAME
from bm.clients.setup import Change, carry_out, opened, planned, undone
from bm.clients.tool import Tool
from bm.config.document import CannotEdit
from bm.errors import ConfigError
from tests.clients.golden import NAMES
from tests.clients.texts import json_texts, pretty_json_texts

CLAUDE, GEMINI = BY_NAME["claude"], BY_NAME["gemini"]
MINE = '{"theme": "dark"}\n'
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes, and links need a privilege")


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "state" / "clients.json"


@pytest.fixture
def settings(home: Path) -> Path:
    """The settings of Claude Code, which are not there yet."""
    return home / ".claude" / "settings.json"


def set_up(books: Path, tool: Tool = CLAUDE, **names: str) -> list[Change]:
    with opened(books) as held:
        changes = planned(tool, {**NAMES, **names}, os.environ, held)
        carry_out(changes, held, books)
        return changes


def undo(books: Path) -> list[Change]:
    with opened(books) as held:
        changes = undone(held.records)
        carry_out(changes, held, books)
        return changes


def written(path: Path, text: str = MINE, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_that_bm_has_made_goes_with_its_folder(books: Path, settings: Path) -> None:
    set_up(books)
    assert NAMES["key"] in settings.read_text()
    undo(books)
    assert not settings.parent.exists()
    assert not books.exists()


def test_a_folder_that_holds_more_by_now_stays(books: Path, settings: Path) -> None:
    set_up(books)
    written(settings.with_name("history"))
    undo(books)
    assert [file.name for file in settings.parent.iterdir()] == ["history"]


def test_a_file_that_holds_more_by_now_stays(books: Path, settings: Path) -> None:
    set_up(books)
    settings.write_text(settings.read_text().replace("{", '{"$version": 4,', 1))
    undo(books)
    assert settings.read_text() == '{"$version": 4\n}\n'


@posix
def test_permissions_are_narrowed_for_the_key_and_come_back(books: Path, settings: Path) -> None:
    written(settings, mode=0o664)
    set_up(books)
    assert mode_of(settings) == 0o600
    assert mode_of(books) == 0o600
    undo(books)
    assert mode_of(settings) == 0o664
    assert settings.read_text() == MINE


@posix
def test_permissions_come_back_where_nothing_else_had_to_change(books: Path, settings: Path) -> None:
    set_up(books)
    text = settings.read_text()
    undo(books)
    written(settings, text, 0o644)
    assert [change.changes for change in set_up(books)] == [True]
    assert mode_of(settings) == 0o600
    undo(books)
    assert mode_of(settings) == 0o644 and settings.read_text() == text


@posix
def test_permissions_stay_where_no_key_goes_in(books: Path, home: Path) -> None:
    file = written(home / ".gemini" / "settings.json", mode=0o640)
    set_up(books, GEMINI)
    assert mode_of(file) == 0o640
    assert mode_of(home / ".gemini" / ".env") == 0o600


@posix
def test_permissions_that_somebody_has_changed_since_stay(books: Path, settings: Path) -> None:
    written(settings, mode=0o644)
    set_up(books)
    settings.chmod(0o640)
    undo(books)
    assert mode_of(settings) == 0o640


@posix
def test_links_are_followed_and_stay(books: Path, settings: Path, home: Path) -> None:
    real = written(home / "dotfiles" / "claude.json")
    settings.parent.mkdir()
    settings.symlink_to(real)
    set_up(books)
    assert settings.is_symlink() and NAMES["key"] in real.read_text()
    undo(books)
    assert settings.is_symlink() and real.read_text() == MINE


@posix
def test_a_link_to_nothing_yet_is_followed_too(books: Path, settings: Path, home: Path) -> None:
    settings.parent.mkdir()
    settings.symlink_to(home / "dotfiles" / "claude.json")
    set_up(books)
    assert NAMES["key"] in (home / "dotfiles" / "claude.json").read_text()
    undo(books)
    assert settings.is_symlink() and not (home / "dotfiles").exists()


def test_setting_up_twice_is_setting_up_once(books: Path, settings: Path) -> None:
    written(settings)
    assert [change.changes for change in set_up(books)] == [True]
    assert [change.changes for change in set_up(books)] == [False]
    undo(books)
    assert settings.read_text() == MINE
    assert undo(books) == []


def test_another_address_takes_the_place_of_the_old_one(books: Path, settings: Path) -> None:
    written(settings)
    set_up(books)
    set_up(books, origin="http://127.0.0.1:9999", key="bm-another-key-of-the-tests")
    text = settings.read_text()
    assert "9999" in text and "8094" not in text and NAMES["key"] not in text
    undo(books)
    assert settings.read_text() == MINE


def test_what_the_person_writes_between_two_set_ups_is_kept(books: Path, settings: Path) -> None:
    written(settings)
    set_up(books)
    settings.write_text(settings.read_text().replace("dark", "light"))
    set_up(books, origin="http://127.0.0.1:9999")
    undo(books)
    assert settings.read_text() == MINE.replace("dark", "light")


def test_what_the_person_has_changed_stays_and_is_told(books: Path, settings: Path) -> None:
    written(settings)
    set_up(books)
    settings.write_text(settings.read_text().replace(NAMES["origin"], "https://elsewhere"))
    (change,) = undo(books)
    assert change.left == (("env", "ANTHROPIC_BASE_URL"),)
    assert "https://elsewhere" in settings.read_text() and NAMES["key"] not in settings.read_text()
    assert journal.load(books).records == ()


def test_a_file_that_is_gone_or_put_back_by_others_is_left(books: Path, settings: Path) -> None:
    set_up(books)
    settings.unlink()
    undo(books)
    assert not settings.exists()
    written(settings)
    set_up(books)
    written(settings)
    assert [change.changes for change in undo(books)] == [False]
    assert settings.read_text() == MINE


@pytest.mark.parametrize(
    ("text", "why"),
    [("{'a': 1}", "not valid JSON"), ('{"env": []}', "not an object"), ("\x00\xff", "UTF-8")],
)
def test_what_cannot_be_changed_faithfully_is_not_and_the_lines_are_told(
    books: Path, settings: Path, text: str, why: str
) -> None:
    written(settings)
    settings.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=why) as caught:
        set_up(books)
    assert settings.read_bytes() == text.encode("latin-1")
    assert not books.exists()
    assert NAMES["key"] not in str(caught.value)
    if why != "UTF-8":
        assert '"ANTHROPIC_AUTH_TOKEN": "BM-KEY"' in str(caught.value)


def test_settings_that_cannot_be_read_any_more_are_not_undone(books: Path, settings: Path) -> None:
    set_up(books)
    settings.write_text(settings.read_text() + "x")
    with pytest.raises(ConfigError, match=r"env\.ANTHROPIC_BASE_URL, env\.ANTHROPIC_AUTH_TOKEN"):
        undo(books)
    assert journal.load(books).records != ()


@posix
def test_a_file_that_may_not_be_written_is_not(books: Path, settings: Path) -> None:
    written(settings, mode=0o444)
    with pytest.raises(ConfigError, match="read-only"):
        set_up(books)
    assert settings.read_text() == MINE


def test_when_one_file_cannot_be_written_no_other_is_changed(books: Path, home: Path) -> None:
    first = written(home / ".gemini" / "settings.json")
    with opened(books) as held:
        changes = planned(GEMINI, NAMES, os.environ, held)
        written(home / ".gemini" / ".env", "A=1\n")
        with pytest.raises(ConfigError, match="by another program"):
            carry_out(changes, held, books)
    assert first.read_text() == MINE
    assert (home / ".gemini" / ".env").read_text() == "A=1\n"
    assert not books.exists()


@pytest.mark.parametrize("earlier", [False, True])
def test_a_crash_between_the_journal_and_the_file_loses_nothing(books: Path, settings: Path, earlier: bool) -> None:
    written(settings)
    if earlier:
        set_up(books)
    with opened(books) as held:
        (change,) = planned(CLAUDE, {**NAMES, "origin": "http://127.0.0.1:9999"}, os.environ, held)
        assert change.record is not None
        journal.save(books, held.replaced(change.path, change.record))
    assert [each.left for each in undo(books)] == [()]
    assert settings.read_text() == MINE


def test_two_at_once_do_not_get_into_each_others_way(books: Path, settings: Path) -> None:
    written(settings)
    origins = [f"http://127.0.0.1:{port}" for port in range(9001, 9009)]
    threads = [threading.Thread(target=set_up, args=(books,), kwargs={"origin": origin}) for origin in origins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(origin in settings.read_text() for origin in origins) == 1
    undo(books)
    assert settings.read_text() == MINE


def assert_round_trip(folder: Path, text: str) -> None:
    settings, books = written(folder / "settings.json", text), folder / "clients.json"
    with opened(books) as held:
        try:
            changes = planned(CLAUDE, NAMES, {"CLAUDE_CONFIG_DIR": str(folder)}, held)
        except ConfigError:
            return
        carry_out(changes, held, books)
    assert settings.read_bytes() != text.encode()
    undo(books)
    assert settings.read_bytes() == text.encode()


@given(text=json_texts())
def test_setting_up_and_undoing_leaves_the_very_bytes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert_round_trip(tmp_path_factory.mktemp("claude"), text)


STEPS = st.lists(
    st.sampled_from(("set up here", "set up there", "undo", "write theme", "write env", "take out env")), max_size=8
)


@given(text=pretty_json_texts(), steps=STEPS)
def test_whatever_comes_in_between_only_what_is_bms_goes(
    tmp_path_factory: pytest.TempPathFactory, text: str, steps: list[str]
) -> None:
    """The person works on the same file as bm; another copy shows what they would have without bm."""
    folder = tmp_path_factory.mktemp("claude")
    settings, books = written(folder / "settings.json", text), folder / "clients.json"
    alone = text
    for number, step in enumerate(steps):
        if step == "undo":
            undo(books)
        elif step.startswith("set up"):
            with opened(books) as held, suppress(ConfigError):
                names = {**NAMES, "origin": f"http://127.0.0.1:{number % 2}"}
                carry_out(planned(CLAUDE, names, {"CLAUDE_CONFIG_DIR": str(folder)}, held), held, books)
        else:
            word = ("theme",) if step.endswith("theme") else ("env", "MINE")
            change = jsonc.drop if step.startswith("take") else partial(jsonc.put, raw=f'"{number}"')
            with suppress(CannotEdit):
                alone = change(alone, word)
                settings.write_bytes(change(settings.read_bytes().decode(), word).encode())
    undo(books)
    assert without_empty_env(settings.read_bytes().decode()) == without_empty_env(alone)


def without_empty_env(text: str) -> object:
    """What a text says. Whether an `env` that holds nothing is there does not matter."""
    table = json.loads(text)
    return {name: value for name, value in table.items() if (name, value) != ("env", {})}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_marks_of_windows_survive(tmp_path: Path, mark: str) -> None:
    assert_round_trip(tmp_path, mark + '{\r\n  "a": 1\r\n}')

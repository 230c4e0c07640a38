"""Files of tools are changed and restored: links, permissions, folders, crashes and other programs included."""

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
from bm.clients.tool import Model, Tool
from bm.config.document import CannotEdit
from bm.errors import ConfigError
from tests.clients.golden import NAMES
from tests.clients.texts import json_texts, pretty_json_texts

CLAUDE, GEMINI = BY_NAME["claude"], BY_NAME["gemini"]
MINE = '{"theme": "dark"}\n'
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes, and links need a privilege")


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    """Where the journal is."""
    return tmp_path / "state" / "clients.json"


@pytest.fixture
def settings(home: Path) -> Path:
    """The settings of Claude Code, which are not there yet."""
    return home / ".claude" / "settings.json"


def set_up(journal_path: Path, tool: Tool = CLAUDE, **names: str) -> list[Change]:
    with opened(journal_path) as held:
        changes = planned(tool, {**NAMES, **names}, os.environ, held)
        carry_out(changes, held, journal_path)
        return changes


def undo(journal_path: Path) -> list[Change]:
    with opened(journal_path) as held:
        changes = undone(held.records)
        carry_out(changes, held, journal_path)
        return changes


def written(path: Path, text: str = MINE, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_that_bm_created_is_deleted_with_its_folder(journal_path: Path, settings: Path) -> None:
    set_up(journal_path)
    assert NAMES["key"] in settings.read_text()
    undo(journal_path)
    assert not settings.parent.exists()
    assert not journal_path.exists()


def test_a_created_folder_with_other_files_is_kept(journal_path: Path, settings: Path) -> None:
    set_up(journal_path)
    written(settings.with_name("history"))
    undo(journal_path)
    assert [file.name for file in settings.parent.iterdir()] == ["history"]


def test_a_created_file_with_other_settings_is_kept(journal_path: Path, settings: Path) -> None:
    set_up(journal_path)
    settings.write_text(settings.read_text().replace("{", '{"$version": 4,', 1))
    undo(journal_path)
    assert settings.read_text() == '{"$version": 4\n}\n'


@posix
def test_permissions_are_narrowed_for_the_key_and_restored(journal_path: Path, settings: Path) -> None:
    written(settings, mode=0o664)
    set_up(journal_path)
    assert mode_of(settings) == 0o600
    assert mode_of(journal_path) == 0o600
    undo(journal_path)
    assert mode_of(settings) == 0o664
    assert settings.read_text() == MINE


@posix
def test_permissions_are_restored_when_nothing_else_changed(journal_path: Path, settings: Path) -> None:
    set_up(journal_path)
    text = settings.read_text()
    undo(journal_path)
    written(settings, text, 0o644)
    assert [change.changes for change in set_up(journal_path)] == [True]
    assert mode_of(settings) == 0o600
    undo(journal_path)
    assert mode_of(settings) == 0o644 and settings.read_text() == text


@posix
def test_permissions_without_a_key_are_unchanged(journal_path: Path, home: Path) -> None:
    file = written(home / ".gemini" / "settings.json", mode=0o640)
    set_up(journal_path, GEMINI)
    assert mode_of(file) == 0o640
    assert mode_of(home / ".gemini" / ".env") == 0o600


@posix
def test_permissions_changed_since_are_kept(journal_path: Path, settings: Path) -> None:
    written(settings, mode=0o644)
    set_up(journal_path)
    settings.chmod(0o640)
    undo(journal_path)
    assert mode_of(settings) == 0o640


@posix
def test_links_are_followed(journal_path: Path, settings: Path, home: Path) -> None:
    real = written(home / "dotfiles" / "claude.json")
    settings.parent.mkdir()
    settings.symlink_to(real)
    set_up(journal_path)
    assert settings.is_symlink() and NAMES["key"] in real.read_text()
    undo(journal_path)
    assert settings.is_symlink() and real.read_text() == MINE


@posix
def test_a_dangling_link_is_followed(journal_path: Path, settings: Path, home: Path) -> None:
    settings.parent.mkdir()
    settings.symlink_to(home / "dotfiles" / "claude.json")
    set_up(journal_path)
    assert NAMES["key"] in (home / "dotfiles" / "claude.json").read_text()
    undo(journal_path)
    assert settings.is_symlink() and not (home / "dotfiles").exists()


def test_setting_up_twice_changes_nothing(journal_path: Path, settings: Path) -> None:
    written(settings)
    assert [change.changes for change in set_up(journal_path)] == [True]
    assert [change.changes for change in set_up(journal_path)] == [False]
    undo(journal_path)
    assert settings.read_text() == MINE
    assert undo(journal_path) == []


def test_setting_up_again_replaces_the_address(journal_path: Path, settings: Path) -> None:
    written(settings)
    set_up(journal_path)
    set_up(journal_path, origin="http://127.0.0.1:9999", key="bm-another-key-of-the-tests")
    text = settings.read_text()
    assert "9999" in text and "8094" not in text and NAMES["key"] not in text
    undo(journal_path)
    assert settings.read_text() == MINE


def test_changes_between_two_set_ups_are_kept(journal_path: Path, settings: Path) -> None:
    written(settings)
    set_up(journal_path)
    settings.write_text(settings.read_text().replace("dark", "light"))
    set_up(journal_path, origin="http://127.0.0.1:9999")
    undo(journal_path)
    assert settings.read_text() == MINE.replace("dark", "light")


def test_settings_the_user_has_changed_are_kept_and_reported(journal_path: Path, settings: Path) -> None:
    written(settings)
    set_up(journal_path)
    settings.write_text(settings.read_text().replace(NAMES["origin"], "https://elsewhere"))
    (change,) = undo(journal_path)
    assert change.left == (("env", "ANTHROPIC_BASE_URL"),)
    assert "https://elsewhere" in settings.read_text() and NAMES["key"] not in settings.read_text()
    assert journal.load(journal_path).records == ()


def test_a_file_deleted_or_restored_by_others_is_left_alone(journal_path: Path, settings: Path) -> None:
    set_up(journal_path)
    settings.unlink()
    undo(journal_path)
    assert not settings.exists()
    written(settings)
    set_up(journal_path)
    written(settings)
    assert [change.changes for change in undo(journal_path)] == [False]
    assert settings.read_text() == MINE


@pytest.mark.parametrize(
    ("text", "why"),
    [("{'a': 1}", "not valid JSON"), ('{"env": []}', "not an object"), ("\x00\xff", "UTF-8")],
)
def test_an_uneditable_file_is_left_alone_and_the_lines_are_printed(
    journal_path: Path, settings: Path, text: str, why: str
) -> None:
    written(settings)
    settings.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=why) as caught:
        set_up(journal_path)
    assert settings.read_bytes() == text.encode("latin-1")
    assert not journal_path.exists()
    assert NAMES["key"] not in str(caught.value)
    if why != "UTF-8":
        assert '"ANTHROPIC_AUTH_TOKEN": "BM-KEY"' in str(caught.value)


def test_unreadable_settings_are_not_undone(journal_path: Path, settings: Path) -> None:
    set_up(journal_path)
    settings.write_text(settings.read_text() + "x")
    with pytest.raises(ConfigError, match=r"env\.ANTHROPIC_BASE_URL, env\.ANTHROPIC_AUTH_TOKEN"):
        undo(journal_path)
    assert journal.load(journal_path).records != ()


@posix
def test_a_read_only_file_is_left_alone(journal_path: Path, settings: Path) -> None:
    written(settings, mode=0o444)
    with pytest.raises(ConfigError, match="read-only"):
        set_up(journal_path)
    assert settings.read_text() == MINE


def test_if_one_file_cannot_be_written_none_is_changed(journal_path: Path, home: Path) -> None:
    first = written(home / ".gemini" / "settings.json")
    with opened(journal_path) as held:
        changes = planned(GEMINI, NAMES, os.environ, held)
        written(home / ".gemini" / ".env", "A=1\n")
        with pytest.raises(ConfigError, match="by another program"):
            carry_out(changes, held, journal_path)
    assert first.read_text() == MINE
    assert (home / ".gemini" / ".env").read_text() == "A=1\n"
    assert not journal_path.exists()


@pytest.mark.parametrize("earlier", [False, True])
def test_a_crash_after_writing_the_journal_loses_nothing(journal_path: Path, settings: Path, earlier: bool) -> None:
    written(settings)
    if earlier:
        set_up(journal_path)
    with opened(journal_path) as held:
        (change,) = planned(CLAUDE, {**NAMES, "origin": "http://127.0.0.1:9999"}, os.environ, held)
        assert change.record is not None
        journal.save(journal_path, held.replaced(change.path, change.record))
    assert [each.left for each in undo(journal_path)] == [()]
    assert settings.read_text() == MINE


def test_simultaneous_set_ups_do_not_conflict(journal_path: Path, settings: Path) -> None:
    written(settings)
    origins = [f"http://127.0.0.1:{port}" for port in range(9001, 9009)]
    threads = [threading.Thread(target=set_up, args=(journal_path,), kwargs={"origin": origin}) for origin in origins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(origin in settings.read_text() for origin in origins) == 1
    undo(journal_path)
    assert settings.read_text() == MINE


def assert_round_trip(folder: Path, text: str) -> None:
    settings, journal_path = written(folder / "settings.json", text), folder / "clients.json"
    with opened(journal_path) as held:
        try:
            changes = planned(CLAUDE, NAMES, {"CLAUDE_CONFIG_DIR": str(folder)}, held)
        except ConfigError:
            return
        carry_out(changes, held, journal_path)
    assert settings.read_bytes() != text.encode()
    undo(journal_path)
    assert settings.read_bytes() == text.encode()


@given(text=json_texts())
def test_undoing_restores_the_exact_bytes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    assert_round_trip(tmp_path_factory.mktemp("claude"), text)


STEPS = st.lists(
    st.sampled_from(("set up here", "set up there", "undo", "write theme", "write env", "take out env")), max_size=8
)


@given(text=pretty_json_texts(), steps=STEPS)
def test_undoing_removes_only_bms_settings_whatever_happened_before(
    tmp_path_factory: pytest.TempPathFactory, text: str, steps: list[str]
) -> None:
    """The user edits the same file as bm; `alone` is the file as it would be without bm."""
    folder = tmp_path_factory.mktemp("claude")
    settings, journal_path = written(folder / "settings.json", text), folder / "clients.json"
    alone = text
    for number, step in enumerate(steps):
        if step == "undo":
            undo(journal_path)
        elif step.startswith("set up"):
            with opened(journal_path) as held, suppress(ConfigError):
                names = {**NAMES, "origin": f"http://127.0.0.1:{number % 2}"}
                carry_out(planned(CLAUDE, names, {"CLAUDE_CONFIG_DIR": str(folder)}, held), held, journal_path)
        else:
            word = ("theme",) if step.endswith("theme") else ("env", "MINE")
            change = jsonc.drop if step.startswith("take") else partial(jsonc.put, raw=f'"{number}"')
            with suppress(CannotEdit):
                alone = change(alone, word)
                settings.write_bytes(change(settings.read_bytes().decode(), word).encode())
    undo(journal_path)
    assert without_empty_env(settings.read_bytes().decode()) == without_empty_env(alone)


def without_empty_env(text: str) -> object:
    """What a text says. Whether an `env` that holds nothing is there does not matter."""
    table = json.loads(text)
    return {name: value for name, value in table.items() if (name, value) != ("env", {})}


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_windows_line_ends_and_byte_order_marks_survive(tmp_path: Path, mark: str) -> None:
    assert_round_trip(tmp_path, mark + '{\r\n  "a": 1\r\n}')


@pytest.mark.parametrize("tool", ["opencode", "zed"])
def test_a_tool_with_a_list_shows_every_model(home: Path, tmp_path: Path, tool: str) -> None:
    models = (Model("groq:big", 131_072, 65_536, images=False), Model("fast", 0))
    with opened(tmp_path / "clients.json") as held:
        (change,) = planned(BY_NAME[tool], NAMES, os.environ, held, models)
    assert change.after is not None
    shown = json.loads(change.after)
    if tool == "opencode":
        listed = shown["provider"]["bm"]["models"]
        assert list(listed) == ["opus", "sonnet", "haiku", "groq:big", "fast"]
        assert listed["groq:big"]["limit"] == {"context": 131_072, "output": 65_536}
        assert "limit" not in listed["fast"]
    else:
        listed = shown["language_models"]["openai_compatible"]["bm"]["available_models"]
        assert [each["name"] for each in listed] == ["opus", "sonnet", "haiku", "groq:big", "fast"]
        assert listed[3]["max_tokens"] == 131_072 and not listed[3]["capabilities"]["images"]

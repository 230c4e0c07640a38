"""Settings are added to a text and removed from it, whatever was changed in between; diffs show no secret."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bm.clients.catalog import TOOLS
from bm.clients.change import applied, by_hand, difference, holds, is_blank, masked, reverted
from bm.clients.formats import EDITORS, Format
from bm.clients.tool import Setting, SettingsFile
from bm.config.document import CannotEdit
from bm.config.secrets import Mask
from tests.clients.golden import NAMES
from tests.clients.texts import dotenv_texts, json_texts, pretty_json_texts, toml_texts, yaml_list_texts, yaml_texts

FILES = [(tool.name, file) for tool in TOOLS for file in tool.files]
TEXTS: dict[Format, st.SearchStrategy[str]] = {
    "json": json_texts() | pretty_json_texts(),
    "toml": toml_texts(),
    "dotenv": dotenv_texts(),
    "yaml": yaml_texts(),
    "yaml-list": yaml_list_texts(),
}
ENV = (Setting(("env", "A"), "{origin}"), Setting(("env", "B"), "{key}"))
DIFF_BEFORE = '{\n  "theme": "dark",\n  "a": 1,\n  "b": 2,\n  "env": {"MY_API_KEY": "a-secret-of-mine"}\n}\n'
DIFF_AFTER = DIFF_BEFORE.replace("a-secret-of-mine", "bm-key").replace('"b": 2', '"b": 3')
BEFORE = '{\n  "env": {\n    "A": "mine"\n  }\n}\n'


@pytest.mark.parametrize(("tool", "file"), FILES, ids=[f"{tool}-{file.format}" for tool, file in FILES])
@given(data=st.data())
def test_settings_are_reverted_in_any_text(tool: str, file: SettingsFile, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(("", "\ufeff")).flatmap(lambda mark: TEXTS[file.format].map(mark.__add__)))
    try:
        after, puts = applied(text, file.format, file.settings, NAMES)
    except CannotEdit:
        return
    assert holds(after, file.format, file.settings, NAMES)
    assert applied(after, file.format, file.settings, NAMES)[0] == after
    again, left = reverted(after, file.format, puts)
    edit = EDITORS[file.format]
    bare, bare_again = text.removeprefix("\ufeff"), again.removeprefix("\ufeff")
    assert left == ()
    for setting in file.settings:
        was, now = edit.get(bare, setting.key), edit.get(bare_again, setting.key)
        assert (was is None and now is None) or (was is not None and now is not None and edit.same(was, now))
    if file.format in ("json", "toml"):
        assert (edit.is_empty(bare, ()) and edit.is_empty(bare_again, ())) or _same(file.format, bare, bare_again)


def _same(name: Format, text: str, other: str) -> bool:
    """Whether two texts read as the same settings."""
    if name == "json":
        return EDITORS[name].same(text, other)
    import tomllib

    return tomllib.loads(text) == tomllib.loads(other)


@given(text=TEXTS["json"], word=st.sampled_from(("theme", "x y")))
def test_changes_made_in_between_stay(text: str, word: str) -> None:
    assume("\ufeff" not in text)
    edit = EDITORS["json"]
    try:
        after, puts = applied(text, "json", ENV, NAMES)
        changed, expected = edit.put(after, (word,), "[1]"), edit.put(text, (word,), "[1]")
    except CannotEdit:
        return
    assert edit.same(reverted(changed, "json", puts)[0], expected)


def test_a_previous_value_is_restored_as_it_was_written() -> None:
    text = '{"env": {"A": "caf\\u00e9"}}'
    after, puts = applied(text, "json", ENV, NAMES)
    assert after == '{"env": {"A": "http://127.0.0.1:8094", "B": "bm-key-of-the-golden-files"}}'
    assert reverted(after, "json", puts) == (text, ())


def test_a_setting_changed_since_is_left_and_reported() -> None:
    after, puts = applied(BEFORE, "json", ENV, NAMES)
    changed = after.replace(NAMES["origin"], "https://elsewhere")
    assert reverted(changed, "json", puts) == (BEFORE.replace("mine", "https://elsewhere"), (("env", "A"),))


def test_a_setting_removed_since_stays_removed() -> None:
    after, puts = applied(BEFORE, "json", ENV, NAMES)
    gone = EDITORS["json"].drop(after, ("env", "A"))
    text, left = reverted(gone, "json", puts)
    assert left == (("env", "A"),)
    assert EDITORS["json"].get(text, ("env",)) == "{}"


def test_an_object_that_bm_created_is_removed_unless_it_holds_more() -> None:
    after, puts = applied('{"x": 1}', "json", ENV, NAMES)
    assert reverted(after, "json", puts)[0] == '{"x": 1}'
    more = EDITORS["json"].put(after, ("env", "C"), "1")
    assert reverted(more, "json", puts)[0] == '{"x": 1, "env": {"C": 1}}'


def test_an_overriding_setting_is_removed_and_restored() -> None:
    settings = (Setting(("a", "env_key"), None), Setting(("a", "key"), "{key}"))
    text = "[a]\nenv_key = 'X'\nkey = 'mine'\n"
    after, puts = applied(text, "toml", settings, NAMES)
    assert after == '[a]\nkey = "bm-key-of-the-golden-files"\n'
    assert reverted(after, "toml", puts)[0] == '[a]\nkey = "mine"\nenv_key = "X"\n'


def test_a_file_with_another_value_does_not_hold_the_settings() -> None:
    assert not holds(BEFORE, "json", ENV, NAMES)
    assert holds(applied(BEFORE, "json", ENV, NAMES)[0], "json", ENV, NAMES)


def test_lines_to_copy_by_hand() -> None:
    assert by_hand("dotenv", (Setting(("A",), "{key}"), Setting(("B",), None)), {"key": "KEY"}) == "A=KEY\n"
    assert is_blank("\ufeff", "json") and is_blank("{}", "json") and not is_blank('{"a": 1}', "json")


def test_a_diff_shows_changed_lines_and_their_neighbours() -> None:
    assert difference("~/x.json", DIFF_BEFORE, DIFF_AFTER, ("bm-key-of-the-tests",)).splitlines() == [
        "--- ~/x.json",
        "+++ ~/x.json",
        "@@ -2,5 +2,5 @@",
        '   "theme": "dark",',
        '   "a": 1,',
        '-  "b": 2,',
        '-  "env": {"MY_API_KEY": "[secret]"}',
        '+  "b": 3,',
        '+  "env": {"MY_API_KEY": "[secret]"}',
        " }",
    ]


def test_a_diff_of_a_new_or_deleted_file() -> None:
    assert difference("x", None, "a\n", ()) == "--- (no file)\n+++ x\n@@ -0,0 +1 @@\n+a"
    assert difference("x", "a\n", None, ()) == "--- x\n+++ (no file)\n@@ -1 +0,0 @@\n-a"
    assert difference("x", "a\n", "a\n", ()) == ""


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("openai-api-key: mine # note", "openai-api-key: [secret] # note"),
        ("export GEMINI_API_KEY='mine'", "export GEMINI_API_KEY='[secret]'"),
        ('experimental_bearer_token = "mi\\"ne"', 'experimental_bearer_token = "[secret]"'),
        ('set-env: ["A=known-secret", "B_TOKEN=mine", "C=1"]', 'set-env: ["A=[secret]", "B_TOKEN=[secret]", "C=1"]'),
        ('"apiKey":"mine","x":1', '"apiKey":"[secret]","x":1'),
        ('url = "http://me:mine@host/v1"', 'url = "http://[secret]@host/v1"'),
        ('"keybindings": {', '"keybindings": {'),
        ("  api_key_name: bm", "  api_key_name: bm"),
        ('"url": "http://127.0.0.1:8094"', '"url": "http://127.0.0.1:8094"'),
    ],
)
def test_secrets_are_masked(line: str, shown: str) -> None:
    assert masked(line, Mask(["known-secret"])) == shown

"""Settings go into a text and come out of it, whatever somebody has made of it in between."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bm.clients.catalog import TOOLS
from bm.clients.change import applied, by_hand, differing, holds, is_blank, reverted
from bm.clients.formats import Format, editor
from bm.clients.tool import Setting, SettingsFile
from bm.config.document import CannotEdit
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
BEFORE = '{\n  "env": {\n    "A": "mine"\n  }\n}\n'


@pytest.mark.parametrize(("tool", "file"), FILES, ids=[f"{tool}-{file.format}" for tool, file in FILES])
@given(data=st.data())
def test_what_goes_in_comes_out_of_any_text(tool: str, file: SettingsFile, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(("", "\ufeff")).flatmap(lambda mark: TEXTS[file.format].map(mark.__add__)))
    try:
        after, puts = applied(text, file.format, file.settings, NAMES)
    except CannotEdit:
        return
    assert holds(after, file.format, file.settings, NAMES)
    assert applied(after, file.format, file.settings, NAMES)[0] == after
    again, left = reverted(after, file.format, puts)
    edit = editor(file.format)
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
        return editor(name).same(text, other)
    import tomllib

    return tomllib.loads(text) == tomllib.loads(other)


@given(text=TEXTS["json"], word=st.sampled_from(("theme", "x y")))
def test_what_is_written_in_between_stays(text: str, word: str) -> None:
    assume("\ufeff" not in text)
    edit = editor("json")
    try:
        after, puts = applied(text, "json", ENV, NAMES)
        changed, expected = edit.put(after, (word,), "[1]"), edit.put(text, (word,), "[1]")
    except CannotEdit:
        return
    assert edit.same(reverted(changed, "json", puts)[0], expected)


def test_a_value_that_was_there_is_kept_as_it_was_written() -> None:
    text = '{"env": {"A": "caf\\u00e9"}}'
    after, puts = applied(text, "json", ENV, NAMES)
    assert after == '{"env": {"A": "http://127.0.0.1:8094", "B": "bm-key-of-the-golden-files"}}'
    assert reverted(after, "json", puts) == (text, ())


def test_what_somebody_has_changed_since_is_left_and_told() -> None:
    after, puts = applied(BEFORE, "json", ENV, NAMES)
    changed = after.replace(NAMES["origin"], "https://elsewhere")
    assert reverted(changed, "json", puts) == (BEFORE.replace("mine", "https://elsewhere"), (("env", "A"),))


def test_what_somebody_has_taken_out_stays_out() -> None:
    after, puts = applied(BEFORE, "json", ENV, NAMES)
    gone = editor("json").drop(after, ("env", "A"))
    text, left = reverted(gone, "json", puts)
    assert left == (("env", "A"),)
    assert editor("json").get(text, ("env",)) == "{}"


def test_an_object_that_bm_has_made_goes_unless_it_holds_more() -> None:
    after, puts = applied('{"x": 1}', "json", ENV, NAMES)
    assert reverted(after, "json", puts)[0] == '{"x": 1}'
    more = editor("json").put(after, ("env", "C"), "1")
    assert reverted(more, "json", puts)[0] == '{"x": 1, "env": {"C": 1}}'


def test_a_setting_that_would_win_is_taken_out_and_comes_back() -> None:
    settings = (Setting(("a", "env_key"), None), Setting(("a", "key"), "{key}"))
    text = "[a]\nenv_key = 'X'\nkey = 'mine'\n"
    after, puts = applied(text, "toml", settings, NAMES)
    assert after == '[a]\nkey = "bm-key-of-the-golden-files"\n'
    assert reverted(after, "toml", puts)[0] == '[a]\nkey = "mine"\nenv_key = "X"\n'


def test_other_values_are_told() -> None:
    assert differing(BEFORE, "json", ENV, NAMES) == (("env", "A"),)
    assert not holds(BEFORE, "json", ENV, NAMES)
    assert differing(applied(BEFORE, "json", ENV, NAMES)[0], "json", ENV, NAMES) == ()


def test_lines_for_a_person_to_copy() -> None:
    assert by_hand("dotenv", (Setting(("A",), "{key}"), Setting(("B",), None)), {"key": "KEY"}) == "A=KEY\n"
    assert is_blank("\ufeff", "json") and is_blank("{}", "json") and not is_blank('{"a": 1}', "json")

"""Editing one setting of a `.env` file or a flat YAML file changes no other line."""

from __future__ import annotations

import pytest

from bm.clients.formats import Editor
from bm.clients.lines import DOTENV, YAML, YAML_LIST
from bm.config.document import CannotEdit

ENV_TEXT = "# mine\nexport A = 'one'  # first\nB=two\nC=\"three\nB=no\"\n"
YAML_TEXT = "# mine\nmodel: sonnet  # the best\nread: ['a # b', c] # both\nlint-cmd:\n  - python: x\nlast: ''\n"
LIST_TEXT = "# mine\n- model_id: a\n  x: 1\n\n- model_id: 'bm'\n  x: 2\n# the last\n- model_id: c\n"
ENTRY_KEY = ("model_id", "bm")
ENTRY = YAML_LIST.write({"model_id": "bm", "vision": True})


@pytest.mark.parametrize(
    ("editor", "before", "name", "after"),
    [
        (DOTENV, "", "A", "A=9\n"),
        (DOTENV, "B=1", "A", "B=1\nA=9\n"),
        (DOTENV, "B=1\r\n", "A", "B=1\r\nA=9\r\n"),
        (DOTENV, "A=\n", "A", "A=9\n"),
        (DOTENV, "A=1 # note\r\nB=2\r\n", "A", "A=9 # note\r\nB=2\r\n"),
        (DOTENV, "A=1\nA=2\n", "A", "A=1\nA=9\n"),
        (DOTENV, ENV_TEXT, "A", ENV_TEXT.replace("'one'", "9")),
        (DOTENV, ENV_TEXT, "B", ENV_TEXT.replace("two", "9")),
        (DOTENV, ENV_TEXT, "no", ENV_TEXT + "no=9\n"),
        (YAML, "", "a", "a: 9\n"),
        (YAML, "b: 1", "a", "b: 1\na: 9\n"),
        (YAML, "b: 1\r\n", "a", "b: 1\r\na: 9\r\n"),
        (YAML, "a:\nb: 1\n", "a", "a: 9\nb: 1\n"),
        (YAML, YAML_TEXT, "model", YAML_TEXT.replace("sonnet", "9")),
        (YAML, YAML_TEXT, "read", YAML_TEXT.replace("['a # b', c]", "9")),
        (YAML, YAML_TEXT, "last", YAML_TEXT.replace("''", "9")),
        (YAML, YAML_TEXT, "new", YAML_TEXT + "new: 9\n"),
    ],
)
def test_a_value_is_put_on_its_line_or_at_the_end(editor: Editor, before: str, name: str, after: str) -> None:
    assert editor.put(before, (name,), "9") == after


@pytest.mark.parametrize(
    ("editor", "before", "key", "after"),
    [
        (DOTENV, "A=1", ("A",), ""),
        (DOTENV, "A=1\nB=2\nA=3\n", ("A",), "B=2\n"),
        (DOTENV, ENV_TEXT, ("A",), ENV_TEXT.replace("export A = 'one'  # first\n", "")),
        (DOTENV, ENV_TEXT, ("C",), ENV_TEXT[: ENV_TEXT.index("C=")]),
        (DOTENV, ENV_TEXT, ("D",), ENV_TEXT),
        (YAML, YAML_TEXT, ("model",), YAML_TEXT.replace("model: sonnet  # the best\n", "")),
        (YAML, "a: 1", ("a",), ""),
        (YAML, YAML_TEXT, ("none",), YAML_TEXT),
        (YAML_LIST, LIST_TEXT, ENTRY_KEY, LIST_TEXT.replace("- model_id: 'bm'\n  x: 2\n", "")),
        (YAML_LIST, LIST_TEXT, ("model_id", "d"), LIST_TEXT),
        (YAML_LIST, "- model_id: bm # mine\n  a: 1", ENTRY_KEY, ""),
    ],
)
def test_a_setting_is_dropped_with_its_lines(editor: Editor, before: str, key: tuple[str, ...], after: str) -> None:
    assert editor.drop(before, key) == after


@pytest.mark.parametrize("editor", [DOTENV, YAML, YAML_LIST])
def test_comments_keep_a_file_from_being_empty(editor: Editor) -> None:
    assert editor.is_empty(" \n", ()) and not editor.is_empty("# mine\n", ()) and not editor.is_empty("", ("a",))


def test_dotenv_values_are_returned_as_written() -> None:
    assert DOTENV.get(ENV_TEXT, ("A",)) == "'one'" and DOTENV.get(ENV_TEXT, ("B",)) == "two"
    assert DOTENV.get(ENV_TEXT, ("D",)) is None
    assert DOTENV.same("'one'", '"one"') and DOTENV.same("one", "one ") and not DOTENV.same("one", "two")
    assert DOTENV.write("http://127.0.0.1:8094") == "http://127.0.0.1:8094" and DOTENV.write("a b") == "'a b'"


def test_a_dotenv_value_that_cannot_be_quoted_is_refused() -> None:
    with pytest.raises(CannotEdit, match="quotes"):
        DOTENV.write("it's")


@pytest.mark.parametrize(
    "text",
    [
        *("a:\n  b: 1\n", "a:\n  # - 1\n  b: 1\n", "a: |\n  x\n", "a: &x 1\n"),
        *("a: x\n  y\n", "a: {b: 1}\n", "---\na: 1\n", "{a: 1}\n"),
    ],
)
def test_yaml_that_is_not_flat_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        YAML.put(text, ("a",), "9")


LISTS = {
    "a:\n- 1\n- 2\nb: 3\n": "a: 9\nb: 3\n",
    "a:\n  - 1\n\n  # of two\n  - 2\n    more\n\n# of b\nb: 3\n": "a: 9\n\n# of b\nb: 3\n",
    "x: 0\r\na: # mine\r\n  - 1\r\n": "x: 0\r\na: 9\r\n",
    "a:\n  - 1": "a: 9",
}


@pytest.mark.parametrize("text", LISTS)
def test_a_yaml_list_below_its_key_is_replaced_and_comes_back(text: str) -> None:
    before = YAML.get(text, ("a",))
    assert before is not None
    assert YAML.put(text, ("a",), "9") == LISTS[text]
    assert YAML.put(LISTS[text], ("a",), before) == text
    assert "a:" not in YAML.drop(text, ("a",)) and "- 1" not in YAML.drop(text, ("a",))


def test_a_yaml_key_that_is_set_twice_is_refused() -> None:
    with pytest.raises(CannotEdit, match="twice"):
        YAML.get("a: 1\na: 2\n", ("a",))


def test_yaml_values_are_returned_as_written() -> None:
    assert YAML.get(YAML_TEXT, ("model",)) == "sonnet" and YAML.get(YAML_TEXT, ("read",)) == "['a # b', c]"
    assert YAML.get(YAML_TEXT, ("none",)) is None
    assert YAML.same('"a"', "'a'") and YAML.same('["a"]', '[ "a" ]') and not YAML.same("a", "b")
    assert YAML.same('"a', '"a') and not YAML.same('["a', "a")
    assert YAML.write("http://127.0.0.1:8094/v1") == "http://127.0.0.1:8094/v1"
    assert YAML.write("a: b") == '"a: b"' and YAML.write(["a=b", "c"]) == '["a=b", "c"]'


def test_an_entry_replaces_the_old_one_or_is_added_at_the_end() -> None:
    put = YAML_LIST.put
    assert put("", ENTRY_KEY, ENTRY) == "- model_id: bm\n  vision: true\n"
    assert put("- model_id: a", ENTRY_KEY, ENTRY) == "- model_id: a\n- model_id: bm\n  vision: true\n"
    assert put("- a: b\r\n", ENTRY_KEY, ENTRY) == "- a: b\r\n- model_id: bm\r\n  vision: true\r\n"
    assert put(LIST_TEXT, ENTRY_KEY, ENTRY) == LIST_TEXT.replace("- model_id: 'bm'\n  x: 2", ENTRY)


@pytest.mark.parametrize("text", ["[]\n", "a: 1\n", "---\n- model_id: a\n", "- model_id: bm\n- model_id: bm\n"])
def test_yaml_that_is_not_a_plain_list_is_refused(text: str) -> None:
    with pytest.raises(CannotEdit):
        YAML_LIST.put(text, ENTRY_KEY, ENTRY)


def test_entries_are_returned_as_written() -> None:
    assert YAML_LIST.get(LIST_TEXT, ENTRY_KEY) == "- model_id: 'bm'\n  x: 2"
    assert YAML_LIST.get(LIST_TEXT, ("model_id", "d")) is None
    assert YAML_LIST.same("- a: 1\r\n  b: 2", "- a: 1\n  b: 2") and not YAML_LIST.same("- a: 1", "- a: 2")

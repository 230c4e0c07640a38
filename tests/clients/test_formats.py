"""All formats offer the same operations; TOML values are exchanged as the text that writes them."""

from __future__ import annotations

from typing import get_args

import pytest

from bm.clients.formats import EDITORS, TOML, Format
from bm.config.document import CannotEdit

TEXT = "model = 'o3'\n\n# mine\n[model_providers.mine]\nbase_url = \"http://x\"\n"


@pytest.mark.parametrize("name", get_args(Format))
def test_a_value_is_put_and_dropped(name: Format) -> None:
    edit = EDITORS[name]
    key, value = (("id", "bm"), {"id": "bm"}) if name == "yaml-list" else (("setting",), "http://127.0.0.1:8094")
    raw = edit.write(value)
    text = edit.put("", key, raw)
    found = edit.get(text, key)
    assert found is not None and edit.same(found, raw)
    assert edit.is_empty(edit.drop(text, key), ())


def test_a_value_is_put_and_dropped_with_the_table_created_for_it() -> None:
    after = TOML.put(TEXT, ("model_providers", "bm", "name"), '"bm"')
    assert after == TEXT + '\n[model_providers.bm]\nname = "bm"\n'
    emptied = TOML.drop(after, ("model_providers", "bm", "name"))
    assert TOML.is_empty(emptied, ("model_providers", "bm"))
    assert TOML.drop(emptied, ("model_providers", "bm")) == TEXT


def test_values_are_returned_as_toml_writes_them() -> None:
    assert TOML.get(TEXT, ("model",)) == '"o3"'
    assert TOML.get(TEXT, ("model_providers", "mine")) == '{base_url = "http://x"}'
    assert TOML.get(TEXT, ("model", "x")) is None
    assert TOML.write(["a", 1]) == '["a", 1]'
    assert TOML.same("'a'", '"a"') and not TOML.same("1", '"1"')
    assert TOML.is_empty("\n", ()) and not TOML.is_empty("# mine\n", ())


@pytest.mark.parametrize("change", [lambda text: TOML.put(text, ("a",), "1"), lambda text: TOML.get(text, ("a",))])
def test_invalid_toml_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(CannotEdit, match="not valid TOML"):
        change("[[[")

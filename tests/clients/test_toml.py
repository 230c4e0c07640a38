"""TOML values are given and taken as the text that writes them."""

from __future__ import annotations

import pytest

from bm.clients.toml import drop, get, is_empty, put, same, write
from bm.config.document import CannotEdit

TEXT = "model = 'o3'\n\n# mine\n[model_providers.mine]\nbase_url = \"http://x\"\n"


def test_a_value_is_put_and_dropped_with_the_table_made_for_it() -> None:
    after = put(TEXT, ("model_providers", "bm", "name"), '"bm"')
    assert after == TEXT + '\n[model_providers.bm]\nname = "bm"\n'
    emptied = drop(after, ("model_providers", "bm", "name"))
    assert is_empty(emptied, ("model_providers", "bm"))
    assert drop(emptied, ("model_providers", "bm")) == TEXT


def test_values_are_told_as_toml_writes_them() -> None:
    assert get(TEXT, ("model",)) == '"o3"'
    assert get(TEXT, ("model_providers", "mine")) == '{base_url = "http://x"}'
    assert get(TEXT, ("model", "x")) is None
    assert write(["a", 1]) == '["a", 1]'
    assert same("'a'", '"a"') and not same("1", '"1"')
    assert is_empty("\n", ()) and not is_empty("# mine\n", ())


@pytest.mark.parametrize("change", [lambda text: put(text, ("a",), "1"), lambda text: get(text, ("a",))])
def test_what_is_no_toml_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(CannotEdit, match="not valid TOML"):
        change("[[[")

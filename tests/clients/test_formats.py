"""Every format can be asked the same."""

from __future__ import annotations

from typing import get_args

import pytest

from bm.clients.formats import Format, editor


@pytest.mark.parametrize("name", get_args(Format))
def test_a_value_comes_and_goes(name: Format) -> None:
    edit = editor(name)
    key, value = (("id", "bm"), {"id": "bm"}) if name == "yaml-list" else (("setting",), "http://127.0.0.1:8094")
    raw = edit.write(value)
    text = edit.put("", key, raw)
    found = edit.get(text, key)
    assert found is not None and edit.same(found, raw)
    assert edit.is_empty(edit.drop(text, key), ())

"""A file is held against the schema as a whole: what fits is kept, the rest is reported."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bm.config.schema import Config
from bm.config.shape import SCHEMA, checked, is_table, kind_of, members

WORDS = st.sampled_from(
    ["server", "port", "providers", "groq", "mode", "pooled", "timeouts", "idle", "models", "aliases", "x"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(WORDS, below, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_is_kept_always_makes_a_configuration(raw: dict[str, Any]) -> None:
    kept, problems = checked(raw)
    msgspec.convert(kept, Config)
    assert (kept == raw) is (not problems)


def test_the_good_keys_beside_a_bad_one_are_kept() -> None:
    kept, problems = checked({"server": {"port": 1, "prot": 2, "auth": "nome"}})
    assert kept == {"server": {"port": 1}}
    assert [problem.key for problem in problems] == [("server", "prot"), ("server", "auth")]


@pytest.mark.parametrize("key", [("api_key",), ("headers", "x-token"), ("proxy", "url")])
def test_a_misplaced_secret_is_not_quoted(key: tuple[str, ...]) -> None:
    value: Any = ["planted-secret"]
    for part in reversed(key):
        value = {part: value}
    (problem,) = checked({"providers": {"acme": value}})[1]
    assert problem.message == "expected a text, got a list"
    assert problem.key == ("providers", "acme", *key)


def test_a_secret_in_the_wrong_place_is_not_quoted() -> None:
    secret = "planted-secret-1234567890"
    raw = {"providers": {"acme": {"mode": secret, "protocols": [secret]}, "groq": secret}}
    problems = checked(raw)[1]
    assert len(problems) == 3
    assert secret not in str(problems)


@pytest.mark.parametrize(
    ("key", "exists"),
    [
        (("server",), True),
        (("server", "port"), True),
        (("server", "port", "x"), False),
        (("providers", "any", "timeouts", "idle"), True),
        (("providers", "any", "nothing"), False),
        (("aliases", "any"), True),
        (("nothing",), False),
    ],
)
def test_kind_of(key: tuple[str, ...], exists: bool) -> None:
    assert (kind_of(key) is not None) is exists


def test_the_schema_is_made_of_tables() -> None:
    assert members(SCHEMA) == list(Config.__struct_fields__)
    for section in members(SCHEMA):
        kind = kind_of((section,))
        assert kind is not None
        assert is_table(kind)

"""How the text of a variable or a command line becomes a value; what does not fit stays text."""

from __future__ import annotations

from typing import Any

import pytest

from bm.config.keys import split
from bm.config.kinds import fits, read
from bm.config.shape import kind_of


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("server.port", "9000", 9000),
        ("server.port", " 9000 ", 9000),
        ("server.host", " x ", " x "),
        ("server.drain", "2.5", 2.5),
        ("server.drain", "3", 3),
        ("pool.affinity", "false", False),
        ("pool.affinity", "On", True),
        ("pool.affinity", "0", False),
        ("server.auth", "none", "none"),
        ("providers.x.protocols", "anthropic, gemini", ["anthropic", "gemini"]),
        ("providers.x.protocols", '["anthropic"]', ["anthropic"]),
        ("providers.x.match_models", "", []),
        ("providers.x.timeouts.idle", "7", 7),
        ("gemini.models", '{ opus = "x" }', {"opus": "x"}),
        ("gemini.models.opus", "x", "x"),
        ("aliases.fast", "groq:x", "groq:x"),
    ],
)
def test_a_text_is_read_as_its_setting_wants_it(key: str, text: str, value: Any) -> None:
    kind = kind_of(split(key))
    assert kind is not None
    found = read(text, kind)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("server.port", "x"),
        ("server.port", "1.5"),
        ("server.port", "true"),
        ("server.port", "1\nx = 2"),
        ("server.port", "-1"),
        ("server.drain", "nan"),
        ("server.drain", "inf"),
        ("pool.affinity", "perhaps"),
        ("providers.x.protocols", "[1]"),
        ("providers.x.protocols", "[broken"),
        ("server.auth", "None"),
    ],
)
def test_what_does_not_read_does_not_fit(key: str, text: str) -> None:
    kind = kind_of(split(key))
    assert kind is not None
    assert not fits(read(text, kind), kind)

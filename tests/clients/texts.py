"""Settings files as people write them, drawn by hypothesis: any order, comments, indentation, line ends."""

from __future__ import annotations

import json
from typing import Any

import tomli_w
from hypothesis import strategies as st

NAMES = st.sampled_from(
    ("env", "security", "auth", "selectedType", "provider", "bm", "model", "ANTHROPIC_BASE_URL", "theme", "x y", "é")
)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=8)
SCALARS = st.one_of(st.booleans(), st.integers(-(10**6), 10**6), WORDS)
GAPS = st.sampled_from(("", " ", "  ", "\n", "\n  ", "\r\n\t", " // a note\n", '/* a, "note": {} */', "\n// {\n"))


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """An object in JSON with comments and trailing commas."""

    def gap() -> str:
        return draw(GAPS)

    def flag() -> bool:
        return draw(st.booleans())

    def written(value: Any) -> str:
        if isinstance(value, dict):
            items = [f"{gap()}{json.dumps(name)}{gap()}:{gap()}{written(each)}{gap()}" for name, each in value.items()]
            return "{" + ",".join(items) + tail(items) + "}"
        if isinstance(value, list):
            items = [f"{gap()}{written(each)}{gap()}" for each in value]
            return "[" + ",".join(items) + tail(items) + "]"
        return json.dumps(value, ensure_ascii=flag())

    def tail(items: list[str]) -> str:
        return ("," if items and flag() else "") + gap()

    return gap() + written(draw(_tables(st.none() | SCALARS))) + gap()


def pretty_json_texts() -> st.SearchStrategy[str]:
    """An object as programs write it."""
    return st.builds(
        lambda table, indent, newline, end: json.dumps(table, indent=indent).replace("\n", newline) + end,
        _tables(st.none() | SCALARS),
        st.sampled_from((None, 2, 4, "\t")),
        st.sampled_from(("\n", "\r\n")),
        st.sampled_from(("", "\n")),
    )


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """A TOML document with comments between its lines."""
    names = st.sampled_from(("model", "model_provider", "model_providers", "bm", "openai", "base_url", "x y"))
    tables = st.recursive(
        st.dictionaries(names, SCALARS, max_size=3),
        lambda below: st.dictionaries(names, SCALARS | below | st.lists(SCALARS, max_size=3), max_size=4),
        max_leaves=8,
    )
    text = tomli_w.dumps(draw(tables))
    lines: list[str] = []
    for line in text.splitlines():
        if draw(st.integers(0, 3)) == 0 and not line.startswith((" ", "]")):
            lines += ["# a note = [1]"]
        lines.append(line)
    return draw(st.sampled_from(("\n", "\r\n"))).join([*lines, ""])


def dotenv_texts() -> st.SearchStrategy[str]:
    """A `.env` file."""
    line = st.sampled_from(
        (
            "# a note",
            "",
            "A=1",
            "export B = two words # note",
            "GEMINI_API_KEY=mine",
            "export GEMINI_API_KEY='mine'",
            'C="three\nGEMINI_API_KEY=no\nlines"',
            "GOOGLE_GEMINI_BASE_URL=",
            "not an assignment",
        )
    )
    return _lines(line)


def yaml_texts() -> st.SearchStrategy[str]:
    """A flat YAML document, some of them with what is not flat."""
    line = st.sampled_from(
        (
            "# a note",
            "",
            "dark-mode: true",
            "model: sonnet  # mine",
            "openai-api-key: 'mine'",
            "openai-api-base: http://127.0.0.1:1/v1",
            "read: [a, b]",
            "set-env:\n- A=1",
            "set-env: [A=1]",
            "lint-cmd:\n  - python: x",
            "---",
        )
    )
    return _lines(line)


def yaml_list_texts() -> st.SearchStrategy[str]:
    """A YAML list of models, some of them with what is no such list."""
    line = st.sampled_from(
        (
            "# a note",
            "",
            "- model_id: mine\n  model_name: x",
            "- model_id: bm # mine\n  model_name: x",
            "- model_id: 'bm'\n  api_base: x\n  # a note",
            "- model_name: x\n  model_id: other",
            "[]",
        )
    )
    return _lines(line)


def _lines(line: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda lines, newline, end: newline.join(lines) + (newline if end else ""),
        st.lists(line, max_size=6, unique=True),
        st.sampled_from(("\n", "\r\n")),
        st.booleans(),
    )


def _tables(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        st.dictionaries(NAMES, scalars, max_size=4),
        lambda below: st.dictionaries(NAMES, scalars | below | st.lists(below | scalars, max_size=3), max_size=4),
        max_leaves=10,
    )

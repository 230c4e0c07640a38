"""A file fits in a reader's head, a function on a screen. `allow_budgets.txt` holds the exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.rules.source import Source, allowed, sources

FILE_LINES = 450
FUNCTION_LINES = 60
NESTING = 4

BLOCKS = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep blocks lie in each other. An `elif` is no deeper than its `if`; inner functions count for themselves."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, SCOPES):
            continue
        elif_ = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, nesting(child, depth + (isinstance(child, BLOCKS) and not elif_)))
    return deepest


def over_budget(source: Source) -> Iterator[tuple[str, str]]:
    """What exceeds a budget: its name for the allow-list, and the figure."""
    if (lines := source.text.count("\n")) > FILE_LINES:
        yield source.path, f"{lines} lines, at most {FILE_LINES}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{source.path}::{node.name}", f"{length} lines, at most {FUNCTION_LINES}"
            if (deep := nesting(node)) > NESTING:
                yield f"{source.path}::{node.name}", f"nests {deep} deep, at most {NESTING}"


def test_files_and_functions_keep_to_the_budgets() -> None:
    exceptions = allowed("allow_budgets.txt")
    assert [row for source in sources() for row in over_budget(source) if row[0] not in exceptions] == []


def test_no_exception_outlives_its_cause() -> None:
    over = {name for source in sources() for name, _ in over_budget(source)}
    assert set(allowed("allow_budgets.txt")) <= over


def example(text: str) -> Source:
    return Source("bm/example.py", text, ast.parse(text))


def test_a_long_file_is_found() -> None:
    assert [name for name, _ in over_budget(example("x = 1\n" * 451))] == ["bm/example.py"]
    assert list(over_budget(example("x = 1\n" * 450))) == []


def test_a_long_function_is_found() -> None:
    assert [name for name, _ in over_budget(example("def f():\n" + "    x = 1\n" * 60))] == ["bm/example.py::f"]
    assert list(over_budget(example("def f():\n" + "    x = 1\n" * 59))) == []


def blocks(*heads: str) -> str:
    lines = [*heads, "pass"]
    return "\n".join(" " * depth + line for depth, line in enumerate(lines))


def test_deep_nesting_is_found() -> None:
    four = ["def f():", "for x in y:", "if x:", "with x:", "while x:"]
    assert list(over_budget(example(blocks(*four)))) == []
    assert [name for name, _ in over_budget(example(blocks(*four, "if x:")))] == ["bm/example.py::f"]


def test_elif_is_no_deeper_than_its_if() -> None:
    chain = "def f():\n if x: pass\n" + " elif x: pass\n" * 9
    assert nesting(ast.parse(chain).body[0]) == 1

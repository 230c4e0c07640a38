"""Whoever knows a file knows where its tests are: `bm/room/file.py` has `tests/room/test_file.py`.

Files without functions (tables, structs, re-exports) need none. `allow_mirrors.txt` holds the exceptions.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.rules.source import ROOT, Source, allowed, sources


def has_code(source: Source) -> bool:
    """Whether there is behaviour to test: a function whose body is more than a docstring or `...`."""
    functions = (n for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(not isinstance(line, ast.Expr | ast.Pass) for function in functions for line in function.body)


def mirror(path: str) -> Path:
    """Where the tests of a file are."""
    file = Path(path)
    return Path("tests", *file.parts[1:-1], f"test_{file.name}")


def code() -> list[Source]:
    """The files that need tests."""
    return [each for each in sources() if has_code(each) and not each.path.endswith(("__init__.py", "__main__.py"))]


def has_tests(file: Path) -> bool:
    """Whether a file of tests is there and holds some."""
    return file.is_file() and "def test_" in file.read_text(encoding="utf-8")


def test_every_file_has_its_tests() -> None:
    without = {source.path for source in code() if not has_tests(ROOT / mirror(source.path))}
    assert without - allowed("allow_mirrors.txt").keys() == set()


def test_no_exception_outlives_its_cause() -> None:
    lacking = {source.path for source in code() if not (ROOT / mirror(source.path)).is_file()}
    assert set(allowed("allow_mirrors.txt")) <= lacking


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {file.parent for file in (ROOT / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize(
    ("path", "tests"),
    [
        ("bm/sse.py", "tests/test_sse.py"),
        ("bm/dispatch/plan.py", "tests/dispatch/test_plan.py"),
        ("bm/protocols/gemini/stream.py", "tests/protocols/gemini/test_stream.py"),
    ],
)
def test_the_place_of_the_tests(path: str, tests: str) -> None:
    assert mirror(path).as_posix() == tests


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("'''Only words.'''\nTABLE = {'a': 1}", False),
        ("class Codec:\n    def encode(self):\n        '''What it does.'''\n        ...", False),
        ("def double(x):\n    return 2 * x", True),
    ],
)
def test_what_counts_as_code(text: str, code: bool) -> None:
    assert has_code(Source("bm/example.py", text, ast.parse(text))) is code

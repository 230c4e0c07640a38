"""The source files of the house, parsed once, and the allow-lists of the rules."""

from __future__ import annotations

import ast
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Source:
    """One Python file below `bm/`."""

    path: str
    """Relative to the checkout, with forward slashes."""
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        """Its name in imports."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        """The package or module directly below `bm`; empty for `bm/__init__.py`."""
        first = Path(self.path).parts[1].removesuffix(".py")
        return "" if first == "__init__" else first


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the package."""
    files = sorted((ROOT / "bm").rglob("*.py"))
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return tuple(Source(path, text, ast.parse(text, path)) for path, text in texts.items())


def allowed(name: str) -> dict[str, str]:
    """An allow-list beside the rules: a name and a reason a line, blank lines and `#` lines aside."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    unexplained = [row[0] for row in rows if len(row) == 1]
    assert not unexplained, f"{name}: no reason given for {unexplained}"
    return {entry: reason for entry, reason in rows}


@cache
def tracked() -> tuple[Path, ...]:
    """The files under version control that exist; () where this is no checkout."""
    if not (ROOT / ".git").exists():
        return ()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return tuple(path for name in names.split("\0") if name and (path := ROOT / name).is_file())

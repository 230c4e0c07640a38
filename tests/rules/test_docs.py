"""What a person can type or set is in the documentation: commands, configuration keys, providers, the version.

All three lists are read from the product itself, so that a new command without a word about it fails here.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import typer

import bm
from tests.rules.source import ROOT

EXAMPLE = ROOT / "config.example.toml"


@cache
def documentation() -> str:
    """README and every page of docs/, in one piece."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return "\n".join(page.read_text(encoding="utf-8") for page in pages)


def member(module: str, name: str) -> Any:
    """A member of a module; None while the module is not there."""
    package = module.rpartition(".")[0]
    if importlib.util.find_spec(package) is None or importlib.util.find_spec(module) is None:
        return None
    return getattr(importlib.import_module(module), name)


def commands() -> list[str]:
    """Every command that `bm` takes, with its group: `start`, `providers mode`."""
    app = member("bm.cli.app", "app")
    return sorted(walk(typer.main.get_command(app))) if app is not None else []


def walk(command: Any, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The commands below a group that are not hidden."""
    for name, below in getattr(command, "commands", {}).items():
        if below.hidden:
            continue
        if getattr(below, "commands", None):
            yield from walk(below, (*above, name))
        else:
            yield " ".join((*above, name))


def config_keys() -> list[str]:
    """Every key of the example configuration, with its section. Names a person invents are left out."""
    return sorted(keys(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))) if EXAMPLE.is_file() else []


def keys(table: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The keys of a table: a section is walked; what stands under `aliases` or in an inline map is the person's own."""
    for name, value in table.items():
        path = f"{above}{name}"
        if isinstance(value, dict) and name not in ("aliases", "models") and value:
            yield from keys(value, f"{path}.")
        else:
            yield path


def providers() -> list[str]:
    """Every provider that bm knows by name."""
    rows = member("bm.providers.catalog", "CATALOG") or ()
    return sorted(rows if isinstance(rows, Mapping) else (row.name for row in rows))


def test_every_command_is_documented() -> None:
    assert [name for name in commands() if not re.search(rf"\bbm {re.escape(name)}\b", documentation())] == []


def test_every_configuration_key_is_documented() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

    def named(key: str) -> bool:
        return bool(re.search(rf"(?<![\w.])({re.escape(key)}|{re.escape(key.rpartition('.')[2])})\b", page))

    assert [key for key in config_keys() if not named(key)] == []


def test_every_provider_is_documented() -> None:
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    assert [name for name in providers() if f"`{name}`" not in page] == []


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", documentation())
    assert named
    sources = {file: (ROOT / "tests" / file).read_text(encoding="utf-8") for file, _ in named}
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in sources[file]] == []


def test_the_newest_version_of_the_changelog_is_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[?v?(\d[\w.]*)\]?", changelog, re.MULTILINE)
    assert versions[:1] == [bm.__version__]


def test_commands_are_listed_with_their_groups() -> None:
    app, group = typer.Typer(), typer.Typer()
    app.command("start")(lambda: None)
    group.command("mode")(lambda: None)
    group.command("secret", hidden=True)(lambda: None)
    app.add_typer(group, name="providers")
    assert sorted(walk(typer.main.get_command(app))) == ["providers mode", "start"]


def test_keys_are_listed_with_their_sections() -> None:
    text = '[server]\nport = 1\n[aliases]\nfast = "x"\n[providers.groq]\nmodels = { opus = "x" }\n'
    assert sorted(keys(tomllib.loads(text))) == ["aliases", "providers.groq.models", "server.port"]

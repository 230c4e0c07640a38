"""`config.example.toml` and `docs/configuration.md` name every setting, and the example holds the defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import inspect

from bm.config.load import parse
from bm.config.schema import Config, ProviderConfig
from bm.config.validation import SCHEMA, is_table, without_none

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
WHOLE = re.sub(r"(?m)^#(?=[^ ])", "", EXAMPLE)
"""The example with its commented settings enabled."""
KNOWN = ("anthropic", "groq", "together")


def sections(kind: inspect.Type, name: str = "") -> Iterator[tuple[str, str]]:
    """Every key of the schema, with the section it is documented in; a provider's sections are under `providers`."""
    if isinstance(kind, inspect.DictType):
        yield from sections(kind.value_type, name)
    if isinstance(kind, inspect.StructType):
        for field in kind.fields:
            below = without_none(field.type)
            if name:
                yield name, field.encode_name
            if is_table(below) and not name:
                yield from sections(below, field.name)


TABLES = {"providers": "[providers.anthropic]", "capabilities": '[capabilities."acme-*"]'}
NAMED = {"providers": "[providers.NAME]", "capabilities": '[capabilities."PATTERN"]'}
"""Sections that may occur many times, with their headings in the example and the guide."""
KEYS = sorted(sections(SCHEMA))


def test_the_example_holds_the_defaults() -> None:
    loaded = parse(EXAMPLE, {}, known=KNOWN, path="config.example.toml")
    assert msgspec.structs.replace(loaded.config, providers={}) == Config()
    assert loaded.config.providers == dict.fromkeys(KNOWN, ProviderConfig())
    assert loaded.warnings == ()


def test_its_commented_settings_are_valid_too() -> None:
    config = parse(WHOLE, {}, known=KNOWN, path="config.example.toml").config
    assert list(config.providers) == [*KNOWN, "acme"]
    assert config.aliases.keys() == {"fast", "best", "shared", "frugal"}


def headed(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    return re.split(r"(?m)^(?:\[[a-z_]+[].]|#{2,3} )", text.split(heading, 1)[1])[0]


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_setting_is_in_the_example(section: str, key: str) -> None:
    heading = TABLES.get(section, f"[{section}]")
    assert re.search(rf"(?m)^{key} = ", headed(WHOLE, f"\n{heading}")) or f"\n[{section}.{key}]" in WHOLE


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_setting_is_in_the_guide(section: str, key: str) -> None:
    heading = f"### `{NAMED.get(section, f'[{section}]')}`"
    assert re.search(rf"(?m)^\| .*`{key}`.* \|", headed(GUIDE, heading))


def test_every_section_is_documented() -> None:
    assert {section for section, _ in KEYS} == set(Config.__struct_fields__) - {"aliases"}
    assert "\n[aliases]" in EXAMPLE
    assert "### `[aliases]`" in GUIDE


@pytest.mark.parametrize("line", [line for line in EXAMPLE.splitlines() if " = " in line])
def test_no_line_of_the_example_is_too_long(line: str) -> None:
    assert len(line) <= 120

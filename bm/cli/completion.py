"""What shell completion offers: accounts, providers, models, tools, settings and their values, as this home has them.

Completion must be fast and must never fail. So files are read as plain TOML, without their rules, and what cannot be
read offers nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from bm.config.keys import Key


def accounts(incomplete: str) -> list[str]:
    """Names of the stored accounts."""
    from bm.cli import admin

    rows = _content(admin.here().accounts).get("accounts", [])
    return _beginning((row["name"] for row in rows if isinstance(row, dict) and "name" in row), incomplete)


def keys(incomplete: str) -> list[str]:
    """Names of the keys of clients."""
    from bm.cli import admin

    rows = _content(admin.here().keys).get("keys", [])
    return _beginning((row["name"] for row in rows if isinstance(row, dict) and "name" in row), incomplete)


def providers(incomplete: str) -> list[str]:
    """Names of the providers in the catalog and in the configuration."""
    from bm.providers.catalog import CATALOG

    return _beginning([*CATALOG, *_named("providers")], incomplete)


def accounts_and_providers(incomplete: str) -> list[str]:
    """What `bm test` takes."""
    return sorted({*accounts(incomplete), *providers(incomplete)})


def models(incomplete: str) -> list[str]:
    """Aliases, families, and models that bm maps names to: of Gemini, and with their prefix of the other providers.

    No list is read from a provider, which would take too long.
    """
    from bm.providers.catalog import CATALOG

    names = [*_named("aliases"), "opus", "sonnet", "haiku"]
    for row in CATALOG.values():
        own = _named("providers", row.name, "models")
        mapped = {**row.words, **row.models, **own}.values()
        names += [each if row.name in ("gemini", "anthropic") else f"{row.name}:{each}" for each in mapped]
    return _beginning(names, incomplete)


def tools(incomplete: str) -> list[str]:
    """Names of the coding tools that bm configures."""
    from bm.clients.catalog import TOOLS

    return _beginning((tool.name for tool in TOOLS), incomplete)


def commands(ctx: typer.Context, incomplete: str) -> list[str]:
    """What `bm help` takes: commands below those that are typed already."""
    found: Any = ctx.find_root().command
    for word in ctx.params.get("words") or ():
        found = getattr(found, "commands", {}).get(word)
    return _beginning(getattr(found, "commands", {}), incomplete)


def settings(incomplete: str) -> list[str]:
    """Keys of the configuration, such as `server.port`; a table ends in a dot."""
    from bm.config.keys import dotted
    from bm.config.validation import is_table, kind_of, members

    section = incomplete.rpartition(".")[0]
    key = tuple(section.split(".")) if section else ()
    kind = kind_of(key)
    if kind is None:
        return []
    found = []
    for name in dict.fromkeys((*members(kind), *_named(*key))):
        below = kind_of((*key, name))
        found.append(dotted((*key, name)) + ("." if below is not None and is_table(below) else ""))
    return _beginning(found, incomplete)


def values(ctx: typer.Context, incomplete: str) -> list[str]:
    """Values that the setting of `bm config set` may have, if these are few or names that bm knows."""
    from bm.config.keys import split
    from bm.config.validation import choices, kind_of, wanted, without_none
    from bm.errors import ConfigError

    try:
        key: Key = split(str(ctx.params.get("key") or ""))
    except ConfigError:
        return []
    if key[0] == "aliases" or "models" in key[:-1]:
        return models(incomplete)
    found = kind_of(key)
    kind = without_none(found) if found is not None else None
    if kind is None:
        return []
    words = ["true", "false"] if wanted(kind) == "true or false" else choices(kind)
    if key[-1] == "api_key":
        words = ["env:", "file:", "cmd:", "keyring:"]
    return _beginning(words, incomplete)


def _named(*section: str) -> dict[str, Any]:
    """A table of config.toml; empty if there is none."""
    from bm.cli import admin

    found: Any = _content(admin.here().config)
    for name in section:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _content(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})

"""Names that shell completion offers: accounts, providers, tools and settings of this home.

Completion must be fast and must never fail: what cannot be read offers nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable


def accounts(incomplete: str) -> list[str]:
    """Names of the stored accounts."""
    from bm.accounts.credentials import load
    from bm.cli import admin
    from bm.errors import BmError

    try:
        stored = load(admin.here().accounts)
    except (BmError, OSError):
        return []
    return _beginning((account.name for account in stored.accounts), incomplete)


def providers(incomplete: str) -> list[str]:
    """Names of the providers in the catalog and in the configuration."""
    import os

    from bm.cli import admin
    from bm.config.load import load
    from bm.errors import BmError
    from bm.providers.catalog import CATALOG, KNOWN

    names = list(CATALOG)
    with contextlib.suppress(BmError, OSError):
        names += load(admin.here().config, os.environ, known=KNOWN).config.providers
    return _beginning(names, incomplete)


def accounts_and_providers(incomplete: str) -> list[str]:
    """What `bm test` takes."""
    return sorted({*accounts(incomplete), *providers(incomplete)})


def models(incomplete: str) -> list[str]:
    """Aliases, families, and models that bm maps names to: of Gemini, and with their prefix of the other providers.

    No list is read from a provider, which would take too long.
    """
    import os

    from bm.cli import admin
    from bm.config.load import load
    from bm.config.schema import Config
    from bm.errors import BmError
    from bm.providers.catalog import KNOWN
    from bm.providers.provider import effective
    from bm.providers.resolve import FAMILIES

    config = Config()
    with contextlib.suppress(BmError, OSError):
        config = load(admin.here().config, os.environ, known=KNOWN).config
    names = [*config.aliases, *FAMILIES]
    for provider in effective(config):
        names += [each if provider.pool else f"{provider.name}:{each}" for each in provider.models.values()]
    return _beginning(names, incomplete)


def tools(incomplete: str) -> list[str]:
    """Names of the coding tools that bm configures."""
    from bm.clients.catalog import TOOLS

    return _beginning((tool.name for tool in TOOLS), incomplete)


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
    for name in members(kind):
        below = kind_of((*key, name))
        found.append(dotted((*key, name)) + ("." if below is not None and is_table(below) else ""))
    return _beginning(found, incomplete)


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})

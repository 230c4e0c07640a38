"""Change the files, then have a running daemon take the change over."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bm.cli import admin, render

if TYPE_CHECKING:
    from bm.accounts.credentials import Credentials
    from bm.config.edit import Value
    from bm.config.paths import Paths


def settings(paths: Paths, values: Mapping[str, Value]) -> None:
    """Write settings (dotted key to value) to config.toml.

    Raises:
        ConfigError: the file cannot be changed so.
        DaemonError: the running daemon does not take it.
    """
    from bm.config.edit import set_values
    from bm.providers.catalog import KNOWN

    set_values(paths.config, values, known=KNOWN)
    warn_of_environment(paths, tuple(values))
    admin.reload(paths)


def credentials(paths: Paths, change: Callable[[Credentials], Credentials]) -> None:
    """Change accounts.toml.

    Raises:
        AccountError: the file cannot be changed so.
        DaemonError: the running daemon does not take it.
    """
    from bm.accounts.credentials import update

    update(paths.accounts, change)
    admin.reload(paths)


def warn_of_environment(paths: Paths, keys: tuple[str, ...]) -> None:
    """Say so where an environment variable outweighs what was just written."""
    from bm.config.load import load
    from bm.errors import ConfigError
    from bm.providers.catalog import KNOWN

    try:
        sources = load(paths.config, os.environ, known=KNOWN).sources
    except ConfigError:
        return
    for key in keys:
        if variable := sources.get(key):
            render.note(f"note: the environment variable {variable} outweighs {key} where it is set")

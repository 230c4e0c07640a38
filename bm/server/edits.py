"""Changes of the user's files by the daemon, for its page: written as the commands of `bm` do, then reloaded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from bm.accounts.credentials import Credentials
from bm.config.edit import Value, set_values, unset
from bm.config.paths import Paths
from bm.config.secrets import is_reference
from bm.errors import ConfigError, Failure, RequestError
from bm.providers.catalog import KNOWN
from bm.server.reload import Reloader

T = TypeVar("T")


class Edits:
    """Writes config.toml and the accounts."""

    def __init__(self, paths: Paths, reloader: Reloader) -> None:
        self._paths, self._reloader = paths, reloader

    async def settings(self, values: Mapping[str, Value]) -> str | None:
        """Set settings by their dotted keys. Returns why the daemon keeps its old settings, if it does.

        Raises:
            ConfigError: the file cannot be changed that way.
        """
        await self._written(lambda: set_values(self._paths.config, values, known=KNOWN))
        return await self._reloader.reload()

    async def unset(self, key: str) -> tuple[bool, str | None]:
        """Remove a setting or table. Returns whether it was there, and why the daemon keeps its old settings.

        Raises:
            ConfigError: the file cannot be changed that way.
        """
        removed = await self._written(lambda: unset(self._paths.config, key, known=KNOWN))
        return removed, await self._reloader.reload()

    def stored(self) -> Credentials:
        """The stored accounts. Blocks.

        Raises:
            AccountError: they cannot be read.
        """
        return self._reloader.vault.accounts.load()

    async def accounts(self, change: Callable[[Credentials], Credentials]) -> None:
        """Change the stored accounts.

        Raises:
            AccountError: they cannot be changed that way.
            RequestError: the daemon does not accept the files.
        """
        await asyncio.to_thread(self._reloader.vault.accounts.update, change)
        if (problem := await self._reloader.reload()) is not None:
            message = f"saved, but the daemon keeps its old settings: {problem}"
            raise RequestError(Failure(kind="bad_request", message=message, status=409))

    async def _written(self, write: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(write)
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", path=str(self._paths.config)) from error


def refuse_reference(key: str) -> None:
    """Refuse a reference to a key: what reads a file or runs a command is not for a browser to say.

    Raises:
        RequestError: it is one.
    """
    if is_reference(key):
        message = "give the key itself; a reference such as env:NAME or cmd:COMMAND is set in a terminal"
        raise RequestError(Failure(kind="bad_request", message=message))

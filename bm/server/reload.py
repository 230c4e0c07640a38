"""Reloads the configuration, the accounts and the keys when they change."""

from __future__ import annotations

import asyncio
import logging
import time

from bm.config.files import stamp
from bm.config.paths import Paths
from bm.errors import BmError
from bm.gateway.allowance import catch_up
from bm.gateway.services import Services
from bm.gateway.settings import Settings, prepare, read_settings
from bm.vault.vault import Vault

INTERVAL = 0.5
"""Seconds between checks of the files."""

SETTLE = 0.2
"""Seconds for which a changed file must stay unchanged before it is read: some editors empty it before writing."""

MOST_READS = 10
"""Attempts to read files that change meanwhile."""

_log = logging.getLogger("bm")


class Reloader:
    """Watches the files of the user, the hook included. Invalid ones are not used; `error` is the reason."""

    def __init__(self, paths: Paths, services: Services) -> None:
        self._paths, self._services = paths, services
        self._stamps = self._look()
        self._lock = asyncio.Lock()
        self.error: str | None = None
        self.loaded_at = time.time()

    def _look(self) -> tuple[object, ...]:
        settings = self._services.settings
        files = (path for path in (self._paths.config, settings.hook_file) if path is not None)
        return (*map(stamp, files), settings.vault.stamp())

    @property
    def vault(self) -> Vault:
        """Where the accounts and keys are."""
        return self._services.settings.vault

    async def watch(self) -> None:
        """Reload whenever a file has changed, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            if (seen := self._look()) != self._stamps:
                await asyncio.sleep(SETTLE)
                if self._look() == seen:
                    await self.reload()

    async def reload(self) -> str | None:
        """Read the files again. Returns the reason if they are invalid and the old settings stay in force."""
        async with self._lock:
            try:
                settings = await self._read()
            except (BmError, ValueError, RecursionError, OSError) as error:
                # Whatever a file holds, the next edit is read.
                self.error = str(error) or type(error).__name__
                _log.error("the changed files are invalid, the old settings stay in force: %s", error)
                return self.error
            self.error = None
            self.loaded_at = time.time()
            self._services.apply(settings)
            await catch_up(self._services, self._services.ledger_in(self._paths))
            _log.info("the changed files are in use")
            for warning in settings.warnings:
                _log.warning("%s", warning)
            return None

    async def _read(self) -> Settings:
        """Read the files until they did not change meanwhile.

        Raises:
            BmError: they are invalid.
        """
        reads = 0
        while True:
            self._stamps = self._look()
            reads += 1
            try:
                # A key may come from a command, which must not block requests.
                settings = await asyncio.to_thread(_read, self._paths, self._services.settings.vault)
            except BmError:
                if self._settled(reads):
                    raise
            else:
                if self._settled(reads):
                    return settings
            await asyncio.sleep(SETTLE)

    def _settled(self, reads: int) -> bool:
        """Whether to accept what was read last."""
        return reads >= MOST_READS or self._look() == self._stamps


def _read(paths: Paths, held: Vault) -> Settings:
    """Read the files, and load what they name.

    Raises:
        BmError: they are invalid.
    """
    settings = read_settings(paths, held=held)
    prepare(settings)
    return settings

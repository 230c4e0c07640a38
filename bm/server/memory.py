"""Keeps what the pool has learnt on disk, so that a restart forgets no cooldown."""

from __future__ import annotations

import asyncio
import logging
import time

from bm.accounts.memory import encoded, restore, save, state_path
from bm.config.paths import Paths
from bm.gateway.engine import Engine

INTERVAL = 5.0
"""Seconds between two writes; a `kill -9` loses no more than that."""

_log = logging.getLogger("bm")


class Memory:
    """state.json of one daemon. A disk that is full costs the memory, never a request."""

    def __init__(self, paths: Paths, engine: Engine) -> None:
        self._path, self._engine = state_path(paths), engine
        self._served = 0

    def recall(self) -> None:
        """Take over what the last run knew."""
        engine = self._engine
        warning = restore(engine.pool, engine.affinities, self._path, now=time.monotonic(), wall=time.time())
        if warning:
            _log.warning("%s", warning)

    async def keep(self) -> None:
        """Write whenever requests were served, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            if self._served != self._engine.total:
                await self.write()

    async def write(self) -> None:
        """Write now; the disk is waited for in another thread."""
        engine = self._engine
        self._served = engine.total
        content = encoded(engine.pool, engine.affinities, now=time.monotonic(), wall=time.time())
        try:
            await asyncio.to_thread(save, content, self._path)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._path, error.strerror)

"""Keeps on disk what a restart should not forget: cooldowns, conversations' accounts, signatures, facts of models."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bm.accounts.state_file import encoded, restore, save, state_path
from bm.config.paths import Paths
from bm.gateway.learned import ContextLimit
from bm.gateway.services import Services
from bm.gateway.stores import Kept

INTERVAL = 5.0
"""Seconds between two writes; a `kill -9` loses no more than that."""

_log = logging.getLogger("bm")


class SavedModels(msgspec.Struct, frozen=True):
    """Facts learned about models."""

    token_calibration: dict[str, float] = {}
    context_limits: tuple[ContextLimit, ...] = ()


class Memory:
    """The files of one daemon beside its ledger. A disk that is full costs the memory, never a request."""

    def __init__(self, paths: Paths, services: Services) -> None:
        self._path, self._services = state_path(paths), services
        self._signatures = signatures_path(paths)
        self._models = paths.ledger.with_name("models.json")
        self._written = (0, 0)

    def recall(self) -> None:
        """Take over what the last run knew."""
        services = self._services
        warning = restore(services.pool, services.affinities, self._path, now=time.monotonic(), wall=time.time())
        if warning:
            _log.warning("%s", warning)
        try:
            services.signatures.restore(read_signatures(self._signatures))
        except OSError as error:
            _unwritten(self._signatures, error, "read")
        try:
            saved = _read_models(self._models)
        except OSError as error:
            _unwritten(self._models, error, "read")
            return
        services.calibration.restore(saved.token_calibration)
        providers = services.settings.providers.values()
        services.context_limits.restore(saved.context_limits, providers, wall=time.time())

    async def keep(self) -> None:
        """Write while and whenever requests are served, for ever."""
        while True:
            await asyncio.sleep(INTERVAL)
            # Requests under way have outcomes too: they may be as long as a day is.
            if self._services.calls.active or self._written != self._done():
                await self.write()

    def _done(self) -> tuple[int, int]:
        return self._services.calls.total, self._services.calls.active

    async def write(self) -> None:
        """Write now; the disk is waited for in another thread."""
        services = self._services
        self._written = self._done()
        await _save(encoded(services.pool, services.affinities, now=time.monotonic(), wall=time.time()), self._path)
        await self._write_signatures()
        models = SavedModels(services.calibration.saved(), services.context_limits.saved())
        if models != SavedModels():
            await _save(msgspec.json.encode(models), self._models)

    async def _write_signatures(self) -> None:
        store, path = self._services.signatures, self._signatures
        new = store.take_new()
        if not new:
            return
        try:
            size = await asyncio.to_thread(append_signatures, path, new)
            if size > MAX_BYTES:
                await asyncio.to_thread(rewrite_signatures, path, store.latest(MAX_BYTES // 2))
        except OSError as error:
            _unwritten(path, error, "written")


async def _save(content: bytes, path: Path) -> None:
    """Replace a file; what cannot be written is told in the log."""
    try:
        await asyncio.to_thread(save, content, path)
    except OSError as error:
        _unwritten(path, error, "written")


def _read_models(path: Path) -> SavedModels:
    """What the file holds; nothing where it was never written or is damaged.

    Raises:
        OSError: it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedModels)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return SavedModels()


def _unwritten(path: Path, error: OSError, what: str) -> None:
    _log.warning("%s cannot be %s: %s", path, what, error.strerror)


MAX_BYTES = 16 * 1024 * 1024
"""A call of Gemini's signs a kilobyte or two: this is some thousand calls."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Kept).decode


def signatures_path(paths: Paths) -> Path:
    """Where the file is: beside the ledger."""
    return paths.ledger.with_name("signatures.jsonl")


def read_signatures(path: Path) -> Iterator[Kept]:
    """What the file holds, the oldest first; a line that a crash cut short is passed over.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue


def append_signatures(path: Path, kept: Iterable[Kept]) -> int:
    """Add signatures; gives the size of the file in bytes.

    Raises:
        OSError: it cannot be written.
    """
    lines = b"".join(_encode(each) + b"\n" for each in kept)
    if not path.exists():
        save(lines, path)
        return len(lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(descriptor, "ab") as file:
        file.write(lines)
        return file.tell()


def rewrite_signatures(path: Path, kept: Iterable[Kept]) -> None:
    """Hold these and no others.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    save(b"".join(_encode(each) + b"\n" for each in kept), path)

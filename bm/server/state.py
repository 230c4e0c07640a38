"""Saves state over a restart: cooldowns, affinity, budgets, thinking signatures, and facts learned about models."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bm.accounts.state_file import encoded, restore, save, state_path
from bm.config.paths import Paths
from bm.errors import UNREADABLE
from bm.gateway.learned import ContextLimit, LearnedRemedy
from bm.gateway.services import Services
from bm.gateway.stores import Kept
from bm.keys.spending import Saved
from bm.tasks import note

INTERVAL = 5.0
"""Seconds between two writes: the most a `kill -9` loses."""

SIGNATURES_BYTES = 16 * 1024 * 1024
"""The size of signatures.jsonl above which it is rewritten. A signed call of Gemini takes one or two kilobytes."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Kept).decode
_log = logging.getLogger("bm")


class SavedModels(msgspec.Struct, frozen=True):
    """Facts learned about models."""

    token_calibration: dict[str, float] = {}
    context_limits: tuple[ContextLimit, ...] = ()
    remedies: tuple[LearnedRemedy, ...] = ()


class SavedState:
    """The state files of one daemon, next to its ledger. A file that cannot be written fails no request."""

    def __init__(self, paths: Paths, services: Services) -> None:
        self._path, self._services = state_path(paths), services
        self._signatures = signatures_path(paths)
        self._models = models_path(paths)
        self._budgets = paths.ledger.with_name("budgets.json")
        self._written = (0, 0)
        self._saving: asyncio.Task[None] | None = None

    def restore(self) -> None:
        """Restore what earlier runs have saved. What cannot be used is kept beside the new files, and reported."""
        services = self._services
        now, wall = time.monotonic(), time.time()
        _set_aside(self._path, restore(services.pool, services.affinities, self._path, now=now, wall=wall))
        _set_aside(self._models, restore_models(self._models, services))
        _set_aside(self._budgets, restore_budgets(self._budgets, services))
        try:
            kept, torn = read_signatures(self._signatures)
            services.signatures.restore(kept)
            if torn:
                words = f"{self._signatures}: {torn} lines cannot be read; their signatures are lost"
                _log.warning("%s", words)
                note(self._signatures.name, words)
                rewrite_signatures(self._signatures, kept)
        except OSError as error:
            _warn(self._signatures, "read", error)

    async def keep_saving(self) -> None:
        """Save regularly while requests are served, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            # A request in progress has outcomes too, and may take very long.
            if self._services.calls.active or self._written != self._counts():
                await self.save()

    def _counts(self) -> tuple[int, int]:
        return self._services.calls.total, self._services.calls.active

    async def save(self) -> None:
        """Save now, writing in another thread. A save whose caller was cancelled ends before the next one begins."""
        while self._saving is not None and not self._saving.done():
            await asyncio.wait({self._saving})
        self._saving = asyncio.get_running_loop().create_task(self._save())
        await asyncio.shield(self._saving)

    async def _save(self) -> None:
        services = self._services
        self._written = self._counts()
        await _replace(encoded(services.pool, services.affinities, now=time.monotonic(), wall=time.time()), self._path)
        await self._save_signatures()
        await save_models(self._models, services)
        await save_budgets(self._budgets, services)

    async def _save_signatures(self) -> None:
        store, path = self._services.signatures, self._signatures
        new = store.take_new()
        if not new:
            return
        try:
            size = await asyncio.to_thread(append_signatures, path, new)
            if size > SIGNATURES_BYTES:
                await asyncio.to_thread(rewrite_signatures, path, store.latest(SIGNATURES_BYTES // 2))
        except OSError as error:
            _warn(path, "written", error)


async def _replace(content: bytes, path: Path) -> None:
    try:
        await asyncio.to_thread(save, content, path)
    except OSError as error:
        _warn(path, "written", error)


def _warn(path: Path, what: str, error: OSError) -> None:
    _log.warning("%s cannot be %s: %s", path, what, error.strerror)


def _set_aside(path: Path, problem: str) -> None:
    """Report a problem with a file, if there is one, and rename the file: a new one is written in its place."""
    if not problem:
        return
    aside = path.with_name(f"{path.name}.damaged")
    with contextlib.suppress(OSError):
        path.replace(aside)
        problem = f"{problem}; the file is kept as {aside.name}"
    _log.warning("%s", problem)
    note(path.name, problem)


def models_path(paths: Paths) -> Path:
    """The path of models.json, next to the ledger."""
    return paths.ledger.with_name("models.json")


def restore_models(path: Path, services: Services) -> str:
    """Restore what is learned about models. Returns a warning, empty without one. Blocks."""
    try:
        saved = _read_models(path)
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); what was learned about models is lost"
    except UNREADABLE:
        return f"{path}: is not valid; what was learned about models is lost"
    restore_learned(services, saved)
    return ""


def restore_learned(services: Services, learned: SavedModels) -> None:
    """Take over what another run has learned about models."""
    services.calibration.restore(learned.token_calibration)
    providers = services.settings.providers.values()
    services.context_limits.restore(learned.context_limits, providers, wall=time.time())
    services.remedies.restore(learned.remedies, providers, wall=time.time())


def learned_models(services: Services) -> SavedModels:
    """What is learned about models."""
    return SavedModels(services.calibration.saved(), services.context_limits.saved(), services.remedies.saved())


async def save_models(path: Path, services: Services) -> None:
    """Save what is learned about models, writing in another thread."""
    models = learned_models(services)
    if models != SavedModels() or await asyncio.to_thread(path.exists):
        await _replace(msgspec.json.encode(models), path)


def _read_models(path: Path) -> SavedModels:
    """The content of models.json; empty if it is missing.

    Raises:
        OSError: it cannot be read.
        DecodeError: it is damaged.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=SavedModels)
    except FileNotFoundError:
        return SavedModels()


def restore_budgets(path: Path, services: Services) -> str:
    """Begin budgets with what was saved of them. Returns a warning, empty without one. Blocks."""
    try:
        services.spending.recall(msgspec.json.decode(path.read_bytes(), type=list[Saved]))
    except FileNotFoundError:
        pass
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror}); the ledger knows what was spent"
    except UNREADABLE:
        return f"{path}: is not valid; the ledger knows what was spent"
    return ""


async def save_budgets(path: Path, services: Services) -> None:
    """Save what was spent, which the ledger has too, for a start at which its database is away."""
    if services.spending.active or await asyncio.to_thread(path.exists):
        await _replace(msgspec.json.encode(services.spending.saved(time.time())), path)


def signatures_path(paths: Paths) -> Path:
    """The path of signatures.jsonl, next to the ledger."""
    return paths.ledger.with_name("signatures.jsonl")


def read_signatures(path: Path) -> tuple[list[Kept], int]:
    """The saved signatures, oldest first, and how many lines cannot be read, as a crash cuts lines off.

    Raises:
        OSError: the file cannot be read.
    """
    kept: list[Kept] = []
    torn = 0
    lines = path.read_bytes().splitlines() if path.exists() else []
    for line in lines:
        try:
            kept.append(_decode(line))
        except UNREADABLE:
            torn += 1
    return kept, torn


def append_signatures(path: Path, kept: Iterable[Kept]) -> int:
    """Append signatures; returns the size of the file in bytes.

    Raises:
        OSError: the file cannot be written.
    """
    lines = _lines(kept)
    if not path.exists():
        save(lines, path)
        return len(lines)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    with os.fdopen(descriptor, "r+b") as file:
        if file.seek(0, os.SEEK_END) and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
            # A crash cut the last line off.
            lines = b"\n" + lines
        file.write(lines)
        file.flush()
        return file.seek(0, os.SEEK_END)


def rewrite_signatures(path: Path, kept: Iterable[Kept]) -> None:
    """Replace the saved signatures.

    Raises:
        OSError: the file cannot be written; it is unchanged.
    """
    save(_lines(kept), path)


def _lines(kept: Iterable[Kept]) -> bytes:
    return b"".join(_encode(each) + b"\n" for each in kept)

"""The store that the nodes of a team share, as one node sees it: its commands, and whether it is away.

A command that cannot be answered makes the store *away*: further ones fail at once with `StoreAway`, so nothing waits
for it, and `keep` looks for it until it is back.

All keys of a team have one hash tag, `bm:{NAME}:…`, so a cluster keeps them together and scripts may use several.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from hashlib import sha1, sha256
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.exceptions import NoScriptError

from bm.config.schema import Shared
from bm.config.shared import read_store
from bm.errors import BmError, ConfigError
from bm.shared.client import (
    FAILURES,
    LIMIT,
    Command,
    Lines,
    Word,
    close,
    connect,
    explained,
    is_disturbance,
    is_temporary,
)
from bm.tasks import note

FORMAT: Final = 1
"""The version of what bm writes into the store. A newer one is not touched."""

OLDEST: Final = (6, 2)
"""The oldest version of Redis with all commands used here (XADD MINID, XTRIM MINID)."""

START: Final = 5.0
"""Seconds in which the store must answer at the start of bm."""

AT_ONCE: Final = 16
"""Commands under way at once: each takes a connection."""

FOLLOW: Final = 1.0
"""Seconds that a read of a stream waits for an entry."""

PAGE: Final = 1_000
"""Entries of a stream that are read at once."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 2.0
"""Seconds between two looks for a store that is away."""

_NOTE: Final = "the shared store"
_log = logging.getLogger("bm")


class StoreAway(BmError):
    """The store cannot be asked now."""


class Script(msgspec.Struct, frozen=True):
    """A Lua script that the store runs as one step. Make it once, as a constant."""

    text: str

    def command(self, keys: Sequence[str], arguments: Sequence[Word] = ()) -> Command:
        """The command that runs it, whether or not the store knows it. `keys` are all keys that it touches."""
        return ("EVAL", self.text, len(keys), *keys, *arguments)


class Store:
    """The store of `[shared]`. `back` are called, in order, each time it can be used again, not at the start."""

    def __init__(self, settings: Shared, *, limit: float = LIMIT) -> None:
        self.name = settings.name
        self._address, self._limit = read_store(settings.url), limit
        self._client = connect(self._address, limit=limit)
        self._lines = Lines(self._client)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._reason = self.remedy = ""
        self._since = 0.0
        self._left, self._here = asyncio.Event(), asyncio.Event()
        self._here.set()
        self.version = ""
        self.back: list[Callable[[], Awaitable[None]]] = []

    @property
    def is_away(self) -> bool:
        """Whether commands fail at once."""
        return bool(self._reason)

    @property
    def away(self) -> tuple[str, float] | None:
        """Why the store is away, and the Unix time since when; None if it is not."""
        return (self._reason, self._since) if self._reason else None

    def key(self, *parts: str) -> str:
        """A key of this team."""
        return ":".join((f"bm:{{{self.name}}}", *parts))

    async def open(self) -> None:
        """Look whether the store can be used, and wait a little for one that is just starting.

        Raises:
            ConfigError: it cannot be used.
        """
        for _, path in self._address.files:
            try:
                await asyncio.to_thread(Path(path).read_bytes)
            except OSError as error:
                raise _unusable(f"{path} cannot be read: {error.strerror}", "correct its path") from None
        limit = time.monotonic() + START
        while True:
            try:
                async with asyncio.timeout(self._limit):
                    await self._check()
                    await self._warn_of_eviction()
                return
            except FAILURES as error:
                if not is_temporary(error) or time.monotonic() > limit:
                    raise _unusable(*explained(error), passes=is_temporary(error)) from None
            await asyncio.sleep(_FIRST_PAUSE)

    async def close(self) -> None:
        """Close all connections. From then on the store is away."""
        self._reason = self._reason or "this node has left"
        self._here.clear()
        await close(self._client)

    async def command(self, *words: Word) -> Any:
        """Send a command, and give redis-py's form of its result, with bytes for texts.

        Raises:
            StoreAway: the store cannot be asked now.
            RedisError: the command is wrong.
        """
        async with self._slots:
            if self.is_away:
                raise StoreAway(self._reason)
            try:
                async with asyncio.timeout(self._limit):
                    return await self._client.execute_command(*words)
            except FAILURES as error:
                if is_disturbance(error):
                    raise self._gone(error) from None
                raise

    async def batch(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together, in order. What one of them fails with is its result.

        Raises:
            StoreAway: the store cannot be asked now. Some may have had their effect nevertheless.
        """
        async with self._slots:
            return await self._together(commands)

    async def _together(self, commands: Sequence[Command]) -> list[Any]:
        if self.is_away:
            raise StoreAway(self._reason)
        try:
            async with asyncio.timeout(self._limit):
                results = await self._exchange(commands)
        except FAILURES as error:
            raise self._gone(error) from None
        for result in results:
            if isinstance(result, Exception) and is_disturbance(result):
                raise self._gone(result)
        return results

    async def _exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together. A script that the store may know is named by its digest."""
        if self._address.form == "cluster":
            # redis-py sends no digests together there.
            return await self._lines.exchange(commands)
        results = await self._lines.exchange([_named(words) for words in commands])
        unknown = [at for at, result in enumerate(results) if isinstance(result, NoScriptError)]
        if unknown:
            # The first of a script makes the store know it.
            again = await self._lines.exchange([commands[at] for at in unknown])
            for at, result in zip(unknown, again, strict=True):
                results[at] = result
        return results

    async def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Word] = ()) -> Any:
        """Run a script. `keys` are all keys that it touches.

        Raises:
            StoreAway: the store cannot be asked now. The script may have run nevertheless.
            RedisError: the script has failed.
        """
        (result,) = await self.batch([script.command(keys, arguments)])
        if isinstance(result, Exception):
            raise result
        return result

    async def get(self, key: str) -> bytes | None:
        """A value, unless it has expired or never was.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        found: bytes | None = await self.command("GET", key)
        return found

    async def append(self, key: str, value: bytes) -> str:
        """Append to a stream. Gives the id of the entry.

        Raises:
            StoreAway: the store cannot be asked now. The value may have been appended nevertheless.
        """
        id: bytes = await self.command("XADD", key, "*", "v", value)
        return id.decode()

    async def read(self, key: str, after: str = "0-0", count: int = PAGE) -> list[tuple[str, bytes]]:
        """The entries of a stream after the one with this id, the oldest first: ids and values.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        return _entries(await self.command("XRANGE", key, f"({after}", "+", "COUNT", count))

    async def follow(self, key: str, after: str) -> list[tuple[str, bytes]]:
        """The entries of a stream after the one with this id. Waits some time for the first.

        Raises:
            StoreAway: the store cannot be asked now.
        """
        if self.is_away:
            raise StoreAway(self._reason)
        words = ("XREAD", "COUNT", PAGE, "BLOCK", int(FOLLOW * 1000), "STREAMS", key, after)
        try:
            async with asyncio.timeout(self._limit + FOLLOW):
                found = await self._client.execute_command(*words)
        except FAILURES as error:
            raise self._gone(error) from None
        return _entries(found[0][1]) if found else []

    async def until_here(self) -> None:
        """Wait until the store is not away."""
        await self._here.wait()

    def _gone(self, error: Exception) -> StoreAway:
        """What a command fails with that has found the store away."""
        self.leave(*explained(error))
        return StoreAway(self._reason)

    def leave(self, reason: str, remedy: str) -> None:
        """The store is away."""
        if self.is_away:
            return
        self._reason, self.remedy = reason, remedy
        self._since = time.time()
        self._left.set()
        self._here.clear()
        words = f"{reason}; this node goes on alone and shares again when it is back ({remedy})"
        _log.warning("%s", words)
        note(_NOTE, words)

    async def keep(self) -> None:
        """Look for the store whenever it is away, until cancelled."""
        while True:
            await self._left.wait()
            pause = _FIRST_PAUSE
            while self.is_away:
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))
                pause = min(pause * 2, _LONGEST_PAUSE)
                await self._return()
            self._left.clear()

    async def _return(self) -> None:
        """Use the store again, if it can be."""
        try:
            async with asyncio.timeout(self._limit):
                await self._check()
        except FAILURES as error:
            self._reason = explained(error)[0]
            return
        except ConfigError as error:
            self._reason = error.message
            return
        self._reason = ""
        self._here.set()
        try:
            for back in self.back:
                await back()
        except StoreAway:
            return
        _log.info("the store is back after %.1f s", time.time() - self._since)
        note(_NOTE, "")

    async def _check(self) -> None:
        """Look whether the store can be used, by any way that the checks themselves need.

        Raises:
            ConfigError: it cannot, and only a person can change that.
            RedisError, OSError: it cannot.
        """
        self.version = await self._version()
        key = self.key("format")
        await self._client.execute_command("SET", key, FORMAT, "NX")
        found: bytes | None = await self._client.execute_command("GET", key)
        if not (found or b"").isdigit():
            raise _unusable(f"the key {key} holds something else", "choose another shared.name")
        if int(found or b"0") > FORMAT:
            message = f"a newer bm has written into the store (format {int(found or b'0')}, this one knows {FORMAT})"
            raise _unusable(message, "upgrade bm on this node, or choose another shared.name")

    async def _version(self) -> str:
        facts = await self._client.info("server")
        if self._address.form == "cluster":
            # One answer for each server.
            facts = next(iter(facts.values())) if "redis_version" not in facts else facts
        compatible = str(facts.get("redis_version", "0"))
        if tuple(int(part) for part in compatible.split(".")[:2] if part.isdecimal()) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            message = f"the store is Redis {compatible}, which is too old"
            raise _unusable(message, f"upgrade it to Redis {oldest}, Valkey 7.2, or newer")
        valkey = facts.get("valkey_version")
        return f"Valkey {valkey}" if valkey else f"Redis {compatible}"

    async def _warn_of_eviction(self) -> None:
        """Say that the store may drop what nodes share, and in `bm status`."""
        facts = await self._client.info("memory")
        facts = next(iter(facts.values())) if "maxmemory" not in facts else facts
        policy = str(facts.get("maxmemory_policy", ""))
        if facts.get("maxmemory") and policy.startswith("allkeys"):
            words = (
                f"the shared store drops any key when it is full: set its maxmemory-policy to noeviction, not {policy}"
            )
            _log.warning("%s", words)
            note("the policy of the shared store", words)


def _named(words: Command) -> Command:
    """A command, with the digest of a script in place of its text."""
    return ("EVALSHA", _digest(words[1]), *words[2:]) if words[0] == "EVAL" else words


@cache
def _digest(script: str) -> str:
    """How the store names a script."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def digest(text: str) -> str:
    """A short name that stands for a text of any length and content, for keys."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def milliseconds(seconds: float) -> int:
    """A time in the store's unit, at least 1."""
    return max(1, round(seconds * 1000))


def _entries(found: Any) -> list[tuple[str, bytes]]:
    return [(id.decode(), fields[b"v"]) for id, fields in found]


def _unusable(message: str, remedy: str, *, passes: bool = False) -> ConfigError:
    error = ConfigError(message, key="shared.url", hint=remedy)
    error.passes = passes
    return error


def look(settings: Shared) -> str:
    """What the store is. Blocks.

    Raises:
        ConfigError: it cannot be used.
    """

    async def looked() -> str:
        store = Store(settings)
        try:
            await store.open()
            return store.version
        finally:
            await store.close()

    return asyncio.run(looked())

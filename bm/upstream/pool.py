"""The open connections, kept for reuse per route.

There is no limit on connections in use: a limit makes further streams wait. What is limited is how many are kept idle,
and for how long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final, NamedTuple

from bm.config.proxy import ProxyAddress
from bm.upstream.connection import Connection
from bm.upstream.origin import Origin

IDLE_SECONDS: Final = 60.0
"""How long a connection is kept without a request. Most servers keep theirs for a minute or longer."""

MAX_IDLE: Final = 100
"""Idle connections per route."""

_TURNS: Final = 10
"""Turns that an event loop takes to close a socket, at most."""


class Route(NamedTuple):
    """The way to a server: through which proxy, and with whose certificates trusted. Connections differ by it."""

    origin: Origin
    through: ProxyAddress | None
    ca_bundle: str

    @property
    def asks_proxy(self) -> bool:
        """Whether requests are addressed to an HTTP proxy, instead of sent through a tunnel."""
        return self.through is not None and not self.through.is_socks and not self.origin.is_secure


class Pool:
    """All connections of a client. Of the idle ones, the one used last is reused first: it is most likely alive."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        self._idle: dict[Route, list[Connection]] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def connection(self) -> Connection:
        """A connection that is about to be opened."""
        return Connection(self._open)

    def take(self, route: Route) -> Connection | None:
        """An idle connection, unless there is none that seems alive."""
        idle = self._idle.get(route)
        while idle:
            found = idle.pop()
            if found.is_open:
                return found
        return None

    def give_back(self, connection: Connection, route: Route) -> None:
        """Keep a connection whose exchange has ended, if it can serve another."""
        if not connection.finish():
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle = self._idle.setdefault(route, [])
        idle.append(connection)
        if len(idle) > MAX_IDLE:
            idle.pop(0).abort()
        if self._sweeping is None:
            self._sweeping = loop.call_later(IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        """Close what has been idle for too long, and forget what is gone."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE_SECONDS
        for route, idle in list(self._idle.items()):
            kept = [each for each in idle if each.is_open and each.idle_since > oldest]
            for each in set(idle).difference(kept):
                each.abort()
            if kept:
                self._idle[route] = kept
            else:
                del self._idle[route]
        first = min((idle[0].idle_since for idle in self._idle.values()), default=None)
        self._sweeping = None if first is None else loop.call_at(first + IDLE_SECONDS, self._sweep)

    def drop(self, addresses: Collection[str] | None = None) -> int:
        """Close all connections, or those that leave from the given local addresses. Returns how many there were."""
        found = [each for each in self._open if addresses is None or each.local_address in addresses]
        for each in found:
            each.abort()
        return len(found)

    async def close(self) -> None:
        """Close all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._idle.clear()
        self.drop()
        for _ in range(_TURNS):
            if not self._open:
                break
            await asyncio.sleep(0)

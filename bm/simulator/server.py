"""The simulator as a server, in a thread of a test or in its own process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from bm.simulator.app import App
from bm.simulator.connection import Connection
from bm.simulator.oauth import OAuth
from bm.simulator.request import Record
from bm.simulator.rules import Quota, Rule, Script

T = TypeVar("T")
_POLL = 0.005
_TURNS = 5
"""Turns of the event loop after which a connection that was being accepted is known, and closed."""


async def listen(app: App, host: str, port: int, alive: set[Connection]) -> asyncio.Server:
    """Start to serve `app`. Port 0 takes any free port.

    Raises:
        OSError: the port is taken.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(app, alive, app.gone), host, port)


class Simulator:
    """A running simulator. `with Simulator() as sim:` serves at `sim.url` until the block ends.

    Every method may be called from any thread.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self.host = host
        self.port = port
        self._app = App()
        self._alive: set[Connection] = set()
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="bm-simulator", daemon=True)

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> Self:
        """Start serving. Return once connections are accepted.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def stop(self) -> None:
        """Close all connections and stop the server."""
        if self._loop is not None and self._stopping is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        try:
            server = await listen(self._app, self.host, self.port, self._alive)
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        await self._end(server)

    async def _end(self, server: asyncio.Server) -> None:
        """Close all connections and the server, which would lose one that is just being accepted."""
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_TURNS):
            for connection in list(self._alive):
                connection.abort()
            await asyncio.sleep(0)
        server.close()
        await asyncio.sleep(0)

    def _call(self, function: Callable[[], T]) -> T:
        """Run `function` in the event loop of the server, so that it never sees a partial change."""
        if self._loop is None or not self._thread.is_alive():
            return function()

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def script(
        self,
        *rules: Rule | Mapping[str, Any],
        quotas: Mapping[str, Quota] | None = None,
        keys: tuple[str, ...] | None = None,
        oauth: OAuth | None = None,
        replace: bool = False,
    ) -> None:
        """Add rules, and set quotas by key, the valid keys, and the behaviour of sign-in; see `Rule` and `OAuth`.

        Raises:
            ValueError: a rule given as a mapping has an unknown or wrong field.
        """
        typed = tuple(rule if isinstance(rule, Rule) else msgspec.convert(rule, Rule) for rule in rules)
        script = Script(rules=typed, quotas=dict(quotas) if quotas else None, keys=keys, oauth=oauth, replace=replace)
        self._call(lambda: self._app.apply(script))

    def log(self) -> list[Record]:
        """A copy of the log: all requests since the start or the last reset."""
        return self._call(lambda: [msgspec.structs.replace(record) for record in self._app.records])

    def reset(self) -> None:
        """Remove rules, quotas, keys, caches and the log."""
        self._call(self._app.reset)

    def wait(self, holds: Callable[[list[Record]], bool], seconds: float = 5.0) -> list[Record]:
        """Wait until `holds(log)` is true, and return the log.

        Raises:
            TimeoutError: the condition did not become true in time; the message shows the log.
        """
        limit = time.monotonic() + seconds
        while not holds(log := self.log()):
            if time.monotonic() > limit:
                raise TimeoutError(f"the condition did not become true; the simulator's log: {log}")
            time.sleep(_POLL)
        return log

"""Runs the application on a socket until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from bm.config.paths import Paths
from bm.gateway.capture import Recorder
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.ledger.prices import load as load_prices
from bm.ledger.recordings import folder_of
from bm.ledger.writer import Ledger
from bm.loop import runner
from bm.server.admin import Instance, admin_app
from bm.server.app import App
from bm.server.network import Network
from bm.server.reload import Reloader
from bm.server.state import Memory
from bm.server.tasks import spawn

_log = logging.getLogger("bm")
_PRICES_AFTER = 2.0
"""Seconds from the start until the price data is read: that takes most of a core for a good part of a second."""
_YOUNG = 10_000
"""Objects made and not yet gone before Python looks for circles among them. Its default of 700 is what a few requests
hold while they are served, so that it would look again and again and find nothing."""


def serve(paths: Paths, settings: Settings, sock: socket.socket, instance: Instance) -> None:
    """Answer requests on `sock` until a signal or `/admin/stop`; returns when running streams have ended.

    A first signal lets running answers finish within `[server] drain` seconds, a second one ends them.
    """
    runner().run(_serve(paths, settings, sock, instance))


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would raise the signal again after a clean end."""

    def __init__(self, config: uvicorn.Config, instance: Instance, drain: Callable[[], float]) -> None:
        super().__init__(config)
        self._instance, self._drain = instance, drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end; a second signal of either kind hastens it."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let a first signal begin the end, and a second one hasten it."""
        previous = {name: signal.signal(name, self.handle_exit) for name in _ending()}
        try:
            yield
        finally:
            for name, handler in previous.items():
                signal.signal(name, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._instance.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running answers finish, within the time that is set by now."""
        self.config.timeout_graceful_shutdown = int(self._drain()) or 1
        await super().shutdown(sockets)


def _ending() -> list[signal.Signals]:
    """The signals that ask for the end. A terminal that closes does too, unless the process was told not to care."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


async def _serve(paths: Paths, settings: Settings, sock: socket.socket, instance: Instance) -> None:
    ledger = Ledger(paths.ledger, decisions=settings.config.limits.decisions)
    recorder = Recorder(folder_of(paths))
    services = Services(settings, ledger=ledger, recorder=recorder)
    reloader = Reloader(paths, services)
    stopping = asyncio.Event()
    config = uvicorn.Config(
        app=App(services, admin_app(services, reloader, instance, paths, stopping)),
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        http="auto",
        ws="none",
    )
    server = _Server(config, instance, lambda: services.config.server.drain)
    for warning in settings.warnings:
        _log.warning("%s", warning)
    memory = Memory(paths, services)
    memory.recall()
    ledger.start()
    watchers = [
        spawn(_read_prices(), "the price list"),
        spawn(memory.keep(), "the memory of the pool"),
        spawn(services.models.keep_fresh(), "the reading of model lists"),
        spawn(reloader.watch(), "the watch over the configuration"),
        spawn(Network(services).watch(), "the watch over sleep and network"),
        spawn(_stop_when(stopping, server), "the wait for a stop"),
    ]
    try:
        await server.serve(sockets=[sock])
    finally:
        for watcher in watchers:
            watcher.cancel()
        await memory.write()
        await services.close()
        await asyncio.to_thread(recorder.close)
        await asyncio.to_thread(ledger.stop)


async def _read_prices() -> None:
    """Have the price data at hand before it is needed, but not while the daemon starts.

    What is there by then stays as long as the daemon, so the search for garbage need not go through it.
    """
    await asyncio.sleep(_PRICES_AFTER)
    await asyncio.to_thread(load_prices)
    gc.freeze()
    gc.set_threshold(_YOUNG)


async def _stop_when(stopping: asyncio.Event, server: uvicorn.Server) -> None:
    await stopping.wait()
    server.should_exit = True

"""Run the application on a socket until it is asked to stop."""

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
from bm.server.http import LimitedHttp, raise_file_limit
from bm.server.network import Network
from bm.server.reload import Reloader
from bm.server.state import SavedState
from bm.server.tasks import keep_running, spawn

_log = logging.getLogger("bm")
_PRICES_AFTER = 2.0
"""Seconds after the start until the price data is read, which uses most of a core for most of a second."""
_GC_THRESHOLD = 10_000
"""Allocations between garbage collections of the youngest generation. A few concurrent requests hold more objects than
the default of 700, so collections would be frequent and find nothing."""


def serve(paths: Paths, settings: Settings, sock: socket.socket, instance: Instance) -> None:
    """Serve requests on `sock` until a signal or `/admin/stop`; returns when running streams have ended.

    A first signal lets running responses finish within `[server] drain` seconds, a second one ends them.
    """
    raise_file_limit()
    runner().run(_serve(paths, settings, sock, instance))


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which raises the signal again after a clean shutdown."""

    def __init__(self, config: uvicorn.Config, instance: Instance, drain: Callable[[], float]) -> None:
        super().__init__(config)
        self._instance, self._drain = instance, drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; a second signal forces it."""
        self.force_exit = self.should_exit
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        previous = {name: signal.signal(name, self.handle_exit) for name in _stop_signals()}
        try:
            yield
        finally:
            for name, handler in previous.items():
                signal.signal(name, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and report it."""
        await super().startup(sockets)
        if self.started:
            self._instance.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running responses finish within the configured time."""
        self.config.timeout_graceful_shutdown = int(self._drain()) or 1
        await super().shutdown(sockets)


def _stop_signals() -> list[signal.Signals]:
    """The signals that stop the daemon. SIGHUP, sent by a closing terminal, is one of them unless it is ignored."""
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
        http=LimitedHttp,
        ws="wsproto" if settings.config.server.websocket else "none",
        ws_max_size=settings.config.server.max_body_mb * 1024 * 1024,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_about_more_than_upgrades)
    server = _Server(config, instance, lambda: services.config.server.drain)
    for warning in settings.warnings:
        _log.warning("%s", warning)
    state = SavedState(paths, services)
    state.restore()
    ledger.start()
    watchers = [
        spawn(_read_prices(), "reading prices"),
        keep_running(state.keep_saving, "saving the state"),
        keep_running(services.models.keep_fresh, "reading model lists"),
        keep_running(instance.keep_file, "keeping daemon.json"),
        keep_running(reloader.watch, "watching the configuration"),
        keep_running(Network(services).watch, "watching the network"),
        spawn(_stop_when(stopping, server), "waiting for a stop"),
    ]
    try:
        await server.serve(sockets=[sock])
    finally:
        for watcher in watchers:
            watcher.cancel()
        await state.save()
        await services.close()
        await asyncio.to_thread(recorder.close)
        await asyncio.to_thread(ledger.stop)


def _is_about_more_than_upgrades(record: logging.LogRecord) -> bool:
    """Whether uvicorn reports anything but a request for WebSocket where it is off, which bm answers itself."""
    return not any(words in record.getMessage() for words in ("upgrade request", "WebSocket library"))


async def _read_prices() -> None:
    """Read the price data before it is needed, but not during the start.

    Objects that exist by then live as long as the daemon, so they are excluded from garbage collection.
    """
    await asyncio.sleep(_PRICES_AFTER)
    await asyncio.to_thread(load_prices)
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


async def _stop_when(stopping: asyncio.Event, server: uvicorn.Server) -> None:
    await stopping.wait()
    server.should_exit = True

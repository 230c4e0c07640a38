"""Run the application on a socket until it is asked to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.requests import Request
from starlette.responses import Response

from bm.config.paths import Paths
from bm.config.schema import Server as ServerSettings
from bm.gateway.allowance import catch_up, keep_caught_up
from bm.gateway.capture import Recorder
from bm.gateway.services import Services
from bm.gateway.settings import Settings
from bm.ledger import prices
from bm.ledger.open import writer_of
from bm.ledger.recordings import folder_of
from bm.ledger.writer import Ledger
from bm.loop import runner
from bm.server import descriptors, memory
from bm.server.admin import Instance, admin_app
from bm.server.app import App
from bm.server.asgi import JsonResponse, json_handler
from bm.server.handover import Handover, Place
from bm.server.http import LimitedHttp
from bm.server.network import Network
from bm.server.predecessor import Predecessor
from bm.server.reload import Reloader
from bm.server.sharing import Sharing, joined
from bm.server.state import SavedState
from bm.server.telemetry import Telemetry, telemetry_of
from bm.server.tls import Certificate
from bm.server.websocket import leave_all
from bm.tasks import Work, keep_running, spawn

_log = logging.getLogger("bm")
_LOOK_EVERY = 0.1


def serve(
    paths: Paths,
    settings: Settings,
    sock: socket.socket,
    instance: Instance,
    place: Place,
    predecessor: Predecessor | None,
    certificate: Certificate | None = None,
) -> None:
    """Serve requests on `sock` until a signal or `/admin/stop`; returns when running streams have ended.

    After a first signal requests are served for `[server] drain_delay` seconds more, then running responses finish
    within `[server] drain`; a second one ends them. `predecessor` is the daemon that has handed over to this one.
    """
    descriptors.raise_limit()
    prices.use_process()
    runner().run(_serve(paths, settings, sock, instance, place, predecessor, certificate))


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which raises the signal again after a clean shutdown."""

    def __init__(
        self,
        config: uvicorn.Config,
        instance: Instance,
        settings: Callable[[], ServerSettings],
        predecessor: Predecessor | None,
    ) -> None:
        super().__init__(config)
        self._instance, self._settings, self._predecessor = instance, settings, predecessor
        self._sock: socket.socket | None = None
        self._leaving = self._signalled = False
        self._deadline = math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; a second signal forces it."""
        self.force_exit = self._signalled or (self.should_exit and not self._leaving)
        self._signalled = self.should_exit = True
        if self._leaving and not self.force_exit:
            self.leave(self._settings().drain)

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
        (self._sock,) = sockets or (None,)
        await super().startup(sockets)
        if self.started:
            self._instance.ready()

    def pause(self) -> socket.socket:
        """Accept no more connections. Gives the socket in which they wait."""
        assert self._sock is not None
        sock = self._sock.dup()
        for server in self.servers:
            server.close()
        self.servers = []
        return sock

    async def resume(self, sock: socket.socket) -> None:
        """Accept connections again."""
        self._sock = sock
        await super().startup([sock])

    def leave(self, drain: float | None) -> None:
        """End when the clients have their answers and are gone, or after so many seconds."""
        self._leaving = self.should_exit = LimitedHttp.leaving = True
        if drain is not None:
            self._deadline = min(self._deadline, time.monotonic() + drain)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running responses finish within the configured time."""
        if not self._leaving:
            await self._announce()
        drain = self._settings().drain
        self.config.timeout_graceful_shutdown = int(drain) or 1
        ending = None
        if self._predecessor is not None:
            ending = asyncio.ensure_future(self._predecessor.end(drain))
        if self._leaving:
            await self._finish()
            if self.server_state.connections:
                self.config.timeout_graceful_shutdown = 0
        else:
            await self._finish_websockets()
        await super().shutdown(sockets)
        if self._predecessor is not None and ending is not None:
            if self.force_exit:
                ending.cancel()
                ending = asyncio.ensure_future(self._predecessor.end(0.0))
            await ending

    async def _announce(self) -> None:
        """Serve for some seconds more while `/readyz` says that this ends, so that a balancer sends its requests to
        other nodes before connections are refused here. Each answer from now on is the last one on its connection."""
        LimitedHttp.leaving = LimitedHttp.ending = True
        until = time.monotonic() + self._settings().drain_delay
        while not self.force_exit and time.monotonic() < until:
            for each in list(self.server_state.connections):
                if isinstance(each, LimitedHttp):
                    each.say_last()
            await asyncio.sleep(_LOOK_EVERY)

    async def _finish(self) -> None:
        """Answer what was sent to this daemon before another one served, without a time limit unless one is set.

        A connection is not closed while it is used, because the next request may be on its way: the answer to that one
        says that it is the last. The predecessor's answers are not over either before it says so.
        """
        leave_all()
        while not self.force_exit and time.monotonic() < self._deadline:
            connections = self.server_state.connections
            for each in list(connections):
                if isinstance(each, LimitedHttp):
                    each.close_if_idle()
            if not connections and not self.server_state.tasks:
                return
            await asyncio.sleep(_LOOK_EVERY)

    async def _finish_websockets(self) -> None:
        """Let answers over WebSocket finish: uvicorn would close those connections at once."""
        deadline = time.monotonic() + self._settings().drain
        for server in self.servers:
            server.close()
        leave_all()
        while not self.force_exit and time.monotonic() < deadline:
            connections = list(self.server_state.connections)
            plain = [each for each in connections if isinstance(each, LimitedHttp)]
            if len(plain) == len(connections):
                return
            for each in plain:
                each.shutdown()
            await asyncio.sleep(_LOOK_EVERY)


def _stop_signals() -> list[signal.Signals]:
    """The signals that stop the daemon. SIGHUP, sent by a closing terminal, is one of them unless it is ignored."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


async def _serve(
    paths: Paths,
    settings: Settings,
    sock: socket.socket,
    instance: Instance,
    place: Place,
    predecessor: Predecessor | None,
    certificate: Certificate | None,
) -> None:
    ledger = writer_of(paths, settings.config)
    recorder = Recorder(folder_of(paths))
    services = Services(settings, ledger=ledger, recorder=recorder)
    instance.mask_in_log(services.mask)
    telemetry = telemetry_of(services, instance.version)
    reloader, state = Reloader(paths, services), SavedState(paths, services)
    sharing = Sharing(await joined(services, reloader, paths, instance, sock))
    work = _work(services, state, instance, reloader, sharing, ledger)

    async def retire() -> None:
        work.stop()
        await state.save()

    async def stop(request: Request) -> Response:
        # At once: the signal that may follow is the second one, which ends running responses.
        server.should_exit = True
        return JsonResponse({"stopping": True}, 202)

    handover = Handover(services, instance.version, place, retire=retire, return_=work.start)
    asked = {"stop": stop, "handover": json_handler(handover.answer)}
    LimitedHttp.unread_seconds = staticmethod(lambda: services.config.timeouts.idle)
    app = App(services, admin_app(services, reloader, instance, paths, asked, sharing))
    config = _config(app, settings.config.server, certificate)
    server = handover.listener = _Server(config, instance, lambda: services.config.server, predecessor)
    _warn(settings)
    state.restore()
    ledger.start()
    await catch_up(services, ledger.where)
    await sharing.start(paths)
    work.start()
    watchers = list(_watchers(services, certificate))
    if predecessor is not None:
        watchers.append(spawn(predecessor.follow(services), "following the earlier daemon"))
    try:
        await server.serve(sockets=[sock])
    finally:
        for watcher in watchers:
            watcher.cancel()
        work.stop()
        with _no_signals():
            await (handover.close() if handover.begun else state.save())
            await sharing.close(handed_over=handover.begun)
            await _close(services, recorder, ledger, telemetry)


def _work(
    services: Services, state: SavedState, instance: Instance, reloader: Reloader, sharing: Sharing, ledger: Ledger
) -> Work:
    """What only one daemon at a time does."""
    return Work(
        {
            "saving the state": state.keep_saving,
            "reading model lists": services.models.keep_fresh,
            "reading what was spent": lambda: keep_caught_up(services, ledger.where),
            "keeping daemon.json": instance.keep_file,
            "watching the configuration": reloader.watch,
            "following the accounts": services.settings.vault.watch,
            **sharing.loops,
        }
    )


def _warn(settings: Settings) -> None:
    for warning in settings.warnings:
        _log.warning("%s", warning)


def _watchers(services: Services, certificate: Certificate | None) -> Iterator[asyncio.Task[None]]:
    """What this daemon watches to its end, also while the next one serves."""
    yield keep_running(memory.watch, "watching memory")
    yield keep_running(Network(services).watch, "watching the network")
    yield keep_running(descriptors.watch, "watching descriptors")
    if certificate is not None:
        yield keep_running(certificate.watch, "watching the certificate")


async def _close(services: Services, recorder: Recorder, ledger: Ledger, telemetry: Telemetry | None) -> None:
    await services.close()
    if telemetry is not None:
        await asyncio.to_thread(telemetry.close)
    await asyncio.to_thread(recorder.close)
    await asyncio.to_thread(ledger.stop)
    await asyncio.to_thread(prices.end_process)


@contextlib.contextmanager
def _no_signals() -> Iterator[None]:
    """Ignore a further signal to stop while the last requests are recorded, which takes some seconds at most."""
    previous = {name: signal.signal(name, signal.SIG_IGN) for name in _stop_signals()}
    try:
        yield
    finally:
        for name, handler in previous.items():
            signal.signal(name, handler)


def _config(app: App, settings: ServerSettings, certificate: Certificate | None) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").addFilter(_is_about_more_than_upgrades)
    return uvicorn.Config(
        app=app,
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        http=LimitedHttp,
        ws="wsproto" if settings.websocket else "none",
        ws_max_size=settings.max_body_mb * 1024 * 1024,
        ssl_context_factory=None if certificate is None else lambda config, default: certificate.context,
    )


def _is_about_more_than_upgrades(record: logging.LogRecord) -> bool:
    """Whether uvicorn reports anything but a request for WebSocket where it is off, which bm answers itself."""
    return not any(words in record.getMessage() for words in ("upgrade request", "WebSocket library"))

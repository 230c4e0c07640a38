"""The administration without a daemon: the server's own application, called in this process, on the same files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from bm import __version__
from bm.config.paths import Paths

if TYPE_CHECKING:
    from bm.gateway.settings import Settings


def ask(paths: Paths, environ: Mapping[str, str], method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of an `/admin/` path, with the accounts as the files have them and the last daemon has left them.

    Raises:
        ConfigError: config.toml cannot be used.
        AccountError: accounts.toml cannot be used.
    """
    from bm.gateway.settings import read_settings

    return asyncio.run(_answer(paths, read_settings(paths, environ), method, path, body))


async def _answer(paths: Paths, settings: Settings, method: str, path: str, body: Any) -> tuple[int, Any]:
    from bm.accounts.state_file import restore, state_path
    from bm.gateway.services import Services
    from bm.server.admin import Instance, admin_app
    from bm.server.reload import Reloader

    services = Services(settings)
    # A warning about a damaged file is for the daemon's log.
    restore(services.pool, services.affinities, state_path(paths), now=time.monotonic(), wall=time.time())
    instance = Instance(identity="", started_at=time.time(), version=__version__, ready=lambda: None)
    application = admin_app(services, Reloader(paths, services), instance, paths, asyncio.Event())
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        await application(_scope(settings, method, path), receive, send)
    finally:
        await services.close()
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], msgspec.json.decode(content)


def _scope(settings: Settings, method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {settings.local_key}".encode())],
        "server": ("127.0.0.1", 80),
        "client": None,
    }

"""A daemon without a store shares nothing, and one with a store says which package it needs."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from typing import Any

import pytest

import bm
from bm.config.paths import Paths
from bm.errors import ConfigError
from bm.gateway.services import Services
from bm.gateway.settings import read_settings
from bm.server.reload import Reloader
from bm.server.sharing import Sharing, joined


@dataclass
class Run:
    """A run of a daemon."""

    version: str = "1.0"
    started_at: float = 1.0


async def join(paths: Paths, config: str, sock: socket.socket) -> Any:
    paths.config.write_text(config, encoding="utf-8")
    services = Services(read_settings(paths))
    return await joined(services, Reloader(paths, services), paths, Run(), sock)


async def test_without_a_store_nothing_is_shared() -> None:
    paths = Paths.default()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sharing = Sharing(await join(paths, "", sock))
    await sharing.start(paths)
    assert (sharing.to_json(), sharing.metrics()) == (None, {})
    await sharing.close()


async def test_a_store_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "redis" or name.startswith("bm.shared")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "redis", None)
    # What is imported anew stands in the package until the end of the test, and then what was there before.
    monkeypatch.setattr(bm, "shared", getattr(bm, "shared", None), raising=False)
    paths = Paths.default()
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(ConfigError) as refused:
        await join(paths, '[shared]\nurl = "valkey://127.0.0.1"', sock)
    assert str(refused.value).startswith(f"{paths.config}: shared.url: needs the package redis")
    assert "better-manager[shared]" in refused.value.hint

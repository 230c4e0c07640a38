"""A real browser without a window, driven by its devtools protocol; what needs it is skipped where there is none."""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no Chromium on PATH")

_PATIENCE = 30.0
"""Seconds that something in the browser may take on a busy machine."""


class Tab:
    """One tab. `said` is what its console and its security policy complained of."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._loaded = False
        self.said: list[str] = []

    async def call(self, method: str, **parameters: Any) -> Any:
        """One command of the devtools protocol (chromedevtools.github.io/devtools-protocol)."""
        number = next(self._numbers)
        await self._socket.send(msgspec.json.encode({"id": number, "method": method, "params": parameters}), text=True)
        while True:
            message = await self._received()
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    async def _received(self) -> dict[str, Any]:
        async with asyncio.timeout(_PATIENCE):
            return msgspec.json.decode(await self._socket.recv(), type=dict[str, Any])

    def _note(self, message: dict[str, Any]) -> None:
        match message:
            case {"method": "Log.entryAdded", "params": {"entry": {"level": "error" | "warning", "text": text}}}:
                self.said.append(text)
            case {"method": "Runtime.exceptionThrown", "params": {"exceptionDetails": details}}:
                self.said.append(str(details.get("exception", details).get("description", details)))
            case {"method": "Page.loadEventFired"}:
                self._loaded = True

    async def open(self, url: str) -> None:
        """Go there, and wait until it is loaded."""
        self._loaded = False
        await self.call("Page.navigate", url=url)
        while not self._loaded:
            self._note(await self._received())

    async def value(self, script: str) -> Any:
        """What a script in the page comes to."""
        reported = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reported, reported
        return reported["result"].get("value")

    async def until(self, script: str) -> Any:
        """What a script comes to as soon as that is something."""
        look = f"const look = () => {{ const value = {script}; if (value) found(value); else setTimeout(look, 50); }}"
        return await self.value(f"new Promise((found) => {{ {look}; look(); }})")

    async def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Be as large as that, on a dark or a light desktop."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self) -> bytes:
        """What is to be seen, as PNG."""
        taken = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(taken["data"])


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """A browser with one tab, whose files are all below `profile`."""
    assert PROGRAM is not None
    process = await asyncio.create_subprocess_exec(
        PROGRAM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        port = await asyncio.to_thread(_port, profile / "DevToolsActivePort")
        async with httpx.AsyncClient(trust_env=False) as http:
            listed = await http.get(f"http://127.0.0.1:{port}/json/list")
        pages = [each for each in listed.json() if each["type"] == "page"]
        async with connect(pages[0]["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Log"):
                await tab.call(f"{domain}.enable")
            yield tab
            await tab.call("Browser.close")
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _port(file: Path) -> int:
    """Where it listens for commands, once it says so."""
    limit = time.monotonic() + _PATIENCE
    while not (file.is_file() and (lines := file.read_text().split())):
        assert time.monotonic() < limit, "the browser does not come up"
        time.sleep(0.05)
    return int(lines[0])

"""`bm dashboard`: the page to leave open on a second screen."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bm.cli import admin, render
from bm.duration import duration

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon


def dashboard(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address instead of opening it.")] = False,
) -> None:
    """Open the dashboard in a browser, signed in."""
    from bm.cli.exits import NotRunning

    paths = admin.here()
    daemon = admin.running(paths)
    if daemon is None:
        raise NotRunning
    address, lasts = _address(paths, daemon)
    if not no_browser and _opens(address):
        render.line(f"the dashboard is open at {daemon.url}/")
        return
    render.line(address)
    if lasts:
        render.note(f"it signs in one browser, once, within {duration(lasts)}")


def _address(paths: Paths, daemon: Daemon) -> tuple[str, float]:
    """Where the page is, with what signs a browser in, and the seconds for which that is good; 0 = no need for it.

    It stands behind the `#`, which a browser sends to nobody, and the page takes it out of the history.
    """
    answer = admin.ask_daemon(paths, daemon, "POST", "/admin/session/code")
    if answer["code"] is None:
        return f"{daemon.url}/", 0.0
    return f"{daemon.url}/#code={answer['code']}", answer["seconds"]


def _opens(address: str) -> bool:
    """Open it, where there is a desktop to open it on; a browser in this terminal would show nothing of the page."""
    import webbrowser

    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform not in ("win32", "darwin") and not any(os.environ.get(name) for name in desktop):
        return False
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False


COMMANDS = {"dashboard": dashboard}

"""`bm top` and `bm dashboard`: watch a running daemon."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bm.cli import admin, render
from bm.cli.render import Json
from bm.duration import duration

if TYPE_CHECKING:
    from types import FrameType

    from bm.cli.browse import Browse, Step
    from bm.cli.screen import View
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon

INTERVAL = 1.0
"""Seconds between two looks at the daemon."""

REMEMBERED = 200
"""Requests that `bm top` remembers."""

SHOWN = 20
"""Requests that `bm top` prints without a terminal."""


def top(as_json: Json = False) -> None:
    """Watch accounts, providers and requests; q or Ctrl-C quits.

    The arrow keys choose a request and Enter explains it; m shows the providers, whose modes the space bar changes.
    """
    paths = admin.here()
    daemon = admin.daemon_of(paths)
    if as_json:
        render.json(admin.ask_daemon(paths, daemon, "GET", "/admin/live"))
        return
    watch = Watch(paths, daemon)
    watch.look()
    if render.is_terminal():
        _follow(watch)
    else:
        _print(watch.view)


class Watch:
    """Follows a daemon over restarts and remembers its latest requests."""

    def __init__(self, paths: Paths, daemon: Daemon) -> None:
        self._paths = paths
        self._daemon = daemon
        self._run = 0.0
        self._live: dict[str, Any] = {}
        self._ended: dict[str, dict[str, Any]] = {}
        self._problem = ""

    @property
    def view(self) -> View:
        """What was seen last, requests newest first."""
        from bm.cli.screen import View

        # A request may end between the two halves of an answer.
        running = [row | {"under_way": True} for row in self._live["under_way"] if row["id"] not in self._ended]
        requests = sorted([*running, *self._ended.values()], key=lambda row: -float(row["at"]))
        return View(self._daemon.url, self._live, requests, self._problem)

    def look(self) -> None:
        """Ask the daemon once. Later failures are reported in the view.

        Raises:
            DaemonError: the daemon does not respond the first time.
        """
        from bm.daemon.client import NoAnswer

        try:
            self._look()
            self._problem = ""
        except NoAnswer:
            if not self._live:
                raise
            self._problem = "bm has stopped responding (bm start)"
            self._daemon = admin.running(self._paths) or self._daemon

    def take(self, step: Step, browse: Browse) -> None:
        """Explain a request, or change a mode. What fails is shown in place of the keys."""
        from bm.cli.dispatch import explained
        from bm.errors import BmError

        try:
            if step.kind == "why":
                path = f"/admin/why/{step.name}"
                browse.explain(explained(admin.ask_daemon(self._paths, self._daemon, "GET", path, silent=True)))
            else:
                path, body = f"/admin/providers/{step.name}/mode", {"mode": step.mode}
                admin.ask_daemon(self._paths, self._daemon, "POST", path, body, silent=True)
                browse.message = f"{step.name} is now {step.mode}"
        except BmError as error:
            browse.message = str(error)

    def _look(self) -> None:
        after = self._live.get("ended", 0)
        live = admin.ask_daemon(
            self._paths, self._daemon, "GET", f"/admin/live?after={after}", timeout=5.0, silent=True
        )
        fresh = live["requests"]
        if live["run"] != self._run:
            self._run = live["run"]
            path = f"/admin/requests?limit={REMEMBERED}"
            fresh = admin.ask_daemon(self._paths, self._daemon, "GET", path, silent=True)["requests"]
        self._live = live
        for row in reversed(fresh):
            self._ended[row["id"]] = row
        for name in list(self._ended)[:-REMEMBERED]:
            del self._ended[name]


def _follow(watch: Watch) -> None:
    from bm.cli.browse import Browse
    from bm.cli.screen import opened, switchable
    from bm.cli.terminal import keys

    browse = Browse()
    try:
        with _clean_exit(), keys() as pressed, opened() as show:
            while True:
                view = watch.view._replace(browse=browse)
                show(view)
                step = browse.press(pressed(INTERVAL), view.requests, switchable(view.live))
                if step is not None and step.kind == "quit":
                    return
                if step is not None:
                    watch.take(step, browse)
                watch.look()
    except KeyboardInterrupt:
        return


@contextmanager
def _clean_exit() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind the stack, so that the terminal is restored."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), leave) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _print(view: View) -> None:
    from bm.cli import screen, tables

    render.line(screen.headline(view))
    render.line(screen.figures(view.live))
    for notice in screen.notices(view):
        render.line(notice)
    team = view.live["status"].get("shared")
    nodes = [tables.nodes(team)] if team else []
    found = (
        *nodes,
        tables.live_accounts(view.live),
        tables.live_providers(view.live),
        tables.requests(view.requests[:SHOWN]),
    )
    for table in found:
        render.line()
        render.table(table.columns, table.rows, empty=table.empty)


def dashboard(
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address instead of opening it.")] = False,
) -> None:
    """Open the dashboard in a browser, signed in."""
    paths = admin.here()
    daemon = admin.daemon_of(paths)
    session = admin.ask_daemon(paths, daemon, "POST", "/admin/session/code")
    # Browsers do not send what follows the #, and the page removes it from the history.
    address = f"{daemon.url}/#code={session['code']}" if session["code"] else f"{daemon.url}/"
    if not no_browser and _open_browser(address):
        render.line(f"the dashboard is open at {daemon.url}/")
        return
    render.line(address)
    if session["code"]:
        render.note(f"this address signs in one browser, once, within {duration(session['seconds'])}")


def _open_browser(address: str) -> bool:
    """Open a browser if there is a desktop; a browser in this terminal could not show the page."""
    import webbrowser

    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    if sys.platform not in ("win32", "darwin") and not any(os.environ.get(name) for name in desktop):
        return False
    try:
        return webbrowser.open(address)
    except webbrowser.Error:
        return False

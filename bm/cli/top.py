"""`bm top`: what bm does, while it does it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from bm.cli import admin, render

if TYPE_CHECKING:
    from types import FrameType

    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon

EVERY = 1.0
"""Seconds between two looks."""

MOST = 200
"""Requests that are remembered."""

SHOWN = 20
"""Requests in an answer that is no screen."""


def top(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, once.")] = False) -> None:
    """Watch accounts, providers and requests until q or Ctrl-C; without a terminal, tell it once."""
    from bm.cli.exits import NotRunning

    paths = admin.here()
    daemon = admin.running(paths)
    if daemon is None:
        raise NotRunning
    if as_json:
        render.json(admin.ask_daemon(paths, daemon, "GET", "/admin/live"))
        return
    watch = Watch(paths, daemon)
    watch.look()
    if render.is_terminal():
        _follow(watch)
    else:
        _tell(watch)


class Watch:
    """What was seen last. `problem` says why nothing new is seen, empty while there is."""

    def __init__(self, paths: Paths, daemon: Daemon) -> None:
        self._paths, self._daemon = paths, daemon
        self._run = 0.0
        self.live: dict[str, Any] = {}
        self.ended: dict[str, dict[str, Any]] = {}
        self.problem = ""

    @property
    def url(self) -> str:
        """Where the daemon is."""
        return self._daemon.url

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Those under way, then those that are over, the newest first."""
        under_way: list[dict[str, Any]] = self.live["under_way"]
        # A request may end between the two halves of an answer.
        running = [row | {"under_way": True} for row in under_way if row["id"] not in self.ended]
        return sorted([*running, *self.ended.values()], key=lambda row: -float(row["at"]))

    def look(self) -> None:
        """Ask once.

        Raises:
            DaemonError: the first time, when the daemon does not answer.
        """
        from bm.daemon.client import NoAnswer

        try:
            self._look()
            self.problem = ""
        except NoAnswer:
            if not self.live:
                raise
            self.problem = "bm does not answer any more (bm start)"
            self._daemon = admin.running(self._paths) or self._daemon

    def _look(self) -> None:
        after = self.live.get("ended", 0)
        live = admin.ask_daemon(self._paths, self._daemon, "GET", f"/admin/live?after={after}", timeout=5.0)
        fresh = live["requests"]
        if live["run"] != self._run:
            self._run = live["run"]
            fresh = admin.ask_daemon(self._paths, self._daemon, "GET", f"/admin/requests?limit={MOST}")["requests"]
        self.live = live
        for row in reversed(fresh):
            self.ended[row["id"]] = row
        for name in list(self.ended)[:-MOST]:
            del self.ended[name]


def _follow(watch: Watch) -> None:
    from bm.cli.keyboard import keys
    from bm.cli.screen import opened

    try:
        with _orderly_end(), keys() as pressed, opened() as show:
            while True:
                show(watch)
                if pressed(EVERY) in ("q", "Q"):
                    return
                watch.look()
    except KeyboardInterrupt:
        return


@contextmanager
def _orderly_end() -> Iterator[None]:
    """Let a signal to end unwind, so that the terminal gets its own screen back."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), leave) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def _tell(watch: Watch) -> None:
    from bm.cli import screen

    render.line(screen.headline(watch))
    render.line(screen.figures(watch.live))
    for notice in screen.notices(watch):
        render.line(notice)
    for columns, rows, empty in (
        screen.accounts(watch.live),
        screen.providers(watch.live),
        screen.requests(watch.requests[:SHOWN]),
    ):
        render.line()
        render.table(columns, rows, empty=empty)


COMMANDS = {"top": top}

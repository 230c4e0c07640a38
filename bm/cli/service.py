"""`bm service`: start the daemon at login, and again after a crash."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import typer

from bm.cli import admin, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.daemon.service.install import Service


def install() -> None:
    """Start the daemon now, at each login and after a crash. Run it again after an upgrade or a move."""
    from bm.cli.daemon import introduce, waits
    from bm.daemon.service import install as service

    paths = admin.here()
    done = service.install(paths, os.environ, waits())
    render.line(f"{done.file}: {'written' if done.written else 'up to date'}")
    if done.written:
        for line in _text(done.content).splitlines():
            render.line(f"  {line}".rstrip())
    if done.replaced:
        render.line(f"the previous daemon has stopped (pid {done.replaced.daemon.pid})")
    introduce(paths, done.daemon, "is running")
    installed = service.inspect(paths, os.environ)
    render.facts({"service": f"{installed.name} of {installed.manager}", "starts": installed.when})
    _warn(installed)


def uninstall() -> None:
    """Remove what install has created. Stops the daemon if the service started it."""
    from bm.cli.daemon import drain_of, waits
    from bm.daemon.service import install as service

    paths = admin.here()
    removed, ended = service.uninstall(paths, drain_of(paths), waits())
    if ended:
        render.line(f"bm has stopped (pid {ended.daemon.pid}); bm start starts it without the service")
    for file in removed:
        render.line(f"{file}: removed")
    if not removed:
        render.line("no service is installed")


def status(as_json: Json = False) -> None:
    """Show whether a service is installed, and its state."""
    from bm.cli.exits import FAILED, NOT_RUNNING
    from bm.daemon.service.install import inspect

    service = inspect(admin.here(), os.environ)
    if as_json:
        render.json(_fields(service))
    elif not service.installed:
        render.line("no service is installed (bm service install)")
    else:
        state = service.state
        words = f"{state.words}, pid {state.pid}" if state and state.pid else state.words if state else "unknown"
        render.facts(
            {
                "service": f"{service.name} of {service.manager}",
                "file": str(service.file),
                "state": words,
                "starts": service.when,
                "runs": service.interpreter,
            }
        )
        _warn(service)
    if service.installed and any(problem.serious for problem in service.problems):
        raise typer.Exit(FAILED)
    if not service.installed or service.daemon is None:
        raise typer.Exit(NOT_RUNNING)


def offer(paths: Paths) -> None:
    """On a terminal, ask whether the daemon shall start at each login, if it can and does not yet."""
    import sys

    from bm.cli import terminal

    if sys.stdin is None or not sys.stdin.isatty() or not render.is_terminal() or not possible(paths):
        return
    if terminal.agreed("Start bm at each login and after a crash, as a service?", default=False):
        install()


def possible(paths: Paths) -> bool:
    """Whether this login has a service manager, and no service of bm yet."""
    from bm.daemon.service.install import inspect
    from bm.daemon.service.manager import Unavailable
    from bm.daemon.service.supervisor import this_manager

    try:
        this_manager().check()
    except Unavailable:
        return False
    return not inspect(paths, os.environ).installed


def _warn(service: Service) -> None:
    for problem in service.problems:
        render.note(f"note: {problem.detail} ({problem.remedy})")


def _fields(service: Service) -> dict[str, Any]:
    state = service.state
    return {
        "installed": service.installed,
        "manager": service.manager,
        "name": service.name,
        "file": str(service.file),
        "interpreter": service.interpreter or None,
        "starts": service.when,
        "state": state.words if state else None,
        "running": service.daemon is not None,
        "pid": state.pid if state else None,
        "exit_code": state.exit_code if state else None,
        "problems": [
            {"detail": each.detail, "remedy": each.remedy, "serious": each.serious} for each in service.problems
        ],
    }


def _text(content: bytes) -> str:
    """The text of a service definition; Windows tasks are in UTF-16."""
    return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")

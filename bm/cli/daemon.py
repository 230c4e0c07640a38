"""`bm start`, `stop`, `restart`, `status`, `logs`: the daemon's life."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, render
from bm.duration import duration

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon
    from bm.daemon.service.install import Service
    from bm.daemon.start import Started

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def start(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay here and log here, for supervisors.")] = False,
) -> None:
    """Start the daemon, unless it runs already."""
    paths = admin.here()
    if foreground:
        from bm.daemon.main import leave, run

        run(paths, os.environ, lambda daemon: None, terminal=True)
        leave()
    from bm.daemon.start import start as begin

    _begun(paths, begin(paths, os.environ))


def stop(now: Annotated[bool, typer.Option("--now", help="Do not wait for running streams.")] = False) -> None:
    """Stop the daemon; running streams may finish first."""
    if not _stop(admin.here(), now=now):
        render.line("bm is not running")


def restart(now: Annotated[bool, typer.Option("--now", help="Do not wait for running streams.")] = False) -> None:
    """Stop the daemon and start it again. With settings that would not let it start, it goes on as it is."""
    from bm.accounts.credentials import load as load_accounts
    from bm.config.load import load
    from bm.daemon.port import bind
    from bm.daemon.start import start as begin
    from bm.providers.catalog import KNOWN

    paths = admin.here()
    server = load(paths.config, os.environ, known=KNOWN).config.server
    load_accounts(paths.accounts)
    daemon = admin.running(paths)
    if daemon and (server.host, server.port) != (daemon.host, daemon.port):
        bind(server.host, server.port).close()
    _stop(paths, now=now)
    _begun(paths, begin(paths, os.environ))


def _begun(paths: Paths, started: Started) -> None:
    introduce(paths, started.daemon, "runs already" if started.already else "runs")
    if started.note:
        render.note(f"note: {started.note}")


def _stop(paths: Paths, *, now: bool) -> bool:
    """Whether there was a daemon to stop."""
    from bm.daemon.stop import stop as end

    stopped = end(paths, drain_of(paths), now=now, waiting=waits(silent=now))
    if stopped is None:
        return False
    how = {"asked": "", "hurried": " before its streams had ended", "killed": " by force"}[stopped.how]
    render.line(f"bm has stopped{how} (pid {stopped.daemon.pid})")
    return True


def waits(*, silent: bool = False) -> Callable[[float], None]:
    """What tells, once, that the end of running streams is waited for; it is called with the seconds so far."""
    told = silent

    def waiting(seconds: float) -> None:
        nonlocal told
        if seconds >= 1 and not told:
            told = True
            render.note("waiting for running streams (bm stop --now does not)")

    return waiting


def drain_of(paths: Paths) -> float:
    """How long running streams may take to end, in seconds; the default's time where the settings cannot be read."""
    from bm.config.load import load
    from bm.config.schema import Server
    from bm.errors import ConfigError
    from bm.providers.catalog import KNOWN

    try:
        return load(paths.config, os.environ, known=KNOWN).config.server.drain
    except ConfigError:
        return Server().drain


def introduce(paths: Paths, daemon: Daemon, verb: str) -> None:
    """Tell where a daemon is that has just been started, and what to do next."""
    from bm.accounts.credentials import load
    from bm.config.secrets import hint

    status = admin.ask_daemon(paths, daemon, "GET", "/admin/status")
    render.line(f"bm {verb} at {daemon.url} (pid {daemon.pid})")
    render.facts({"key": hint(load(paths.accounts).local_key), "next": _next_step(status)})
    for warning in _problems(status, daemon):
        render.note(f"note: {warning}")


def _next_step(status: dict[str, Any]) -> str:
    if any(status["accounts"].values()):
        return 'bm run TOOL (claude, codex, gemini …); eval "$(bm env)" points all tools of this shell at bm'
    return "bm accounts add NAME   takes a Gemini key from https://aistudio.google.com/apikey"


def _problems(status: dict[str, Any], daemon: Daemon) -> list[str]:
    from bm import __version__

    found = list(status["config"]["warnings"])
    if error := status["config"]["error"]:
        found.insert(0, f"the configuration cannot be used, the old one stays in force: {error}")
    # A daemon of another version may not tell of its ledger.
    ledger = status.get("ledger", {})
    if problem := ledger.get("problem"):
        found.append(f"the ledger cannot be written ({problem}); requests are served all the same")
    if dropped := ledger.get("dropped"):
        found.append(f"{dropped} requests since the start are missing in the ledger")
    if daemon.version != __version__:
        found.insert(0, f"the daemon is version {daemon.version}, this command {__version__}: bm restart")
    return found


def status(as_json: Json = False) -> None:
    """Tell whether the daemon runs, and how it is."""
    from bm import __version__
    from bm.cli.exits import FAILED, NOT_RUNNING
    from bm.daemon.client import find
    from bm.daemon.service.install import inspect

    paths = admin.here()
    found = find(paths)
    service = inspect(paths, os.environ)
    name = service.name if service.installed else None
    if found is None or not found.answers:
        pid = found.daemon.pid if found else None
        if as_json:
            render.json({"running": False, "pid": pid, "cli_version": __version__, "service": name})
        elif pid:
            render.line(f"bm does not answer (pid {pid}): it is ending or stuck (bm stop, or bm stop --now)")
        else:
            render.line("bm is not running (bm start)")
        _tell_of_service(service, as_json=as_json)
        raise typer.Exit(FAILED if found else NOT_RUNNING)
    answer = admin.ask_daemon(paths, found.daemon, "GET", "/admin/status")
    skew = answer["version"] != __version__
    if as_json:
        own = {"running": True, "url": found.daemon.url, "cli_version": __version__, "version_skew": skew}
        render.json(own | answer | {"service": name})
        return
    installed = {"service": f"{service.name} of {service.manager}"} if name else {}
    render.facts(_status_facts(answer, found.daemon) | installed)
    for warning in (*_problems(answer, found.daemon), *_moved(paths, found.daemon)):
        render.note(f"note: {warning}")
    _tell_of_service(service, as_json=as_json)


def _moved(paths: Paths, daemon: Daemon) -> list[str]:
    """That the daemon is not where the configuration wants it: it does not move while it runs."""
    from bm.config.address import url_of
    from bm.config.load import load
    from bm.errors import ConfigError
    from bm.providers.catalog import KNOWN

    try:
        server = load(paths.config, os.environ, known=KNOWN).config.server
    except ConfigError:
        return []
    if server.host == daemon.host and server.port in (0, daemon.port):
        return []
    return [f"the configuration says {url_of(server.host, server.port)} by now: bm restart"]


def _tell_of_service(service: Service, *, as_json: bool) -> None:
    """What keeps it from coming back; `bm service status` and `bm doctor` tell the rest."""
    for trouble in service.troubles:
        if trouble.serious and not as_json:
            render.note(f"note: the service: {trouble.detail} ({trouble.cure})")


def _status_facts(answer: dict[str, Any], daemon: Daemon) -> dict[str, str]:
    requests = answer["requests"]
    accounts = ", ".join(f"{count} {state}" for state, count in answer["accounts"].items() if count)
    providers = ", ".join(
        f"{row['name']} {row['mode']}{'' if row['enabled'] else ' (disabled)'}" for row in answer["providers"]
    )
    return {
        "bm": f"runs at {daemon.url}",
        "version": str(answer["version"]),
        "pid": str(answer["pid"]),
        "up": duration(answer["uptime"]),
        "config": str(answer["config"]["path"]),
        "accounts": accounts or "none (bm accounts add NAME)",
        "providers": providers or "none but Gemini (bm providers)",
        "requests": f"{requests['total']}, {requests['active']} under way, {requests['failed']} failed",
        "recording": "on: prompts and answers are kept (bm record off)" if answer.get("recording") else "",
    }


def logs(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines are written.")] = False,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines to begin with.")] = 50,
    as_json: Json = False,
) -> None:
    """Print the end of the daemon's log."""
    from bm.cli.exits import UsageError
    from bm.daemon import log

    paths = admin.here()
    if as_json:
        if follow:
            raise UsageError("--json is for what is there, --follow for what comes")
        render.json({"path": str(paths.log), "lines": log.tail(paths.log, count)})
        return
    if not paths.log.exists():
        render.note(f"{paths.log} is not there yet (bm start)")
    lines = log.follow(paths.log, count) if follow else log.tail(paths.log, count)
    try:
        for line in lines:
            render.line(line)
    except KeyboardInterrupt:
        return


COMMANDS = {"start": start, "stop": stop, "restart": restart, "status": status, "logs": logs}

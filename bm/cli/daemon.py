"""`bm start`, `stop`, `restart`, `status`, `logs`: run the daemon and see how it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, budgets, render
from bm.cli.render import Json
from bm.duration import duration

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon
    from bm.daemon.service.install import Service
    from bm.daemon.start import Started
    from bm.daemon.stop import Stopped


def start(
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay in the foreground and log to the terminal, for supervisors.")
    ] = False,
) -> None:
    """Start the daemon, unless it is running."""
    paths = admin.here()
    if foreground:
        from bm.daemon.main import leave, run

        run(paths, os.environ, lambda daemon: None, terminal=True)
        leave()
    from bm.daemon.start import start as begin

    with render.waiting("starting the daemon"):
        started = begin(paths, os.environ)
    _begun(paths, started)


def stop(now: Annotated[bool, typer.Option("--now", help="Do not wait for running answers.")] = False) -> None:
    """Stop the daemon. Running answers may finish first."""
    if not _stop(admin.here(), now=now):
        render.line("bm is not running")


def restart(now: Annotated[bool, typer.Option("--now", help="Do not wait for running answers.")] = False) -> None:
    """Start the daemon anew, without refusing a connection or cutting an answer.

    The new daemon takes the connections over, and the previous one finishes its answers. Where that is not possible,
    the daemon is stopped and started. If it could not start with the new settings, it keeps running.
    """
    from bm.daemon.restart import restart as begin_anew
    from bm.server.tls import certificate_of

    paths = admin.here()
    certificate_of(admin.loaded(paths).config.server)
    admin.vault(paths).accounts.load()
    done = begin_anew(paths, os.environ, drain_of(paths), now=now, waiting=waits(silent=now))
    if done.stopped:
        _ended(done.stopped)
    if done.handed_over:
        render.line(f"bm has taken over from the previous daemon (pid {done.handed_over.pid})")
    _begun(paths, done.started)
    if done.note and done.stopped:
        render.note(f"note: connections were refused meanwhile: {done.note}")


def _begun(paths: Paths, started: Started) -> None:
    introduce(paths, started.daemon, "is already running" if started.already else "is running")
    if started.note:
        render.note(f"note: {started.note}")


def _stop(paths: Paths, *, now: bool) -> bool:
    """Stop the daemon; whether there was one."""
    from bm.daemon.stop import stop as end

    stopped = end(paths, drain_of(paths), now=now, waiting=waits(silent=now))
    if stopped is None:
        return False
    _ended(stopped)
    return True


def _ended(stopped: Stopped) -> None:
    how = {"asked": "", "hurried": " before all answers had finished", "killed": " by force"}[stopped.how]
    render.line(f"bm has stopped{how} (pid {stopped.daemon.pid})")


def waits(*, silent: bool = False) -> Callable[[float], None]:
    """A callback for the seconds waited so far; says once that running answers are being waited for."""
    said = silent

    def waiting(seconds: float) -> None:
        nonlocal said
        if seconds >= 1 and not said:
            said = True
            render.note("waiting for running answers to finish (bm stop --now does not wait)")

    return waiting


def drain_of(paths: Paths) -> float:
    """Seconds that an orderly end may take; the default when the configuration is invalid."""
    from bm.config.schema import Server
    from bm.errors import ConfigError

    try:
        return admin.loaded(paths).config.server.longest_stop
    except ConfigError:
        return Server().longest_stop


def introduce(paths: Paths, daemon: Daemon, verb: str) -> None:
    """Print where a daemon that was just started is, and what to do next."""
    from bm.accounts.credentials import load
    from bm.config.secrets import hint

    status = admin.ask_daemon(paths, daemon, "GET", "/admin/status")
    render.line(f"bm {verb} at {daemon.url} (pid {daemon.pid})")
    render.facts({"key": hint(load(paths.accounts).local_key), "next": _next_step(status)})
    for warning in _problems(status, daemon):
        render.note(f"note: {warning}")


def _next_step(status: dict[str, Any]) -> str:
    if any(status["accounts"].values()):
        return 'bm run TOOL (claude, codex, gemini …), or eval "$(bm env)" for all tools in this shell'
    return "bm init, or bm accounts add NAME (get a Gemini key: https://aistudio.google.com/apikey)"


def _problems(status: dict[str, Any], daemon: Daemon) -> list[str]:
    from bm import __version__

    found = list(status["config"]["warnings"])
    if error := status["config"]["error"]:
        found.insert(0, f"the configuration is invalid, the previous one stays in force: {error}")
    # A daemon of another version may not report its ledger.
    ledger = status.get("ledger", {})
    if problem := ledger.get("problem"):
        found.append(f"the ledger cannot be written ({problem}); requests are served anyway")
    if away := ledger.get("away"):
        spool = ledger["spool"]
        where = f"{spool['path']} ({spool['bytes'] / 1_000_000:.1f} MB)"
        found.append(f"the ledger's database takes no requests ({away}); {spool['waiting']} wait in {where}")
    if dropped := ledger.get("dropped"):
        found.append(f"{dropped} requests since the start are missing from the ledger")
    earlier = status.get("predecessor") or {}
    if active := earlier.get("active"):
        found.append(f"the previous daemon (pid {earlier['pid']}) is finishing running answers: {active}")
    if daemon.version != __version__:
        found.insert(0, f"the daemon is version {daemon.version}, this command is {__version__}: bm restart")
    return found


def status(
    every: Annotated[bool, typer.Option("--all", help="Show every node of the team.")] = False, as_json: Json = False
) -> None:
    """Show whether the daemon is running, and how it is."""
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
            render.line(f"bm does not respond (pid {pid}): it is stopping or stuck (bm stop, or bm stop --now)")
        else:
            render.line("bm is not running (bm start)")
        _note_service(service, as_json=as_json)
        raise typer.Exit(FAILED if found else NOT_RUNNING)
    answer = admin.ask_daemon(paths, found.daemon, "GET", "/admin/status")
    skew = answer["version"] != __version__
    if as_json:
        own = {"running": True, "url": found.daemon.url, "cli_version": __version__, "version_skew": skew}
        render.json(own | answer | {"service": name})
        return
    if every:
        _every_node(answer)
        return
    installed = {"service": f"{service.name} of {service.manager}"} if name else {}
    providers = admin.ask_daemon(paths, found.daemon, "GET", "/admin/providers")["providers"]
    render.facts(_status_facts(answer, found.daemon, providers) | installed)
    accounts = admin.ask_daemon(paths, found.daemon, "GET", "/admin/accounts")["accounts"]
    notes = (
        *_account_notes(accounts),
        *budgets.notes(answer),
        *_problems(answer, found.daemon),
        *_config_notes(paths, found.daemon, answer),
    )
    for warning in notes:
        render.note(f"note: {warning}")
    _note_service(service, as_json=as_json)


def _every_node(answer: dict[str, Any]) -> None:
    """The nodes of the team, and what is wrong among them."""
    from bm.cli import tables

    team = answer["shared"]
    if team is None:
        render.line("this daemon is alone: no store is shared ([shared] url)")
        return
    table = tables.nodes(team)
    render.table(table.columns, table.rows, empty=table.empty, spare=("clock", "version", "up"))
    if away := team["away"]:
        since = render.moment(away["since"])
        render.note(f"note: the store is away since {since}, so the others are shown as they were: {away['reason']}")
    for problem in answer["failures"]:
        render.note(f"note: {problem}")


def _account_notes(rows: list[dict[str, Any]]) -> list[str]:
    """What keeps accounts from being used, with the remedy."""
    from bm.cli.doctor import states

    return [f"{each.detail} ({each.remedy})" for each in states(rows)]


def _config_notes(paths: Paths, daemon: Daemon, answer: dict[str, Any]) -> list[str]:
    """Notes on what a running daemon does not take, such as a changed address, and on models that retire soon."""
    from bm.cli.doctor import exposed
    from bm.config.address import url_of
    from bm.config.chains import chains_of
    from bm.errors import ConfigError
    from bm.providers.provider import effective
    from bm.providers.retirement import retiring
    from bm.vault.vault import open_vault

    try:
        config = admin.loaded(paths).config
    except ConfigError:
        return []
    server, vault = config.server, open_vault(paths, config, os.environ).place
    tls = bool(server.tls_cert)
    moved = server.host != daemon.host or server.port not in (0, daemon.port) or tls != daemon.tls
    return [
        *([f"the configured address is now {url_of(server.host, server.port, tls=tls)}: bm restart"] if moved else []),
        *(
            [f"accounts and keys are used from {vault} after: bm restart"]
            if answer.get("vault", vault) != vault
            else []
        ),
        *(f"{each.detail} ({each.remedy})" for each in exposed(config)),
        *retiring(effective(config), chains_of(config), date.today()),
    ]


def _note_service(service: Service, *, as_json: bool) -> None:
    """Print what keeps the service from starting; `bm service status` and `bm doctor` print the rest."""
    for problem in service.problems:
        if problem.serious and not as_json:
            render.note(f"note: the service: {problem.detail} ({problem.remedy})")


def providers_in_words(rows: list[dict[str, Any]]) -> str:
    """`groq fallback, xai needs key`: the mode of each provider in use beside the pool, the state of the others."""
    shown = [row for row in rows if row["name"] != "gemini"]
    return ", ".join(f"{row['name']} {row['mode'] if row['state'] == 'in use' else row['state']}" for row in shown)


def _status_facts(answer: dict[str, Any], daemon: Daemon, rows: list[dict[str, Any]]) -> dict[str, str]:
    requests = answer["requests"]
    accounts = ", ".join(f"{count} {state}" for state, count in answer["accounts"].items() if count)
    return {
        "bm": f"running at {daemon.url}",
        "version": str(answer["version"]),
        "pid": str(answer["pid"]),
        "up": duration(answer["uptime"]),
        "config": str(answer["config"]["path"]),
        "accounts": accounts or "none (bm accounts add NAME)",
        "providers": providers_in_words(rows) or "only gemini (bm providers)",
        "requests": f"{requests['total']}, {requests['active']} running, {requests['failed']} failed",
        "budgets": budgets.used(answer.get("budgets", ())),
        "shared": shared_in_words(answer.get("shared")),
        "recording": "on; prompts and answers are kept (bm record off)" if answer.get("recording") else "",
    }


def shared_in_words(team: dict[str, Any] | None) -> str:
    """The store and the nodes of the team in one line; empty without one."""
    if team is None:
        return ""
    here = [each["name"] for each in team["nodes"] if each["here"]]
    gone = sorted({each["name"] for each in team["nodes"] if not each["here"]} - {*here})
    parts = [f"node {team['node']} of {len(here)} ({', '.join(here)})", f"on {team['store']}"]
    if gone:
        parts.append(f"gone: {', '.join(gone)}")
    if away := team["away"]:
        parts.append(f"the store is away since {render.moment(away['since'])}")
    return "; ".join(parts)


def logs(
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Keep printing new lines.")] = False,
    count: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines to start with.")] = 50,
    as_json: Json = False,
) -> None:
    """Print the end of the daemon's log."""
    from bm.cli.exits import UsageError
    from bm.daemon import log

    paths = admin.here()
    if as_json:
        if follow:
            raise UsageError("--json and --follow cannot be combined")
        render.json({"path": str(paths.log), "lines": log.tail(paths.log, count)})
        return
    if not paths.log.exists():
        render.note(f"{paths.log} does not exist yet (bm start)")
    lines = log.follow(paths.log, count) if follow else log.tail(paths.log, count)
    try:
        for line in lines:
            render.line(line)
    except KeyboardInterrupt:
        return

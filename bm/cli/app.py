"""`bm`: its commands and groups, and what happens on an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer
from typer.core import TyperGroup

from bm.cli import (
    accounts,
    admin,
    ask,
    clients,
    config,
    daemon,
    dispatch,
    help,
    init,
    install_completion,
    keys,
    ledger,
    models,
    monitoring,
    order,
    providers,
    record,
    service,
    test,
    transfer,
    usage,
    use,
    version,
)
from bm.cli.render import Json


def _typer(help_: str, words: str = "", kind: type[TyperGroup] = TyperGroup) -> typer.Typer:
    return typer.Typer(
        cls=kind,
        help=help_,
        epilog=help.epilog(words),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _typer("A local gateway between your coding tools and your models.", kind=help.Sections)


def _version(wanted: bool) -> None:
    if wanted:
        version.version()
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    shown: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    """A local gateway between your coding tools and your models."""
    if context.invoked_subcommand is None:
        from bm.cli.welcome import welcome

        welcome(admin.here(), os.environ)


def doctor(as_json: Json = False) -> None:
    """Check the installation for common problems. Sends nothing."""
    from bm.cli.doctor import report

    if not report(admin.here(), os.environ, as_json=as_json):
        raise typer.Exit(1)


def demo(
    once: Annotated[bool, typer.Option("--once", help="Exit after the last request instead of waiting.")] = False,
) -> None:
    """Show the dispatch modes on simulated providers."""
    from bm.cli.demo import walk

    walk(once=once)


def _or(list_: Callable[[bool], None]) -> Callable[[typer.Context, bool], None]:
    """The callback of a group that lists when it is called without a command."""

    def listed(context: typer.Context, as_json: Json = False) -> None:
        if context.invoked_subcommand is None:
            list_(as_json)

    return listed


def _add(to: typer.Typer, *commands: Callable[..., None], below: str = "") -> None:
    """Add commands under the names of their functions."""
    for command in commands:
        settings = clients.PASS_THROUGH if command is clients.run else None
        name = command.__name__.strip("_")
        to.command(name, context_settings=settings, epilog=help.epilog(f"{below} {name}".strip()))(command)


def _group(name: str, help_: str, *commands: Callable[..., None], lists: bool = False) -> None:
    """Add a group; with `lists`, its first command is the default."""
    group = _typer(help_, name)
    if lists:
        group.callback(invoke_without_command=True)(_or(commands[0]))
    _add(group, *commands, below=name)
    app.add_typer(group, name=name, no_args_is_help=not lists)


_add(app, init.init, daemon.start, daemon.stop, daemon.restart, daemon.status, daemon.logs)
_add(app, clients.run, ask.ask, clients.setup, clients.env)
_add(app, dispatch.route, dispatch.why, monitoring.dashboard, monitoring.top, usage.usage)
_add(app, models.models, test.test, doctor, record.replay, demo, config.undo, install_completion.completion)
_add(app, help.help_, version.version)
_group(
    "accounts",
    "Manage the credentials that requests are sent with.",
    *(accounts.list_, accounts.add, accounts.login, transfer.import_, transfer.export),
    *(transfer.move, transfer.reseal),
    *(accounts.rename, accounts.key, order.order, accounts.enable, accounts.disable),
    *(accounts.remove, accounts.verify, accounts.wake),
    lists=True,
)
_group(
    "providers",
    "Manage providers: which are used, when, and with which key.",
    *(providers.list_, use.use, providers.show, providers.mode, providers.enable, providers.disable),
    *(providers.key, providers.add, providers.remove),
    lists=True,
)
_group(
    "keys",
    "Manage the keys of clients: what they may use, how much, and until when.",
    *(keys.list_, keys.add, keys.change, keys.rotate, keys.revoke),
    lists=True,
)
_group(
    "config",
    "Show and change the configuration.",
    *(config.path, config.show, config.check, config.get, config.set_, config.unset, config.edit_),
)
_group("service", "Start the daemon at login and after a crash.", service.install, service.uninstall, service.status)
_group("ledger", "Keep requests, usage and cost in a database.", ledger.move)
_group(
    "record",
    "Record whole exchanges, off by default.",
    *(record.on, record.off, record.list_, record.show, record.delete),
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not running."""
    _open_streams()
    admin.begin(sys.argv[1:] if arguments is None else arguments)
    try:
        app(arguments, prog_name="bm")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except _reported() as error:
        from bm.cli import render
        from bm.cli.exits import exit_code, message

        render.error(message(error))
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    return 0


def _open_streams() -> None:
    """Open standard streams that are closed (`bm status >&-`, some task schedulers): they lead nowhere.

    Otherwise Python has None in their place, and the next file or socket gets their number.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nowhere, "r" if name == "stdin" else "w"))


def _reported() -> tuple[type[Exception], ...]:
    """Errors that are reported in one line; any other is a bug in bm. Evaluated only when an error occurs."""
    from bm.errors import BmError

    return (BmError, OSError)


if __name__ == "__main__":
    sys.exit(main())

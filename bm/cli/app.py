"""`bm`: its commands and groups, and what happens on an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from bm.cli import (
    accounts,
    admin,
    clients,
    config,
    daemon,
    dispatch,
    monitoring,
    providers,
    record,
    service,
    test,
    usage,
)
from bm.cli.render import Json


def _typer(help_: str) -> typer.Typer:
    return typer.Typer(
        help=help_,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _typer("A local gateway between your coding tools and your models.")


def _version(wanted: bool) -> None:
    if wanted:
        from bm import __version__
        from bm.cli import render

        render.line(f"bm {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version)] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


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


_COMMANDS: tuple[dict[str, Any], ...] = (
    daemon.COMMANDS,
    clients.COMMANDS,
    dispatch.COMMANDS,
    monitoring.COMMANDS,
    usage.COMMANDS,
    {"models": providers.models},
    test.COMMANDS,
    {"doctor": doctor, "replay": record.replay, "demo": demo},
)
for _commands in _COMMANDS:
    for _name, _command in _commands.items():
        app.command(_name, context_settings=clients.PASS_THROUGH if _name == "run" else None)(_command)

for _name, _room, _list, _help in (
    ("accounts", accounts, accounts.list_, "Manage the credentials that requests are sent with."),
    ("providers", providers, providers.list_, "Manage providers: which are used, when, and with which key."),
    ("config", config, None, "Show and change the configuration."),
    ("service", service, None, "Start the daemon at login and after a crash."),
    ("record", record, None, "Record whole exchanges, off by default."),
):
    _sub = _typer(_help)
    if _list is not None:
        _sub.callback(invoke_without_command=True)(_or(_list))
    for _word, _command in _room.COMMANDS.items():
        _sub.command(_word)(_command)
    app.add_typer(_sub, name=_name, no_args_is_help=_list is None)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not running."""
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


def _reported() -> tuple[type[Exception], ...]:
    """Errors that are reported in one line; any other is a bug in bm. Evaluated only when an error occurs."""
    from bm.errors import BmError

    return (BmError, OSError)


if __name__ == "__main__":
    sys.exit(main())

"""`bm`: its commands, and what becomes of an error."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bm.cli import (
    accounts,
    config,
    daemon,
    dashboard,
    demo,
    doctor,
    env,
    models,
    providers,
    record,
    replay,
    route,
    run,
    service,
    setup,
    test,
    top,
    usage,
    why,
)


def _typer(help_: str) -> typer.Typer:
    return typer.Typer(
        help=help_,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _typer("A local gateway between your coding tools and the models you pay for or get for free.")


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


for _group in (daemon, dashboard, top, models, route, why, usage, replay, test, env, run, setup, doctor):
    for _name, _command in _group.COMMANDS.items():
        app.command(_name, context_settings=run.AS_GIVEN if _group is run else None)(_command)
app.command("demo")(demo.demo)

for _name, _room, _listed, _help in (
    ("providers", providers, providers.listed, "Providers: which are used, how, and with which key."),
    ("accounts", accounts, accounts.listed, "Accounts: the keys that requests are spent on."),
    ("config", config, None, "The configuration file."),
    ("service", service, None, "The daemon as a service: back after a login or a reboot."),
    ("record", record, None, "Whole exchanges, kept for a look and a replay; off unless asked for."),
):
    _sub = _typer(_help)
    if _listed is not None:
        _sub.callback(invoke_without_command=True)(_listed)
    for _word, _command in _room.COMMANDS.items():
        _sub.command(_word)(_command)
    app.add_typer(_sub, name=_name, no_args_is_help=_listed is None)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. The exit code: 0 done, 1 failed, 2 wrong usage or configuration, 3 not running."""
    try:
        app(arguments, prog_name="bm")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except _told() as error:
        from bm.cli import render
        from bm.cli.exits import exit_code, words

        render.error(words(error))
        return exit_code(error)
    except KeyboardInterrupt:
        return 130
    return 0


def _told() -> tuple[type[Exception], ...]:
    """The errors that a person is told of in a line; anything else is a fault of bm. Asked for only when one is."""
    from bm.errors import BmError

    return (BmError, OSError)


if __name__ == "__main__":
    sys.exit(main())

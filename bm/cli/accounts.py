"""`bm accounts`: the keys that requests are spent on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, edit, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from bm.accounts.account import Account
    from bm.accounts.store import Credentials

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The account.")]
Owner = Annotated[str, typer.Option("--provider", help="Its provider, where several have an account of this name.")]


def listed(context: typer.Context, as_json: Json = False) -> None:
    """Show the accounts: state, rest, last use, requests today."""
    if context.invoked_subcommand is None:
        list_(as_json)


def list_(as_json: Json = False) -> None:
    """Show the accounts: state, rest, last use, requests today."""
    answer = admin.ask(admin.here(), "GET", "/admin/accounts")
    if as_json:
        render.json(answer)
        return
    columns = ("account", "provider", "state", "rests", "last used", "today", "failed", "key")
    empty = "no accounts (bm accounts add NAME)"
    render.table(columns, [_row(row) for row in answer["accounts"]], empty=empty)
    for row in answer["accounts"]:
        if row["state"] == "out" and row["reason"]:
            render.line(f"{row['name']}: {row['reason']}")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    import time

    last = row["last_used"]
    return (
        row["name"],
        row["provider"],
        row["state"],
        _rest(row["cooldowns"]),
        f"{render.duration(max(time.time() - last, 0))} ago" if last else "never",
        str(row["requests_today"]),
        str(row["failures_today"]),
        row["key_hint"],
    )


def _rest(cooldowns: list[dict[str, Any]]) -> str:
    """The longest rest, and for which model."""
    resting = [each for each in cooldowns if each["seconds"] > 0]
    if not resting:
        return "-"
    longest = max(resting, key=lambda each: float(each["seconds"]))
    more = f" (+{len(resting) - 1})" if len(resting) > 1 else ""
    return f"{render.duration(longest['seconds'])} {longest['model'] or 'all models'}{more}"


def add(
    name: Annotated[str, typer.Argument(help="A name of your choice.")],
    provider: Annotated[str, typer.Option("--provider", help="Whose key it is.")] = "gemini",
    project: Annotated[str, typer.Option("--project", help="Accounts of one project share their limits.")] = "",
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not try the key.")] = False,
) -> None:
    """Add an account; its key is read from a prompt or standard input: the key, or env:NAME, file:PATH, cmd:COMMAND."""
    from datetime import UTC, datetime

    from bm.accounts.account import Account
    from bm.accounts.store import load
    from bm.cli import prompt, verify
    from bm.cli.exits import UsageError
    from bm.cli.providers import known

    paths = admin.here()
    owner = known(paths, provider)
    if any(each.id == (provider, name) for each in load(paths.accounts).accounts):
        raise UsageError(f"{provider} already has an account named {name!r} (bm accounts remove {name})")
    key = prompt.key(f"{provider} account {name}{f' ({owner.console})' if owner.console else ''}")
    now = datetime.now(UTC)
    account = Account(name=name, provider=provider, key=key, project=project, added_at=now, renewed_at=now)
    if not no_verify:
        verify.insist(paths, account)
    edit.credentials(paths, lambda stored: stored.add(account))
    render.line(f"{name}: added to {provider}")


def enable(name: Name, provider: Owner = "") -> None:
    """Let an account be used again, also one that its provider had refused."""
    from datetime import UTC, datetime

    _change(name, provider, lambda: {"enabled": True, "renewed_at": datetime.now(UTC)})
    render.line(f"{name}: enabled")


def disable(name: Name, provider: Owner = "") -> None:
    """Keep an account from being used."""
    _change(name, provider, lambda: {"enabled": False})
    render.line(f"{name}: disabled")


def _change(name: str, provider: str, fields: Callable[[], dict[str, Any]]) -> None:
    import msgspec

    def change(stored: Credentials) -> Credentials:
        return stored.change(msgspec.structs.replace(stored.find(name, provider), **fields()))

    edit.credentials(admin.here(), change)


def remove(
    name: Name,
    provider: Owner = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove an account and its key."""
    from bm.accounts.store import load
    from bm.cli import prompt

    paths = admin.here()
    account: Account = load(paths.accounts).find(name, provider)
    if not prompt.confirmed(f"Remove the account {name} of {account.provider} and its key?", yes=yes):
        raise typer.Exit(1)
    edit.credentials(paths, lambda stored: stored.remove(account.id))
    render.line(f"{name}: removed")


def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Accounts; none = all.")] = None,
    as_json: Json = False,
) -> None:
    """Try the accounts' keys; one that works is used again, also if its provider had refused it."""
    from bm.cli.test import probe, report

    paths = admin.here()
    results = probe(paths, names or [])
    worked = {(row["provider"], row["account"]) for row in results if row["ok"]}
    edit.credentials(paths, lambda stored: _renewed(stored, worked))
    report(results, as_json=as_json)


def _renewed(stored: Credentials, worked: set[tuple[str, str]]) -> Credentials:
    from datetime import UTC, datetime

    import msgspec

    now = datetime.now(UTC)
    for account in stored.accounts:
        if account.id in worked:
            stored = stored.change(msgspec.structs.replace(account, renewed_at=now))
    return stored


COMMANDS = {"list": list_, "add": add, "enable": enable, "disable": disable, "remove": remove, "verify": verify}

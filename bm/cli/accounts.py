"""`bm accounts`: the credentials that requests are sent with."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, order, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from collections.abc import Callable

    from bm.accounts.account import Account, OAuthClient
    from bm.accounts.credentials import Credentials
    from bm.config.paths import Paths

Name = Annotated[str, typer.Argument(help="The account.", autocompletion=completion.accounts)]
Place = Annotated[str, typer.Option("--location", help="Vertex AI location: global, us, eu, europe-west4, …")]
Owner = Annotated[
    str,
    typer.Option(
        "--provider",
        help="Its provider, if several have an account of this name.",
        autocompletion=completion.providers,
    ),
]

MOST_QUOTAS = 24
"""Beyond this many lines of quotas, those without a known limit are left out."""


def list_(as_json: Json = False) -> None:
    """List the accounts, their state and their use."""
    from bm.cli import tables

    answer = admin.ask(admin.here(), "GET", "/admin/accounts")
    if as_json:
        render.json(answer)
        return
    rows = answer["accounts"]
    columns, cells, empty = tables.accounts(rows)
    render.table(columns, cells, empty=empty, spare=("last used", "failed", "key", "model", "provider"))
    quotas, left_out = tables.quotas(rows, MOST_QUOTAS)
    if quotas.rows:
        render.line()
        render.table(quotas.columns, quotas.rows, empty="")
    if left_out:
        render.line(f"({left_out} lines without a known limit are left out: bm accounts --json)")
    for row in rows:
        _explain(row)
    for warning in answer.get("warnings", ()):
        render.note(f"warning: {warning}")


def _explain(row: dict[str, Any]) -> None:
    """Print what the user should know or do about an account."""
    who = f"{row['name']} of {row['provider']}"
    if row["state"] == "disabled":
        render.line()
        render.paragraph(f"{who} is disabled: {row['reason'].removesuffix(' (' + row['remedy'] + ')')}")
        for step in row["remedy"].split("; "):
            # Not wrapped, so that commands can be copied.
            render.line(f"    {step}")
    if row["state"] == "usable" and row["last_error"]:
        render.line()
        render.paragraph(f"{who} has not answered since: {row['last_error']}")
    for model, reason in row["excluded"].items():
        render.line()
        render.paragraph(f"{who} does not have {model}: {reason}")
        render.line(f"    bm accounts verify {shlex.quote(row['name'])} asks again")


def add(
    name: Annotated[str, typer.Argument(help="A name of your choice.")],
    provider: Annotated[
        str, typer.Option("--provider", help="The provider the key belongs to.", autocompletion=completion.providers)
    ] = "gemini",
    project: Annotated[str, typer.Option("--project", help="Accounts of one project share limits.")] = "",
    location: Place = "",
    vertex: Annotated[
        Path | None,
        typer.Option("--vertex", help="Vertex AI with this service account key file, which stays in place."),
    ] = None,
    service_account: Annotated[
        Path | None, typer.Option("--service-account", help="The Gemini API with this service account key file.")
    ] = None,
    adc: Annotated[bool, typer.Option("--adc", help="Use this machine's Application Default Credentials.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the key file into accounts.toml.")] = False,
    tier: order.Tier = None,
    weight: order.Weight = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Save the key without testing it.")] = False,
) -> None:
    """Add an account. Its key is read from a prompt or standard input.

    Instead of the key you may give a reference: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME.
    """
    from datetime import UTC, datetime

    import msgspec

    from bm.accounts.account import DEFAULT_LOCATION, Account
    from bm.accounts.edits import begun
    from bm.cli import terminal
    from bm.cli.exits import UsageError
    from bm.cli.test import insist

    paths = admin.here()
    owner = admin.provider(paths, provider)
    if any(each.id == (provider, name) for each in admin.vault(paths).accounts.load().accounts):
        raise UsageError(f"{provider} already has an account named {name!r} (bm accounts remove {name})")
    if sum((vertex is not None, service_account is not None, adc)) > 1:
        raise UsageError("give only one of --vertex, --service-account and --adc")
    account = Account(
        name=name, provider=provider, project=project, location=location, tier=tier or 0, weight=weight or 1
    )
    if file := vertex or service_account:
        place = location or (DEFAULT_LOCATION if vertex else "")
        account = msgspec.structs.replace(_service_account(account, file, copy=copy), location=place)
    elif adc:
        account = msgspec.structs.replace(account, kind="adc")
    else:
        key = terminal.key(f"{provider} account {name}{f' ({owner.console})' if owner.console else ''}")
        account = msgspec.structs.replace(account, key=key)
    account = begun(account, datetime.now(UTC))
    if not no_verify:
        insist(paths, account)
    admin.change_accounts(paths, lambda stored: stored.add(account))
    render.line(f"{name}: added to {provider}")


def _service_account(account: Account, file: Path, *, copy: bool) -> Account:
    """`account` with a service account: a reference to its key file, or its content, and the project the file names."""
    import os

    import msgspec

    from bm.accounts.google_files import FILE, read_key_file

    key = f"{FILE}{file.expanduser().absolute()}"
    found = read_key_file(key, os.environ)
    if copy:
        key = msgspec.json.encode(found).decode()
    project = account.project or found.project_id
    return msgspec.structs.replace(account, kind="service_account", key=key, project=project)


def login(
    name: Annotated[str, typer.Argument(help="A name of your choice, or an account to sign in again.")],
    client: Annotated[
        Path | None, typer.Option("--client", help="client_secret.json of your own OAuth client (Desktop app).")
    ] = None,
    project: Annotated[str, typer.Option("--project", help="The Google Cloud project to bill.")] = "",
    location: Place = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address; paste the result.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not test the account afterwards.")] = False,
) -> None:
    """Sign in to Google with your own OAuth client.

    The same name again renews the account.
    """
    import asyncio
    from datetime import UTC, datetime

    from bm.accounts.account import Account, check
    from bm.accounts.google_files import read_client
    from bm.accounts.sign_in import signed_in
    from bm.cli.exits import UsageError
    from bm.cli.test import probe, report

    paths = admin.here()
    old = next((each for each in admin.vault(paths).accounts.load().accounts if each.id == ("gemini", name)), None)
    own = read_client(client) if client else old.client if old else None
    if own is None:
        raise UsageError("an OAuth client is needed: --client client_secret.json (docs/accounts.md says how to get it)")
    project = project or (old.project if old else "")
    location = location or (old.location if old else "")
    wanted = Account(name=name, kind="google_oauth", key="-", client=own, project=project, location=location)
    check(wanted)
    if old is not None:
        signed_in(admin.vault(paths).accounts.load(), wanted, datetime.now(UTC))
    account = asyncio.run(_sign_in(paths, wanted, own, no_browser=no_browser))
    admin.change_accounts(paths, lambda stored: signed_in(stored, account, datetime.now(UTC)))
    render.line(f"{name}: signed in")
    if not no_verify:
        report(probe(paths, [name]), as_json=False)


async def _sign_in(paths: Paths, account: Account, client: OAuthClient, *, no_browser: bool) -> Account:
    import asyncio

    import msgspec

    from bm.accounts.sign_in import sign_in_by_paste, sign_in_with_browser
    from bm.cli import terminal
    from bm.upstream.client import UpstreamClient
    from bm.upstream.fetch import token_fetcher

    async def ask(address: str) -> str:
        render.note(f"open this address in any browser and allow the access:\n\n{address}\n")
        render.note("the browser then fails to open an address on this machine: paste that address here")
        return await asyncio.to_thread(terminal.answer, "Address")

    def tell(address: str) -> None:
        render.note(f"waiting for your consent in the browser; if none opens, go to\n\n{address}\n")

    config = admin.loaded(paths).config
    upstream = UpstreamClient()
    fetch = token_fetcher(upstream, lambda: config)
    try:
        if no_browser:
            key = await sign_in_by_paste(client, account.location, fetch, ask)
        else:
            key = await sign_in_with_browser(client, account.location, fetch, tell)
    finally:
        await upstream.close()
    return msgspec.structs.replace(account, key=key)


def enable(name: Name, provider: Owner = "") -> None:
    """Use an account again that was off or disabled."""
    from datetime import UTC, datetime

    _change(name, provider, lambda: {"enabled": True, "renewed_at": datetime.now(UTC)})
    render.line(f"{name}: enabled")


def disable(name: Name, provider: Owner = "") -> None:
    """Stop using an account; its key is kept."""
    _change(name, provider, lambda: {"enabled": False})
    render.line(f"{name}: disabled")


def _change(name: str, provider: str, fields: Callable[[], dict[str, Any]]) -> None:
    import msgspec

    def change(stored: Credentials) -> Credentials:
        return stored.change(msgspec.structs.replace(stored.find(name, provider), **fields()))

    admin.change_accounts(admin.here(), change)


def rename(
    name: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    provider: Owner = "",
) -> None:
    """Give an account another name. Its cooldowns and counts stay."""
    admin.change_accounts(admin.here(), lambda stored: stored.rename(stored.find(name, provider), new))
    render.line(f"{name}: renamed to {new}")


def key(
    name: Name,
    provider: Owner = "",
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Save the key without testing it.")] = False,
) -> None:
    """Replace the key of an account, read from a prompt or standard input."""
    from datetime import UTC, datetime

    from bm.accounts.edits import refuse_without_key, with_key
    from bm.cli import terminal
    from bm.cli.test import insist

    paths = admin.here()
    account = admin.vault(paths).accounts.load().find(name, provider)
    refuse_without_key(account)
    account = with_key(account, terminal.key(f"{account.provider} account {name}"), datetime.now(UTC))
    if not no_verify:
        insist(paths, account)
    admin.change_accounts(paths, lambda stored: stored.change(account))
    render.line(f"{name}: key replaced")


def remove(
    name: Name,
    provider: Owner = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove an account and its key."""
    from bm.cli import terminal

    paths = admin.here()
    account: Account = admin.vault(paths).accounts.load().find(name, provider)
    if not terminal.confirmed(f"Remove the account {name} of {account.provider} and its key?", yes=yes):
        raise typer.Exit(1)
    admin.change_accounts(paths, lambda stored: stored.remove(account.id))
    render.line(f"{name}: removed")


def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Accounts; default: all.", autocompletion=completion.accounts)
    ] = None,
    as_json: Json = False,
) -> None:
    """Test the accounts. One that works is used again, also if it was disabled or is cooling down."""
    _verify(admin.here(), names or [], as_json=as_json)


def wake(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Accounts; default: all that are cooling down or disabled.", autocompletion=completion.accounts
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Test accounts that are cooling down or disabled. One that works is used again at once."""
    paths = admin.here()
    if not names:
        rows = admin.ask(paths, "GET", "/admin/accounts")["accounts"]
        names = [f"{row['provider']}/{row['name']}" for row in rows if row["state"] in ("cooling down", "disabled")]
        if not names:
            render.line("no account is cooling down or disabled")
            return
    _verify(paths, names, as_json=as_json)


def _verify(paths: Paths, names: list[str], *, as_json: bool) -> None:
    from datetime import UTC, datetime

    from bm.accounts.edits import renewed
    from bm.cli.test import probe, report

    # A key file that could not be read before may exist now.
    admin.reload(paths)
    results = probe(paths, names, wake=True)
    worked = {(row["provider"], row["account"]) for row in results if row["ok"]}
    # Not a change that a person would undo.
    admin.vault(paths).accounts.update(lambda stored: renewed(stored, worked, datetime.now(UTC)))
    admin.reload(paths)
    report(results, as_json=as_json)

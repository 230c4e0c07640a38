"""`bm providers`: which providers are used, how, and with which key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, edit, render
from bm.names import Mode, ProtocolName

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.providers.provider import Provider

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The provider, such as groq.")]


def listed(context: typer.Context, as_json: Json = False) -> None:
    """Show the providers: enabled, mode, protocol, key, health."""
    if context.invoked_subcommand is None:
        list_(as_json)


def list_(as_json: Json = False) -> None:
    """Show the providers: enabled, mode, protocol, key, health."""
    answer = admin.ask(admin.here(), "GET", "/admin/providers")
    if as_json:
        render.json(answer)
        return
    rows = [
        (
            row["name"],
            render.yes(row["enabled"]),
            "first" if row["name"] == "gemini" else row["mode"],
            row["protocol"],
            render.yes(row["key_present"]),
            str(row["accounts"]),
            row["health"],
        )
        for row in answer["providers"]
    ]
    columns = ("provider", "enabled", "mode", "protocol", "key", "accounts", "health")
    render.table(columns, rows, empty="no providers")


def show(name: Name, as_json: Json = False) -> None:
    """Show everything about one provider."""
    paths = admin.here()
    provider = known(paths, name)
    rows = admin.ask(paths, "GET", "/admin/providers")["providers"]
    row = next((row for row in rows if row["name"] == provider.name), None) or _from_catalog(provider)
    if as_json:
        render.json(row)
        return
    models = ", ".join(f"{asked} = {model}" for asked, model in row["models"].items())
    render.facts(
        {
            "provider": row["name"],
            "enabled": render.yes(row["enabled"]),
            "mode": "first" if provider.pool else row["mode"],
            "protocol": row["protocol"],
            "base URL": row["base_url"],
            "serves": ", ".join(row["protocols"]),
            "models": models,
            "key": render.yes(row["key_present"]),
            "accounts": str(row["accounts"]),
            "health": row["health"],
            "last error": row["last_error"] or "",
            "get a key": provider.console,
        }
    )


def _from_catalog(provider: Provider) -> dict[str, Any]:
    """A provider that the configuration does not name, as the administration would tell it."""
    return {
        "name": provider.name,
        "enabled": provider.enabled,
        "mode": provider.mode,
        "protocol": provider.protocol,
        "base_url": provider.base_url,
        "protocols": list(provider.protocols),
        "accounts": 0,
        "key_present": provider.auth == "none",
        "health": "unknown",
        "last_error": None,
        "models": provider.models,
    }


def mode(name: Name, mode: Annotated[Mode, typer.Argument(help="How it takes part in dispatch.")]) -> None:
    """Set a provider's dispatch mode: off, exclusive, pooled or fallback. Takes effect on the next request."""
    from bm.cli.exits import UsageError

    paths = admin.here()
    if known(paths, name).pool:
        raise UsageError("gemini is the pool itself and has no mode (bm providers disable gemini)")
    edit.settings(paths, {_key(name, "mode"): mode})
    render.line(f"{name}: mode {mode}")
    if mode != "off":
        _tell_what_is_missing(paths, name)


def enable(name: Name) -> None:
    """Let a provider be used as its mode says."""
    paths = admin.here()
    known(paths, name)
    edit.settings(paths, {_key(name, "enabled"): True})
    render.line(f"{name}: enabled")
    _tell_what_is_missing(paths, name)


def disable(name: Name) -> None:
    """Keep a provider from being used; its mode and keys stay."""
    paths = admin.here()
    known(paths, name)
    edit.settings(paths, {_key(name, "enabled"): False})
    render.line(f"{name}: disabled")


def key(
    name: Name,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not try the key.")] = False,
) -> None:
    """Set a provider's key, read from a prompt or standard input: the key, or env:NAME, file:PATH, cmd:COMMAND."""
    from datetime import UTC, datetime

    from bm.accounts.account import MAIN_NAME, Account
    from bm.accounts.credentials import Credentials
    from bm.cli import prompt, verify
    from bm.cli.exits import UsageError

    paths = admin.here()
    if known(paths, name).pool:
        raise UsageError("the pool has accounts with names: bm accounts add NAME")
    now = datetime.now(UTC)
    account = Account(name=MAIN_NAME, provider=name, key=prompt.key(name), added_at=now, renewed_at=now)
    if not no_verify:
        verify.insist(paths, account)

    def change(stored: Credentials) -> Credentials:
        known = any(each.id == account.id for each in stored.accounts)
        return stored.change(account) if known else stored.add(account)

    edit.credentials(paths, change)
    render.line(f"{name}: key saved")
    _tell_what_is_missing(paths, name)


def add(
    name: Annotated[str, typer.Argument(help="The provider's name: a-z, 0-9, - and _.")],
    protocol: Annotated[ProtocolName, typer.Option("--protocol", help="The wire it speaks.")],
    base_url: Annotated[str, typer.Option("--base-url", help="Its address, as its vendor writes it for SDKs.")],
    mode: Annotated[Mode, typer.Option("--mode", help="How it takes part in dispatch.")] = "off",
) -> None:
    """Add a provider of your own: any service that speaks one of the protocols."""
    from bm.cli.exits import UsageError

    paths = admin.here()
    if any(each.name == name and each.configured for each in _providers(paths)):
        raise UsageError(f"there is a provider {name} already (bm providers show {name})")
    values = {"enabled": True, "mode": mode, "protocol": protocol, "base_url": base_url}
    edit.settings(paths, {_key(name, field): value for field, value in values.items()})
    render.line(f"{name}: added")
    _tell_what_is_missing(paths, name)


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove a provider's settings and its stored keys."""
    from bm.accounts.credentials import Credentials
    from bm.cli import prompt
    from bm.cli.exits import UsageError
    from bm.config.edit import unset
    from bm.providers.catalog import KNOWN

    paths = admin.here()
    if known(paths, name).pool:
        raise UsageError("gemini cannot be removed (bm providers disable gemini)")
    if not prompt.confirmed(f"Remove the settings and keys of {name}?", yes=yes):
        raise typer.Exit(1)

    def change(stored: Credentials) -> Credentials:
        for account in stored.accounts:
            if account.provider == name:
                stored = stored.remove(account.id)
        return stored

    edit.credentials(paths, change)
    unset(paths.config, _key(name), known=KNOWN)
    admin.reload(paths)
    render.line(f"{name}: removed")


def _key(*parts: str) -> str:
    from bm.config.keys import dotted

    return dotted(parts if parts[0] == "gemini" else ("providers", *parts))


def _providers(paths: Paths) -> tuple[Provider, ...]:
    from bm.config.load import load
    from bm.providers.catalog import KNOWN
    from bm.providers.provider import effective

    return effective(load(paths.config, os.environ, known=KNOWN).config)


def known(paths: Paths, name: str) -> Provider:
    """The provider of that name.

    Raises:
        UsageError: there is none; names the nearest.
    """
    from bm.cli.exits import UsageError
    from bm.config.validation import nearest

    found = {provider.name: provider for provider in _providers(paths)}
    if name in found:
        return found[name]
    cure = nearest(name, list(found)) or f"bm providers add {name} --protocol … --base-url …"
    raise UsageError(f"no provider is named {name!r} ({cure})")


def _tell_what_is_missing(paths: Paths, name: str) -> None:
    """What keeps the provider from being used, and the cure."""
    from bm.accounts.credentials import all_accounts
    from bm.accounts.credentials import load as load_credentials
    from bm.config.load import load
    from bm.providers.catalog import KNOWN

    provider = known(paths, name)
    config = load(paths.config, os.environ, known=KNOWN).config
    if not provider.enabled:
        render.note(f"note: {name} is not enabled: bm providers enable {name}")
    elif provider.mode == "off":
        render.note(f"note: its mode is off: bm providers mode {name} pooled (or exclusive, fallback)")
    accounts = [
        each
        for each in all_accounts(load_credentials(paths.accounts), config, os.environ)
        if each.account.provider == name
    ]
    if provider.auth != "none" and not accounts:
        cure = "bm accounts add NAME" if provider.pool else f"bm providers key {name}"
        render.note(f"note: {name} has no key: {cure}{f' (get one: {provider.console})' if provider.console else ''}")
    for each in accounts:
        if each.problem:
            render.note(f"note: account {each.account.name} of {name} cannot be used: {each.problem}")


COMMANDS = {
    "list": list_,
    "show": show,
    "mode": mode,
    "enable": enable,
    "disable": disable,
    "key": key,
    "add": add,
    "remove": remove,
}

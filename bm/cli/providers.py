"""`bm providers`: who may be called, when, and with which key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json
from bm.names import Mode, ProtocolName

if TYPE_CHECKING:
    from bm.config.paths import Paths

Name = Annotated[str, typer.Argument(help="The provider, such as groq.", autocompletion=completion.providers)]


def list_(as_json: Json = False) -> None:
    """List all providers: in use, ready, and those that need a key."""
    from bm.accounts.available import available

    paths = admin.here()
    answer = admin.ask(paths, "GET", "/admin/providers")
    listed = {row["name"] for row in answer["providers"]}
    others = available([each for each in admin.providers(paths) if each.name not in listed], os.environ)
    if as_json:
        render.json(answer | {"available": [each._asdict() for each in others]})
        return
    rows = [(row["name"], row["state"], row["mode"], _key_words(row), row["health"]) for row in answer["providers"]]
    rows += [(each.name, each.state, "-", each.key, "-") for each in others if each.state == "ready"]
    render.table(("provider", "state", "mode", "key", "health"), rows, empty="no providers", spare=("health",))
    unused = [(each.name, each.key, each.link) for each in others if each.state != "ready"]
    if unused:
        render.line()
        render.line("To use another one: bm providers use NAME")
        render.table(("provider", "takes its key from", "get one at"), unused, empty="")


def _key_words(row: dict[str, Any]) -> str:
    if not row["accounts"]:
        return "no key" if row["state"] == "needs key" else "no key needed"
    return f"{row['accounts']} account{'s' if row['accounts'] > 1 else ''}"


def show(name: Name, as_json: Json = False) -> None:
    """Show everything about one provider."""
    paths = admin.here()
    provider = admin.provider(paths, name)
    row = admin.ask(paths, "GET", f"/admin/providers/{name}")
    if as_json:
        render.json(row)
        return
    models = ", ".join(f"{asked} = {model}" for asked, model in row["models"].items())
    render.facts(
        {
            "provider": row["name"],
            "state": row["state"],
            "enabled": render.yes(row["enabled"]),
            "mode": row["mode"],
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


def mode(name: Name, mode: Annotated[Mode, typer.Argument(help="When requests go to it.")]) -> None:
    """Set the dispatch mode: off, exclusive, pooled or fallback. Applies from the next request on.

    A mode other than off also enables the provider.
    """
    from bm.cli.exits import UsageError
    from bm.config.edit import mode_settings

    paths = admin.here()
    provider = admin.provider(paths, name)
    if provider.pool:
        raise UsageError("gemini is the pool itself and has no mode (to switch it off: bm providers disable gemini)")
    settings = mode_settings(name, mode, enabled=provider.enabled)
    admin.change_settings(paths, settings)
    render.line(f"{name}: mode {mode}" + (", enabled" if len(settings) > 1 else ""))
    if mode != "off":
        _warn_of_gaps(paths, name)


def enable(name: Name) -> None:
    """Allow a provider to be used, in its mode."""
    paths = admin.here()
    admin.provider(paths, name)
    admin.change_settings(paths, {_key(name, "enabled"): True})
    render.line(f"{name}: enabled")
    _warn_of_gaps(paths, name)


def disable(name: Name) -> None:
    """Stop using a provider; its mode and keys are kept."""
    paths = admin.here()
    admin.provider(paths, name)
    admin.change_settings(paths, {_key(name, "enabled"): False})
    render.line(f"{name}: disabled")


def key(
    name: Name,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Save the key without testing it.")] = False,
) -> None:
    """Set a provider's key, read from a prompt or standard input.

    Instead of the key you may give a reference: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME.
    """
    from bm.cli import terminal
    from bm.cli.exits import UsageError
    from bm.cli.use import save_key

    paths = admin.here()
    if admin.provider(paths, name).pool:
        raise UsageError("gemini has named accounts instead: bm accounts add NAME")
    save_key(paths, name, terminal.key(name), verify=not no_verify)
    render.line(f"{name}: key saved")
    _warn_of_gaps(paths, name)


def add(
    name: Annotated[str, typer.Argument(help="The provider's name: a-z, 0-9, - and _.")],
    protocol: Annotated[ProtocolName, typer.Option("--protocol", help="The protocol it speaks.")],
    base_url: Annotated[str, typer.Option("--base-url", help="Its base URL, as its vendor gives it for SDKs.")],
    mode: Annotated[Mode, typer.Option("--mode", help="When requests go to it.")] = "off",
) -> None:
    """Add any service that speaks one of the four protocols."""
    from bm.cli.exits import UsageError

    paths = admin.here()
    if any(each.name == name and each.configured for each in admin.providers(paths)):
        raise UsageError(f"provider {name} exists already (bm providers show {name})")
    values = {"enabled": True, "mode": mode, "protocol": protocol, "base_url": base_url}
    admin.change_settings(paths, {_key(name, field): value for field, value in values.items()})
    render.line(f"{name}: added")
    _warn_of_gaps(paths, name)


def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a provider's settings and its stored keys."""
    from bm.accounts.credentials import Credentials
    from bm.cli import terminal
    from bm.cli.exits import UsageError

    paths = admin.here()
    if admin.provider(paths, name).pool:
        raise UsageError("gemini cannot be removed (bm providers disable gemini)")
    if not terminal.confirmed(f"Remove the settings and keys of {name}?", yes=yes):
        raise typer.Exit(1)

    def change(stored: Credentials) -> Credentials:
        for account in stored.accounts:
            if account.provider == name:
                stored = stored.remove(account.id)
        return stored

    admin.change_accounts(paths, change)
    admin.unset_setting(paths, _key(name))
    render.line(f"{name}: removed")


def _key(*parts: str) -> str:
    from bm.config.keys import dotted

    return dotted(parts if parts[0] == "gemini" else ("providers", *parts))


def _warn_of_gaps(paths: Paths, name: str) -> None:
    """Say what keeps the provider from being used, and the remedy."""
    from bm.accounts.credentials import all_accounts

    provider = admin.provider(paths, name)
    if not provider.enabled:
        render.note(f"note: {name} is not enabled: bm providers enable {name}")
    elif provider.mode == "off":
        render.note(f"note: its mode is off: bm providers mode {name} pooled (or exclusive, fallback)")
    credentials = all_accounts(admin.vault(paths).accounts.load(), admin.loaded(paths).config, os.environ)
    accounts = [each for each in credentials if each.account.provider == name]
    if provider.auth != "none" and not accounts:
        remedy = "bm accounts add NAME" if provider.pool else f"bm providers key {name}"
        where = f" (get one: {provider.console})" if provider.console else ""
        render.note(f"note: {name} has no key: {remedy}{where}")
    for each in accounts:
        if each.problem:
            render.note(f"note: account {each.account.name} of {name} cannot be used: {each.problem}")

"""`bm providers` and `bm models`: who may be called, how, with which key and which models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json
from bm.names import Mode, ProtocolName

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.providers.provider import Provider

Name = Annotated[str, typer.Argument(help="The provider, such as groq.", autocompletion=completion.providers)]


def list_(as_json: Json = False) -> None:
    """List the providers: enabled, mode, protocol, key, health."""
    answer = admin.ask(admin.here(), "GET", "/admin/providers")
    if as_json:
        render.json(answer)
        return
    rows = [
        (
            row["name"],
            render.yes(row["enabled"]),
            row["mode"],
            row["protocol"],
            render.yes(row["key_present"]),
            str(row["accounts"]),
            row["health"],
        )
        for row in answer["providers"]
    ]
    columns = ("provider", "enabled", "mode", "protocol", "key", "accounts", "health")
    render.table(columns, rows, empty="no providers")
    listed = {row["name"] for row in answer["providers"]}
    if others := [provider.name for provider in _providers(admin.here()) if provider.name not in listed]:
        render.line()
        render.paragraph(f"Known and not set up: {', '.join(others)}.")
        render.paragraph("To use one: bm providers key NAME, then bm providers mode NAME fallback.")


def show(name: Name, as_json: Json = False) -> None:
    """Show everything about one provider."""
    paths = admin.here()
    provider = known(paths, name)
    row = admin.ask(paths, "GET", f"/admin/providers/{name}")
    if as_json:
        render.json(row)
        return
    models = ", ".join(f"{asked} = {model}" for asked, model in row["models"].items())
    render.facts(
        {
            "provider": row["name"],
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
    provider = known(paths, name)
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
    known(paths, name)
    admin.change_settings(paths, {_key(name, "enabled"): True})
    render.line(f"{name}: enabled")
    _warn_of_gaps(paths, name)


def disable(name: Name) -> None:
    """Stop using a provider; its mode and keys are kept."""
    paths = admin.here()
    known(paths, name)
    admin.change_settings(paths, {_key(name, "enabled"): False})
    render.line(f"{name}: disabled")


def key(
    name: Name,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Save the key without testing it.")] = False,
) -> None:
    """Set a provider's key, read from a prompt or standard input.

    Instead of the key you may give a reference: env:NAME, file:PATH, cmd:COMMAND or keyring:NAME.
    """
    from datetime import UTC, datetime

    from bm.accounts.account import MAIN_NAME, Account
    from bm.accounts.credentials import Credentials
    from bm.cli import terminal
    from bm.cli.exits import UsageError
    from bm.cli.test import insist

    paths = admin.here()
    if known(paths, name).pool:
        raise UsageError("gemini has named accounts instead: bm accounts add NAME")
    now = datetime.now(UTC)
    account = Account(name=MAIN_NAME, provider=name, key=terminal.key(name), added_at=now, renewed_at=now)
    if not no_verify:
        insist(paths, account)

    def change(stored: Credentials) -> Credentials:
        known = any(each.id == account.id for each in stored.accounts)
        return stored.change(account) if known else stored.add(account)

    admin.change_accounts(paths, change)
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
    if any(each.name == name and each.configured for each in _providers(paths)):
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
    if known(paths, name).pool:
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


def _providers(paths: Paths) -> tuple[Provider, ...]:
    from bm.providers.provider import effective

    return effective(admin.loaded(paths).config)


def known(paths: Paths, name: str) -> Provider:
    """The provider of that name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    from bm.cli.exits import UsageError
    from bm.config.validation import nearest

    found = {provider.name: provider for provider in _providers(paths)}
    if name in found:
        return found[name]
    remedy = nearest(name, list(found)) or f"bm providers add {name} --protocol … --base-url …"
    raise UsageError(f"no provider is named {name!r} ({remedy})")


def _warn_of_gaps(paths: Paths, name: str) -> None:
    """Say what keeps the provider from being used, and the remedy."""
    from bm.accounts.credentials import all_accounts, load

    provider = known(paths, name)
    if not provider.enabled:
        render.note(f"note: {name} is not enabled: bm providers enable {name}")
    elif provider.mode == "off":
        render.note(f"note: its mode is off: bm providers mode {name} pooled (or exclusive, fallback)")
    credentials = all_accounts(load(paths.accounts), admin.loaded(paths).config, os.environ)
    accounts = [each for each in credentials if each.account.provider == name]
    if provider.auth != "none" and not accounts:
        remedy = "bm accounts add NAME" if provider.pool else f"bm providers key {name}"
        where = f" (get one: {provider.console})" if provider.console else ""
        render.note(f"note: {name} has no key: {remedy}{where}")
    for each in accounts:
        if each.problem:
            render.note(f"note: account {each.account.name} of {name} cannot be used: {each.problem}")


def models(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL | forget MODEL]", help="Show or forget what was learned of a model."),
    ] = None,
    as_json: Json = False,
    everything: Annotated[bool, typer.Option("--all", help="Include models that do not chat.")] = False,
) -> None:
    """List the models in use, or what was learned of one."""
    match words or []:
        case []:
            _list_models(as_json=as_json, everything=everything)
        case ["forget", model]:
            _forget(model, as_json=as_json)
        case [model]:
            _learned(model, as_json=as_json)
        case _:
            raise typer.BadParameter("give one model, or: forget MODEL")


def _forget(model: str, *, as_json: bool) -> None:
    answer = admin.ask(admin.here(), "POST", "/admin/models/forget", {"model": model})
    if as_json:
        render.json(answer)
        return
    render.line(f"forgot {answer['forgotten']} changes of requests to {model}")


def _learned(model: str, *, as_json: bool) -> None:
    answer = admin.ask(admin.here(), "POST", "/admin/models/learned", {"model": model})
    if as_json:
        render.json(answer)
        return
    rows = [
        (f"{row['provider']}:{row['model']}", row["protocol"], row["remedy"], render.moment(row["at"]), row["reason"])
        for row in answer["learned"]
    ]
    empty = f"nothing was learned of {model}: its requests are sent as they are"
    render.table(("model", "protocol", "change", "since", "because"), rows, empty=empty)


def _list_models(*, as_json: bool, everything: bool) -> None:
    from datetime import date

    from bm.providers.retirement import retirement

    answer = admin.ask(admin.here(), "GET", "/admin/models", timeout=admin.PROBE_LIMIT)
    if as_json:
        render.json(answer)
        return
    today = date.today()
    rows = [
        (
            row["id"],
            row["provider"],
            render.count(row["context"] or None),
            render.count(row["max_output"] or None),
            retirement(row["id"], today, date.fromisoformat(row["retires"]) if row.get("retires") else None),
        )
        for row in answer["models"]
        if everything or row["generates"]
    ]
    empty = "no provider in use lists any model (bm test says why)"
    render.table(("model", "provider", "context", "longest answer", "note"), rows, empty=empty)

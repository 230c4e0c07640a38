"""`bm providers use`: from a known name to a provider in use, in one step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.names import Mode

if TYPE_CHECKING:
    from bm.config.paths import Paths
    from bm.providers.provider import Provider


def use(
    name: Annotated[str, typer.Argument(help="The provider, such as groq.", autocompletion=completion.providers)],
    mode: Annotated[
        Mode | None, typer.Option("--mode", help="When requests go to it; default: fallback, or the mode it has.")
    ] = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not test the key.")] = False,
) -> None:
    """Use a provider: ask for its key, test it, enable the provider, set its mode.

    The key is taken from the provider's own variable (GROQ_API_KEY …) if that is set, else read from a prompt or
    standard input. A key that is stored already is kept (bm providers key NAME replaces it).
    """
    from bm.cli.exits import UsageError

    paths = admin.here()
    provider = admin.provider(paths, name)
    if mode == "off":
        raise UsageError(f"off means that it is not used: bm providers mode {name} off")
    if provider.pool and mode:
        raise UsageError("gemini is the pool itself and has no mode")
    take(paths, provider, mode, verify=not no_verify)


def take(paths: Paths, provider: Provider, mode: Mode | None, *, verify: bool, key: str = "") -> None:
    """Make sure that there is a key, enable the provider in `mode`, and print what it serves.

    `key` is one that the user has given already. With the mode `off`, the key is stored and not used.

    Raises:
        AccountError: the key is refused.
        ConfigError: the settings cannot be changed.
        UsageError: no key is given, or a server on this machine does not run.
    """
    from bm.accounts.available import answers
    from bm.cli.exits import UsageError
    from bm.config.edit import Value, mode_settings

    name = provider.name
    if provider.auth != "none":
        _ensure_key(paths, provider, key, verify=verify)
    elif verify and not answers(provider):
        raise UsageError(f"{name} does not run at {provider.base_url}: start it ({provider.console})")
    settings: dict[str, Value] = {"gemini.enabled": True}
    chosen = mode or (provider.mode if provider.mode != "off" else "fallback")
    if not provider.pool:
        settings = mode_settings(name, chosen, enabled=provider.enabled)
    if not provider.pool or not provider.enabled:
        admin.change_settings(paths, settings)
    if chosen == "off":
        render.line(f"{name}: ready (bm providers use {name})")
        return
    render.line(f"{name}: in use" + ("" if provider.pool else f", mode {chosen}"))
    _say_who_is_served(paths, name)


def _ensure_key(paths: Paths, provider: Provider, given: str, *, verify: bool) -> None:
    """Store a key unless a usable one is stored. One in the environment is copied: the daemon may not see it."""
    from bm.accounts.available import key_in
    from bm.cli import terminal

    name, offered = provider.name, key_in(os.environ, provider)
    rows = [row for row in admin.ask(paths, "GET", "/admin/accounts")["accounts"] if row["provider"] == name]
    if any(row["state"] != "disabled" and _is_stored(row, offered) for row in rows):
        render.note(f"{name}: the key that is stored is kept")
        return
    for row in rows:
        if row["state"] == "disabled":
            render.note(f"{name}: the key of {row['name']} cannot be used: {row['reason']}")
    if offered and given in ("", offered):
        render.note(f"the key is taken from {provider.key_env}")
    where = f" ({provider.console})" if provider.console else ""
    save_key(paths, name, given or offered or terminal.key(f"{name}{where}"), verify=verify)


def _is_stored(row: dict[str, Any], offered: str) -> bool:
    """Whether the key of an account is in bm's files, instead of only in this shell's environment."""
    from bm.accounts.account import CONFIG_NAME

    return row["name"] != CONFIG_NAME or not offered


def save_key(paths: Paths, name: str, key: str, *, verify: bool) -> None:
    """Store the key of a provider's main account, in place of the one it has.

    Raises:
        AccountError: the key is refused.
    """
    from datetime import UTC, datetime

    from bm.accounts.edits import main_account, put
    from bm.cli.test import insist

    account = main_account(name, key, datetime.now(UTC))
    if verify:
        insist(paths, account)
    admin.change_accounts(paths, lambda stored: put(stored, account))


def _say_who_is_served(paths: Paths, name: str) -> None:
    """Print which tools the provider serves in its mode, and how the others can be."""
    from bm.clients.catalog import served_by

    provider = admin.provider(paths, name)
    served, others = served_by(provider.protocols)
    render.line(f"it serves {', '.join(served) if served else 'no tool that bm knows'}")
    if others:
        every = '["anthropic", "openai-chat", "openai-responses", "gemini"]'
        render.note(f"note: it does not serve {', '.join(others)}, which speak other protocols. To let it:")
        render.note(f"    bm config set providers.{name}.protocols '{every}'")

"""`bm keys`: keys for clients, each with its own limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, budgets, completion, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from datetime import datetime

    from bm.config.paths import Paths
    from bm.keys.key import Key

Name = Annotated[str, typer.Argument(help="The key.", autocompletion=completion.keys)]
Models = Annotated[
    list[str] | None,
    typer.Option("--models", help="Only models that fit these patterns, such as 'claude-*'; '' = all."),
]
Providers = Annotated[
    list[str] | None,
    typer.Option("--providers", help="Only these providers; '' = all.", autocompletion=completion.providers),
]
Rpm = Annotated[int | None, typer.Option("--rpm", min=0, help="Requests per minute; 0 = no limit.")]
Tpm = Annotated[int | None, typer.Option("--tpm", min=0, help="Tokens per minute; 0 = no limit.")]
Budget = Annotated[
    list[str] | None, typer.Option("--budget", help="Such as 20/day, 200/month, '2M tokens/hour'; '' = none.")
]
Expires = Annotated[
    str | None, typer.Option("--expires", help="A date, or a time from now: 2027-01-31, 30d, 12h; '' = never.")
]


def list_(as_json: Json = False) -> None:
    """List the keys of clients and what they are limited to."""
    answer = admin.ask(admin.here(), "GET", "/admin/keys")
    if as_json:
        render.json(answer)
        return
    columns = ("name", "key", "models", "providers", "limits", "expires")
    render.table(columns, [_cells(row) for row in answer["keys"]], empty="no keys but bm's own (bm keys add NAME)")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    limits = [
        *([f"{row['rpm']:,} requests/min"] if row["rpm"] else []),
        *([f"{row['tpm']:,} tokens/min"] if row["tpm"] else []),
        *([budgets.used(row["spending"], alone=True)] if row["spending"] else row["budgets"]),
    ]
    expires = "expired" if row["expired"] else (row["expires_at"] or "never")[:10]
    names = (", ".join(row["models"]) or "all", ", ".join(row["providers"]) or "all")
    return (row["name"], row["hint"], *names, ", ".join(limits) or "none", expires)


def add(
    name: Annotated[str, typer.Argument(help="A name of your choice.")],
    models: Models = None,
    providers: Providers = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    budget: Budget = None,
    expires: Expires = None,
    as_json: Json = False,
) -> None:
    """Add a key for a client. It is shown once.

    It opens the model APIs, as bm's own key does, but neither the dashboard nor anything else of administration.
    """
    from bm.keys.key import Key

    paths = admin.here()
    key = _changed(paths, Key(name=name), models, providers, rpm, tpm, budget, expires)
    _issue(paths, key, new=True, as_json=as_json)


def change(
    name: Name,
    models: Models = None,
    providers: Providers = None,
    rpm: Rpm = None,
    tpm: Tpm = None,
    budget: Budget = None,
    expires: Expires = None,
) -> None:
    """Change what a key is limited to. What you do not give stays."""
    paths = admin.here()
    key = _changed(paths, admin.vault(paths).keys.load().find(name), models, providers, rpm, tpm, budget, expires)
    admin.change_keys(paths, lambda stored: stored.change(key))
    render.line(f"{name}: changed")


def rotate(name: Name, as_json: Json = False) -> None:
    """Replace a key by a new one with the same limits. The old one ends at once."""
    paths = admin.here()
    _issue(paths, admin.vault(paths).keys.load().find(name), new=False, as_json=as_json)


def revoke(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove a key. Requests that are running finish."""
    from bm.cli import terminal

    if not terminal.confirmed(f"Revoke the key {name}?", yes=yes):
        raise typer.Exit(1)
    admin.change_keys(admin.here(), lambda stored: stored.revoke(name))
    render.line(f"{name}: revoked")


def _issue(paths: Paths, key: Key, *, new: bool, as_json: bool) -> None:
    """Store a key with a new secret, and show that."""
    from datetime import UTC, datetime

    from bm.keys.file import new_key

    made = new_key(key, datetime.now(UTC))
    admin.change_keys(paths, lambda stored: stored.add(made.stored) if new else stored.change(made.stored))
    if as_json:
        render.json({"name": key.name, "key": made.secret})
        return
    render.line(made.secret)
    render.note(f"this is the key {key.name}: bm stores only a digest and cannot show it again")


def _changed(
    paths: Paths,
    key: Key,
    models: list[str] | None,
    providers: list[str] | None,
    rpm: int | None,
    tpm: int | None,
    budget: list[str] | None,
    expires: str | None,
) -> Key:
    """The key with what is given.

    Raises:
        UsageError: a provider is unknown, or a time cannot be read.
        AccountError: a budget cannot be read.
    """
    from datetime import datetime

    import msgspec

    from bm.keys.key import check_limits

    for name in _words(providers) or ():
        admin.provider(paths, name)
    given: dict[str, Any] = {
        "models": _words(models),
        "providers": _words(providers),
        "rpm": rpm,
        "tpm": tpm,
        "budgets": _words(budget),
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if expires is not None:
        fields["expires_at"] = _time(expires, datetime.now().astimezone()) if expires else None
    changed = msgspec.structs.replace(key, **fields)
    check_limits(changed)
    return changed


def _words(given: list[str] | None) -> tuple[str, ...] | None:
    """The words of an option that may be repeated and holds several, separated by commas; None if it is not given."""
    if given is None:
        return None
    return tuple(word.strip() for each in given for word in each.split(",") if word.strip())


def _time(text: str, now: datetime) -> datetime:
    from bm.cli.exits import UsageError
    from bm.keys.key import read_expiry

    try:
        return read_expiry(text, now)
    except ValueError as error:
        raise UsageError(f"--expires {text}: {error}") from None

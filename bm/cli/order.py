"""`bm accounts order`: which accounts are used up first, and how those of one tier share the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from bm.accounts.credentials import Credentials
    from bm.config.paths import Paths

MOST = 99
"""The largest tier and weight, as `bm.accounts.account` has it; that is not imported to build the command line."""

Tier = Annotated[
    int | None, typer.Option("--tier", min=0, max=MOST, help="Accounts of a lower tier are used up first.")
]
Weight = Annotated[
    int | None, typer.Option("--weight", min=1, max=MOST, help="Its share of the requests among those of its tier.")
]


def order(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Accounts; several are put in this order.", autocompletion=completion.accounts),
    ] = None,
    tier: Tier = None,
    weight: Weight = None,
    provider: Annotated[
        str,
        typer.Option(
            "--provider",
            help="Their provider, if several have an account of this name.",
            autocompletion=completion.providers,
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Show or change which accounts are used first, and how often.

    Accounts of a lower tier are used up before those of a higher one. Those of one tier take turns, and a turn is as
    many requests as the weight: of weights 3 and 1, the first gets three of four requests. Every account begins in tier
    0 with weight 1. A conversation stays with its account.
    """
    from bm.cli.exits import UsageError

    paths = admin.here()
    if names:
        if tier is None and weight is None and len(names) == 1:
            raise UsageError("say where it belongs: --tier, --weight, or several accounts in their order")
        _change(paths, names, tier, weight, provider)
    rows = _rows(paths)
    if as_json:
        render.json({"accounts": rows})
        return
    shown = [(row["name"], row["provider"], str(row["tier"]), str(row["weight"]), row["share"]) for row in rows]
    render.table(("account", "provider", "tier", "weight", "share"), shown, empty="no accounts (bm accounts add NAME)")


def _change(paths: Paths, names: list[str], tier: int | None, weight: int | None, provider: str) -> None:
    """Give each account its tier and weight. Without either, the first account gets tier 0, the second 1 and so on."""
    import msgspec

    def change(stored: Credentials) -> Credentials:
        for place, name in enumerate(names):
            fields: dict[str, int] = {} if weight is None else {"weight": weight}
            if tier is not None or weight is None:
                fields["tier"] = place if tier is None else tier
            stored = stored.change(msgspec.structs.replace(stored.find(name, provider), **fields))
        return stored

    admin.change_accounts(paths, change)


def _rows(paths: Paths) -> list[dict[str, Any]]:
    """The accounts by provider and tier; `share` is the part of the requests while all of the tier are usable."""
    found = admin.ask(paths, "GET", "/admin/accounts")["accounts"]
    providers = list(dict.fromkeys(row["provider"] for row in found))
    found.sort(key=lambda row: (providers.index(row["provider"]), row["tier"]))
    weights: dict[tuple[str, int], int] = {}
    for row in found:
        place = row["provider"], row["tier"]
        weights[place] = weights.get(place, 0) + row["weight"]
    return [
        {name: row[name] for name in ("name", "provider", "tier", "weight")} | {"share": _share(row, weights)}
        for row in found
    ]


def _share(row: dict[str, Any], weights: dict[tuple[str, int], int]) -> str:
    return f"{row['weight'] / weights[row['provider'], row['tier']]:.0%}"

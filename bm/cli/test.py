"""`bm test`: one small real request to each account, or with a key that is not saved yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, completion, render
from bm.cli.render import Json

if TYPE_CHECKING:
    from bm.accounts.account import Account
    from bm.config.paths import Paths
    from bm.gateway.probe import Probe


def test(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Providers or accounts; default: all in use.", autocompletion=completion.accounts_and_providers
        ),
    ] = None,
    as_json: Json = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Ask what the models take: levels, forced tools, schemas, limits.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --deep: do not ask before requests are sent.")] = False,
) -> None:
    """Send one small real request to each account."""
    if deep:
        _ask_deeply(admin.here(), names or [], as_json=as_json, yes=yes)
        return
    report(probe(admin.here(), names or []), as_json=as_json)


def _ask_deeply(paths: Paths, names: list[str], *, as_json: bool, yes: bool) -> None:
    """Say what asking costs, ask, and print the answers, which are kept like what refusals teach."""
    from bm.cli import terminal

    def post(dry: bool) -> dict[str, Any]:
        body = {"names": names, "dry": dry}
        answer: dict[str, Any] = admin.ask(paths, "POST", "/admin/probe/deep", body, timeout=admin.PROBE_LIMIT)
        return answer

    if not yes and not as_json:
        plan = post(dry=True)["plan"]
        rows = [
            (row["provider"], row["account"], row["model"], str(row["requests"]), render.money(row["cost"]))
            for row in plan
        ]
        empty = "nothing to ask: no provider in use has an account and a model that bm maps to"
        render.table(("provider", "account", "model", "requests", "cost, about"), rows, empty=empty)
        if not plan or not terminal.confirmed("Send these requests?", yes=False):
            raise typer.Exit(1)
    answer = post(dry=False)
    if as_json:
        render.json(answer)
        return
    found = [
        (f"{row['provider']}:{row['model']}", row["question"], row["answer"], row["words"]) for row in answer["answers"]
    ]
    render.table(("model", "question", "answer", "the service's words"), found, empty="nothing was asked")


def probe(paths: Paths, names: list[str], *, wake: bool = False) -> list[dict[str, Any]]:
    """The result for each account. With `wake`, an answer ends its cooldowns.

    Who is waited for, and each answer as it comes, is shown on standard error.

    Raises:
        BmError: the daemon or the files cannot be used.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    def post(**body: Any) -> Any:
        return admin.ask(paths, "POST", "/admin/probe", {**body, "wake": wake}, timeout=admin.PROBE_LIMIT)

    plan = post(names=names, dry=True)
    accounts = [tuple(each) for each in plan["accounts"]]
    if accounts:
        render.note(f"testing {', '.join(f'{name} of {provider}' for provider, name in accounts)} …")
    if len(accounts) < 2 or admin.running(paths) is None:
        return list(post(names=names)["results"])
    results: dict[tuple[str, str], dict[str, Any]] = {}
    with ThreadPoolExecutor(len(accounts)) as pool:
        asked = [pool.submit(post, account=account) for account in accounts]
        for each in as_completed(asked):
            for row in each.result()["results"]:
                results[row["provider"], row["account"]] = row
                render.note(f"{row['account']} of {row['provider']}: {'ok' if row['ok'] else row['error']}")
    return [results[account] for account in accounts if account in results] + list(plan["results"])


def report(results: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print results; exit with 1 if any failed, or if there are none."""
    if as_json:
        render.json({"results": results})
    else:
        columns = ("provider", "account", "result", "key", "model", "first token", "total", "tokens", "cost")
        empty = "nothing to test: no provider in use has an account (bm accounts add NAME)"
        spare = ("cost", "tokens", "total", "first token", "key", "model")
        render.table(columns, [_row(row) for row in results], empty=empty, spare=spare)
        failed = [row for row in results if not row["ok"]]
        if failed:
            render.line()
        for row in failed:
            remedy = f" ({row['remedy']})" if row["remedy"] else ""
            render.line(f"{row['provider']} {row['account']}".strip() + f": {row['error']}{remedy}")
    if not results or not all(row["ok"] for row in results):
        raise typer.Exit(1)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["provider"],
        row["account"] or "-",
        "ok" if row["ok"] else "failed",
        {True: "accepted", False: "refused", None: "-"}[row["key_accepted"]],
        row["model"] or "-",
        render.seconds(row["first_token"]),
        render.seconds(row["total"]),
        f"{row['input_tokens']} + {row['output_tokens']}" if row["output_tokens"] is not None else "-",
        f"${row['cost']:.6f}" if row["cost"] is not None else "-",
    )


def insist(paths: Paths, account: Account) -> None:
    """Test the key of an account that is not saved yet. A provider that is merely busy does not make the key bad.

    Raises:
        AccountError: the key is refused, or the provider cannot be reached.
        ConfigError: a reference cannot be resolved, or the configuration is invalid.
    """
    import asyncio

    from bm.accounts.account import check
    from bm.errors import AccountError

    check(account)
    render.note(f"testing the key with {account.provider} …")
    try:
        result = asyncio.run(_try_key(paths, account))
    except AccountError as error:
        raise AccountError(f"{error} (not saved; --no-verify saves it anyway)") from None
    if result.ok:
        render.note(f"accepted: {result.model} answered")
    else:
        render.note(f"accepted, but {result.model or account.provider} does not answer now: {result.error}")


async def _try_key(paths: Paths, account: Account) -> Probe:
    import os

    from bm.gateway.probe import try_key
    from bm.gateway.settings import read_settings
    from bm.upstream.client import UpstreamClient

    client = UpstreamClient()
    try:
        return await try_key(client, read_settings(paths, os.environ), account, os.environ)
    finally:
        await client.close()

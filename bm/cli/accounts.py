"""`bm accounts`: the keys that requests are spent on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bm.cli import admin, edit, render
from bm.duration import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from bm.accounts.account import Account, OAuthClient
    from bm.accounts.credentials import Credentials
    from bm.config.paths import Paths

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="The account.")]
Place = Annotated[str, typer.Option("--location", help="Use Vertex AI there: global, us, eu, europe-west4, …")]
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
    rows = answer["accounts"]
    columns = ("account", "provider", "state", "resting", "today", "failed", "key", "last used")
    spare = ("last used", "key", "failed", "provider")
    render.table(columns, [_row(row) for row in rows], empty="no accounts (bm accounts add NAME)", spare=spare)
    used = [line for row in rows for line in _quotas(row)]
    known = [line for line in used if "/" in line[2]] if len(used) > MOST_LINES else used
    if known:
        if not render.is_terminal():
            render.line()
        render.table(("account", "model", "used", "resets"), known, empty="")
    if len(known) < len(used):
        render.line(f"({len(used) - len(known)} lines without a known limit are left out: bm accounts --json)")
    for row in rows:
        _trouble(row)


MOST_LINES = 24
"""Lines about use beyond which those without a known limit tell too little for their space."""


def _trouble(row: dict[str, Any]) -> None:
    """What a person has to know or do about an account, if anything."""
    who = f"{row['name']} of {row['provider']}"
    if row["state"] == "disabled":
        render.line()
        render.paragraph(f"{who} is disabled: {row['reason'].removesuffix(' (' + row['remedy'] + ')')}")
        for step in row["remedy"].split("; "):
            # Not broken: a command is copied as it stands.
            render.line(f"    {step}")
    if row["state"] == "usable" and row["last_error"]:
        render.line()
        render.paragraph(f"{who} has not answered since: {row['last_error']}")
    for model, reason in row["excluded"].items():
        render.line()
        render.paragraph(f"{who} does not have {model}: {reason}")
        render.line(f"    bm accounts verify {shlex.quote(row['name'])} asks again")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    import time

    last, (rest, model) = row["last_used"], _rest(row["cooldowns"])
    return (
        row["name"],
        row["provider"],
        f"{row['state']} {rest}".strip(),
        model,
        str(row["requests_today"]),
        str(row["failures_today"]),
        _proof(row),
        f"{duration(max(time.time() - last, 0))} ago" if last else "never",
    )


def _proof(row: dict[str, Any]) -> str:
    """How the account proves who it is, and where; of a key what may be shown."""
    owner = row["key_hint"].removesuffix(".iam.gserviceaccount.com")
    shown = {"google_oauth": "sign-in", "adc": "ADC", "service_account": owner or "key file"}
    project = "" if owner.endswith(f"@{row['project']}") else row["project"]
    words = (shown.get(row["kind"], row["key_hint"]), project, row["location"])
    return ", ".join(word for word in words if word)


def _rest(cooldowns: list[dict[str, Any]]) -> tuple[str, str]:
    """The longest rest, and for which model."""
    resting = [each for each in cooldowns if each["seconds"] > 0]
    if not resting:
        return "", "-"
    longest = max(resting, key=lambda each: float(each["seconds"]))
    more = f" (+{len(resting) - 1})" if len(resting) > 1 else ""
    return duration(longest["seconds"]), f"{longest['model'] or 'all models'}{more}"


def _quotas(row: dict[str, Any]) -> list[tuple[str, ...]]:
    """What was used of each model, of how much, and when the longest of its windows begins anew, in local time."""
    by_model: dict[str, list[dict[str, Any]]] = {}
    for quota in row.get("quotas", ()):
        by_model.setdefault(quota["model"], []).append(quota)
    return [(row["name"], model, ", ".join(map(_quota, quotas)), _resets(quotas)) for model, quotas in by_model.items()]


def _quota(quota: dict[str, Any]) -> str:
    """`12/15 per minute`, `31k/250k tokens per minute`; without a limit that is known, `12 this minute`, `40 today`."""
    minute, limit = quota["window"] == "minute", quota["limit"]
    shown = [quota["used"], *([] if limit is None else [limit])]
    tokens = quota["unit"] == "tokens"
    figures = "/".join(_thousands(int(number)) if tokens else str(number) for number in shown)
    if limit is None:
        return f"{figures} {'this minute' if minute else 'today'}"
    return f"{figures}{' tokens' if tokens else ''} per {'minute' if minute else 'day'}"


def _thousands(number: int) -> str:
    return str(number) if number < 10_000 else f"{round(number / 1000)}k"


def _resets(quotas: list[dict[str, Any]]) -> str:
    import time

    ends = [quota["resets"] for quota in quotas if quota["resets"]]
    return time.strftime("%H:%M", time.localtime(max(ends))) if ends else "-"


def add(
    name: Annotated[str, typer.Argument(help="A name of your choice.")],
    provider: Annotated[str, typer.Option("--provider", help="Whose key it is.")] = "gemini",
    project: Annotated[str, typer.Option("--project", help="Accounts of one project share their limits.")] = "",
    location: Place = "",
    vertex: Annotated[
        Path | None, typer.Option("--vertex", help="Vertex AI by the key file of a service account, which stays there.")
    ] = None,
    service_account: Annotated[
        Path | None, typer.Option("--service-account", help="The Gemini API by such a key file.")
    ] = None,
    adc: Annotated[bool, typer.Option("--adc", help="By this machine's Application Default Credentials.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the key file into accounts.toml.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not try the key.")] = False,
) -> None:
    """Add an account; its key is read from a prompt or standard input: the key, or env:NAME, file:PATH, cmd:COMMAND."""
    from datetime import UTC, datetime

    import msgspec

    from bm.accounts.account import DEFAULT_LOCATION, Account
    from bm.accounts.credentials import load
    from bm.cli import prompt, verify
    from bm.cli.exits import UsageError
    from bm.cli.providers import known

    paths = admin.here()
    owner = known(paths, provider)
    if any(each.id == (provider, name) for each in load(paths.accounts).accounts):
        raise UsageError(f"{provider} already has an account named {name!r} (bm accounts remove {name})")
    if sum((vertex is not None, service_account is not None, adc)) > 1:
        raise UsageError("give one of --vertex, --service-account and --adc")
    account = Account(name=name, provider=provider, project=project, location=location)
    if file := vertex or service_account:
        place = location or (DEFAULT_LOCATION if vertex else "")
        account = msgspec.structs.replace(_robot(account, file, copy=copy), location=place)
    elif adc:
        account = msgspec.structs.replace(account, kind="adc")
    else:
        key = prompt.key(f"{provider} account {name}{f' ({owner.console})' if owner.console else ''}")
        account = msgspec.structs.replace(account, key=key)
    now = datetime.now(UTC)
    account = msgspec.structs.replace(account, added_at=now, renewed_at=now)
    if not no_verify:
        verify.insist(paths, account)
    edit.credentials(paths, lambda stored: stored.add(account))
    render.line(f"{name}: added to {provider}")


def _robot(account: Account, file: Path, *, copy: bool) -> Account:
    """The account of a service account: by reference to its key file, which is read for the project it names."""
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
    name: Annotated[str, typer.Argument(help="A name of your choice, or the account to sign in again.")],
    client: Annotated[
        Path | None, typer.Option("--client", help="client_secret.json of your own OAuth client (Desktop app).")
    ] = None,
    project: Annotated[str, typer.Option("--project", help="The Google Cloud project that calls are billed to.")] = "",
    location: Place = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Show the address; paste the answer.")] = False,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not try the account afterwards.")] = False,
) -> None:
    """Sign in to Google through your own OAuth client; the same name again renews the account."""
    import asyncio
    from datetime import UTC, datetime

    from bm.accounts.account import Account, check
    from bm.accounts.credentials import load
    from bm.accounts.google_files import read_client
    from bm.accounts.sign_in import signed_in
    from bm.cli.exits import UsageError
    from bm.cli.test import probe, report

    paths = admin.here()
    old = next((each for each in load(paths.accounts).accounts if each.id == ("gemini", name)), None)
    own = read_client(client) if client else old.client if old else None
    if own is None:
        raise UsageError(
            "an OAuth client is needed: --client client_secret.json (docs/accounts.md tells how to get it)"
        )
    project = project or (old.project if old else "")
    location = location or (old.location if old else "")
    wanted = Account(name=name, kind="google_oauth", key="-", client=own, project=project, location=location)
    check(wanted)
    if old is not None:
        signed_in(load(paths.accounts), wanted, datetime.now(UTC))
    account = asyncio.run(_sign_in(paths, wanted, own, no_browser=no_browser))
    edit.credentials(paths, lambda stored: signed_in(stored, account, datetime.now(UTC)))
    render.line(f"{name}: signed in")
    if not no_verify:
        report(probe(paths, [name]), as_json=False)


async def _sign_in(paths: Paths, account: Account, client: OAuthClient, *, no_browser: bool) -> Account:
    import asyncio
    import os

    import msgspec

    from bm.accounts.sign_in import sign_in_by_paste, sign_in_with_browser
    from bm.cli import prompt
    from bm.config.load import load
    from bm.providers.catalog import KNOWN
    from bm.upstream.client import UpstreamClient
    from bm.upstream.fetch import token_fetcher

    async def ask(address: str) -> str:
        render.note(f"open this address in any browser and allow the access:\n\n{address}\n")
        render.note("the browser then goes to an address that it cannot open: paste that address")
        return await asyncio.to_thread(prompt.answer, "Address")

    def tell(address: str) -> None:
        render.note(f"waiting for your consent in the browser; if none comes up, open\n\n{address}\n")

    config = load(paths.config, os.environ, known=KNOWN).config
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


def export(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
) -> None:
    """Write all accounts to a file that a passphrase opens, for another machine."""
    from bm.accounts.credentials import load
    from bm.accounts.transfer import exported, write_export
    from bm.cli import prompt

    stored = load(admin.here().accounts)
    write_export(file, exported(stored, prompt.passphrase(twice=True)))
    render.line(f"{file}: {len(stored.accounts)} accounts")
    for account in stored.accounts:
        if account.key.startswith("file:"):
            render.note(f"{account.name}: {account.key} goes with it as a reference; take that file along yourself")


def import_(
    file: Annotated[Path, typer.Argument(help="An export of bm, or a list with a name,key on each line.")],
    provider: Annotated[str, typer.Option("--provider", help="Whose keys a plain list holds.")] = "gemini",
) -> None:
    """Add the accounts of a file; none that is there already is touched."""
    from bm.accounts.transfer import accounts_in, is_sealed, merged, read_import
    from bm.cli import prompt
    from bm.cli.providers import known

    paths = admin.here()
    known(paths, provider)
    content = read_import(file)
    passphrase = prompt.passphrase(twice=False) if is_sealed(content) else ""
    accounts = accounts_in(content, passphrase, provider)
    skipped: list[str] = []
    added: list[str] = []

    def change(stored: Credentials) -> Credentials:
        found = merged(stored, accounts)
        added[:], skipped[:] = found.added, found.skipped
        return found.credentials

    edit.credentials(paths, change)
    for reason in skipped:
        render.note(f"left out {reason}")
    render.line(f"{len(added)} accounts added{': ' if added else ''}{', '.join(added)}")


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
    from bm.accounts.credentials import load
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
    # A key file that could not be read may be there by now.
    admin.reload(paths)
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


COMMANDS = {
    "list": list_,
    "add": add,
    "login": login,
    "import": import_,
    "export": export,
    "enable": enable,
    "disable": disable,
    "remove": remove,
    "verify": verify,
}

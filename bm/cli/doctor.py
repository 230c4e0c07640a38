"""The checks of `bm doctor`. They change nothing and send nothing to a provider."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from bm.accounts.credentials import Credential, Credentials, all_accounts
from bm.cli import admin, budgets, render
from bm.clients import journal
from bm.clients.catalog import TOOLS
from bm.clients.environment import is_proxied
from bm.clients.journal import Journal
from bm.clients.status import elsewhere, status
from bm.config.address import is_loopback, origin_of, points_at
from bm.config.chains import chains_of, names_in, split_prefix
from bm.config.keys import dotted
from bm.config.load import Loaded, load, problems_in
from bm.config.paths import Paths
from bm.config.schema import Config
from bm.config.shared import INSTALL
from bm.daemon.client import find
from bm.daemon.runtime import Daemon
from bm.daemon.service.install import inspect
from bm.dispatch.candidates import switched_off
from bm.duration import duration
from bm.errors import AccountError, BmError, ConfigError
from bm.providers.catalog import KNOWN
from bm.providers.provider import Provider, effective
from bm.providers.retirement import retiring


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; `remedy` is what to do about it."""

    check: str
    result: Literal["ok", "warning", "failed"]
    detail: str
    remedy: str = ""


class Case(msgspec.Struct, frozen=True):
    """What the checks examine."""

    loaded: Loaded
    stored: Credentials
    credentials: tuple[Credential, ...]
    providers: tuple[Provider, ...]
    daemon: Daemon | None
    environ: Mapping[str, str]

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.loaded.config


def report(paths: Paths, environ: Mapping[str, str], *, as_json: bool) -> bool:
    """Print all findings; whether none of them is a failure."""
    findings = examine(paths, environ)
    if as_json:
        render.json({"checks": [msgspec.to_builtins(each) for each in findings]})
    else:
        rows = [(each.result, each.check, each.detail) for each in findings]
        render.table(("result", "check", "detail"), rows, empty="nothing to check")
        remedies = dict.fromkeys(f"{each.check}: {each.remedy}" for each in findings if each.remedy)
        for line in ("", *remedies) if remedies else ():
            render.line(line)
    return all(each.result != "failed" for each in findings)


def examine(paths: Paths, environ: Mapping[str, str]) -> list[Finding]:
    """All findings. After an unusable file, the checks that need it are skipped."""
    findings: list[Finding] = [*_folders(paths)]
    try:
        loaded = load(paths.config, environ, known=KNOWN)
        findings += [Finding("configuration", "warning", warning) for warning in loaded.warnings]
        findings.append(Finding("configuration", "ok", str(paths.config)))
    except ConfigError as error:
        problems = [Finding("configuration", "failed", str(each), "bm config edit") for each in problems_in(error)]
        return findings + problems
    vault = admin.vault(paths)
    form = "file" if vault.place == str(paths.accounts) else "database"
    try:
        stored = vault.accounts.load()
        findings += [Finding(f"accounts {form}", "warning", warning) for warning in stored.warnings]
        findings.append(Finding(f"accounts {form}", "ok", vault.place))
    except AccountError as error:
        return [*findings, Finding(f"accounts {form}", "failed", str(error))]
    try:
        keys = vault.keys.load()
        findings += [Finding(f"keys {form}", "warning", warning) for warning in keys.warnings]
    except AccountError as error:
        return [*findings, Finding(f"keys {form}", "failed", str(error))]
    found = find(paths)
    credentials = all_accounts(stored, loaded.config, environ)
    daemon = found.daemon if found else None
    case = Case(loaded, stored, credentials, effective(loaded.config), daemon, environ)
    findings += _daemon(paths, answers=bool(found and found.answers), case=case)
    findings += _service(paths, environ)
    findings += _tools(paths, case)
    findings += exposed(case.config)
    if unpriced := budgets.without_price(case.config, keys.keys, case.providers):
        detail = f"no price is known for {', '.join(unpriced)}: they count as $0 in budgets of money"
        findings.append(Finding("budgets", "warning", detail, "a budget of tokens counts them: bm config edit"))
    for check in _CHECKS:
        findings += check(case)
    return findings


def _folders(paths: Paths) -> Iterator[Finding]:
    """Where bm writes. A missing folder is created in its nearest existing parent."""
    for folder in sorted({getattr(paths, name).parent for name in paths.__struct_fields__}):
        nearest = next(each for each in (folder, *folder.parents) if each.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            remedy = "make it a writable folder, or set BM_HOME to another one"
            yield Finding("files", "failed", f"{nearest} is not writable", remedy)


def _daemon(paths: Paths, *, answers: bool, case: Case) -> Iterator[Finding]:
    from bm import __version__
    from bm.daemon.port import PortError, bind

    if case.daemon is None:
        server = case.config.server
        try:
            bind(server.host, server.port).close()
        except PortError as error:
            yield Finding("daemon", "failed", str(error))
        else:
            yield Finding("daemon", "warning", "bm is not running", "bm start")
        return
    if not answers:
        yield Finding("daemon", "failed", f"pid {case.daemon.pid} does not respond", "bm stop, then bm start")
        return
    yield Finding("daemon", "ok", f"{case.daemon.url}, pid {case.daemon.pid}")
    if case.daemon.version != __version__:
        yield Finding("daemon", "warning", f"is version {case.daemon.version}, not {__version__}", "bm restart")
    try:
        status = admin.ask_daemon(paths, case.daemon, "GET", "/admin/status")
    except BmError as error:
        yield Finding("daemon", "failed", str(error), "bm restart")
        return
    if fault := status["config"]["error"]:
        yield Finding("daemon", "failed", f"keeps its old settings: {fault}", "bm config edit")
    for fault in budgets.notes(status):
        yield Finding("budgets", "warning", fault, "bm config edit ([budgets]), bm keys")
    for fault in status["failures"]:
        yield Finding("daemon", "warning", fault, "bm logs")
    yield from states(admin.ask_daemon(paths, case.daemon, "GET", "/admin/accounts")["accounts"])


def states(rows: list[dict[str, Any]]) -> Iterator[Finding]:
    """What keeps accounts from being used: refused keys, and cooldowns if no account is left beside them."""
    rows = [row for row in rows if row["state"] != "off"]
    for row in rows:
        if row["state"] == "disabled":
            detail = f"account {row['name']} of {row['provider']} is disabled: {row['reason']}"
            yield Finding("accounts", "failed", detail, row["remedy"])
        elif row["state"] == "usable" and row["last_error"]:
            detail = f"account {row['name']} of {row['provider']} has not answered since: {row['last_error']}"
            yield Finding("accounts", "warning", detail, "bm test asks it again")
    cooling = [row for row in rows if row["state"] == "cooling down"]
    if cooling and not any(row["state"] == "usable" for row in rows):
        names = [f"{row['name']} of {row['provider']} {duration(row['cooldowns'][0]['seconds'])}" for row in cooling]
        detail = f"no account is usable now; still cooling down: {', '.join(names)}"
        yield Finding("accounts", "failed", detail, "bm accounts wake tests them, bm accounts add NAME adds another")


def exposed(config: Config) -> Iterator[Finding]:
    """An address that other machines reach without encryption."""
    host = config.server.host
    if not is_loopback(host):
        detail = (
            f"server.host {host} accepts other machines over plain HTTP, which shows keys and prompts to the network"
        )
        remedy = "put a proxy with TLS before it, or: bm config set server.host 127.0.0.1"
        yield Finding("daemon", "warning", detail, remedy)


def _unserved(case: Case, held: Journal) -> Iterator[Finding]:
    """Fallbacks that do not serve a tool that uses bm."""
    names = {record.tool for record in held.records}
    for provider in case.providers:
        if provider.pool or not provider.enabled or provider.mode != "fallback":
            continue
        titles = [t.title for t in TOOLS if t.name in names and not set(t.protocols) & set(provider.protocols)]
        if titles:
            detail = f"the fallback {provider.name} does not serve {', '.join(titles)}, whose protocol is another"
            yield Finding("providers", "warning", detail, f"bm config unset providers.{provider.name}.protocols")


def _service(paths: Paths, environ: Mapping[str, str]) -> Iterator[Finding]:
    service = inspect(paths, environ)
    if not service.installed:
        return
    for problem in service.problems:
        yield Finding("service", "failed" if problem.serious else "warning", problem.detail, problem.remedy)
    if not service.problems:
        yield Finding("service", "ok", f"{service.name} of {service.manager}")


def _tools(paths: Paths, case: Case) -> Iterator[Finding]:
    """Tools whose settings from `bm setup` hold an outdated address or key."""
    origin = origin_of(case.config.server, case.daemon.url if case.daemon else "")
    try:
        held = journal.load(paths.clients)
    except ConfigError as error:
        yield Finding("tools", "failed", str(error))
        return
    names = {"origin": origin, "key": case.stored.local_key}
    for tool in TOOLS if origin else ():
        state = status(tool, names, case.environ, held).state
        if found := elsewhere(tool, case.environ):
            detail = f"{found} makes {tool.title} use another service than bm"
            yield Finding("tools", "warning", detail, f"bm setup {tool.name}, and unset such variables")
        if state == "stale":
            detail = f"the settings of {tool.title} do not hold {origin} and bm's key"
            yield Finding("tools", "warning", detail, f"bm setup {tool.name}")
        elif state == "yes":
            yield Finding("tools", "ok", f"{tool.title} is configured to use {origin}")
    yield from _unserved(case, held)


def _accounts(case: Case) -> Iterator[Finding]:
    in_use = [each for each in case.credentials if each.account.enabled]
    for each in in_use:
        who = f"account {each.account.name} of {each.account.provider}"
        if each.problem:
            yield Finding("keys", "failed", f"{who}: {each.problem}")
    if not in_use:
        yield Finding("keys", "failed", "there are no accounts", "bm accounts add NAME")
    elif not any(each.problem for each in in_use):
        yield Finding("keys", "ok", f"{len(in_use)} found")


def _providers(case: Case) -> Iterator[Finding]:
    owners = {each.account.provider for each in case.credentials}
    for provider in case.providers:
        name = provider.name
        if not provider.configured or provider.pool:
            continue
        if provider.enabled and provider.mode == "off":
            detail = f"{name} is enabled, but its mode is off"
            yield Finding("providers", "warning", detail, f"bm providers use {name}")
        if not provider.enabled and provider.mode != "off":
            detail = f"{name} has mode {provider.mode}, but is not enabled"
            yield Finding("providers", "warning", detail, f"bm providers use {name}")
        if provider.enabled and provider.auth != "none" and name not in owners:
            yield Finding("providers", "failed", f"{name} has no key", f"bm providers key {name}")


def _retirements(case: Case) -> Iterator[Finding]:
    for detail in retiring(case.providers, chains_of(case.config), date.today()):
        yield Finding("models", "warning", detail, "bm models lists what the accounts can reach")


def _dead_ends(case: Case) -> Iterator[Finding]:
    """Aliases and routes that name a provider which is not used."""
    providers = {each.name: each for each in case.providers}
    for key, chain in chains_of(case.config):
        for name in names_in(chain):
            provider = providers.get(split_prefix(name, providers)[0])
            if provider is not None and (off := switched_off(provider)):
                detail, _, remedy = off.partition(": ")
                yield Finding("models", "warning", f"{dotted(key)} names {name}, but {detail}", remedy)


def _loops(case: Case) -> Iterator[Finding]:
    """With port 0, the port is known only at run time, so loading the configuration cannot detect a loop."""
    if case.daemon is None:
        return
    server = msgspec.structs.replace(case.config.server, port=case.daemon.port)
    for provider in case.providers:
        if points_at(provider.base_url, server):
            remedy = f"bm config unset {'gemini' if provider.pool else f'providers.{provider.name}'}.base_url"
            yield Finding("loops", "failed", f"{provider.name}: its base_url points at bm itself", remedy)


def _bundles(case: Case) -> Iterator[Finding]:
    config = case.config
    proxies = {"upstream_proxy": config.upstream_proxy, "gemini.proxy": config.gemini.proxy}
    proxies |= {f"providers.{name}.proxy": section.proxy for name, section in config.providers.items()}
    for key, proxy in proxies.items():
        if proxy is None or not proxy.ca_bundle:
            continue
        fault = _bundle_fault(Path(proxy.ca_bundle).expanduser())
        detail = f"{key}.ca_bundle: {fault or 'can be read'}"
        yield Finding("certificates", "failed" if fault else "ok", detail)


def _bundle_fault(path: Path) -> str:
    try:
        ssl.create_default_context().load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"{path} holds no PEM certificates"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return ""


def _own_key(case: Case) -> Iterator[Finding]:
    for each in case.credentials:
        if each.secret and each.secret == case.stored.local_key:
            detail = (
                f"account {each.account.name} of {each.account.provider} holds bm's own key, which no provider accepts"
            )
            yield Finding("keys", "failed", detail, "give it a key of the provider")


def _proxies(case: Case) -> Iterator[Finding]:
    """A proxy that tools would send their requests to bm through."""
    if is_proxied(case.environ):
        detail = "HTTP_PROXY is set and NO_PROXY lacks 127.0.0.1: tools may send their requests to bm through the proxy"
        yield Finding("environment", "warning", detail, "export NO_PROXY=127.0.0.1,localhost")


def _store(case: Case) -> Iterator[Finding]:
    """Whether the store that nodes share can be used."""
    if not case.config.shared.url:
        return
    try:
        from bm.shared.store import look
    except ModuleNotFoundError as error:
        yield Finding("shared store", "failed", f"the package {error.name} is not installed", INSTALL)
        return
    try:
        yield Finding("shared store", "ok", look(case.config.shared))
    except ConfigError as error:
        yield Finding("shared store", "failed", f"{error.key}: {error.message}", error.hint)


def _ledger(case: Case) -> Iterator[Finding]:
    """Whether the ledger's database can be used."""
    if not case.config.ledger.url:
        return
    from bm.ledger.open import look

    try:
        yield Finding("ledger", "ok", look(case.config.ledger.url))
    except ConfigError as error:
        yield Finding("ledger", "failed", f"{error.key}: {error.message}", error.hint)


_CHECKS: Final = (
    *(_accounts, _providers, _retirements, _dead_ends, _loops),
    *(_bundles, _own_key, _proxies, _store, _ledger),
)

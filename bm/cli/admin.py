"""What every command needs: the user's files, the running daemon, and a way to read and change both.

Without a daemon, questions are answered by the daemon's own admin app in this process, from the same files.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bm.accounts.credentials import Credentials
    from bm.cli.changes import Former
    from bm.config.edit import Value
    from bm.config.load import Loaded
    from bm.config.paths import Paths
    from bm.daemon.runtime import Daemon
    from bm.gateway.settings import Settings
    from bm.keys.file import StoredKeys
    from bm.ledger.source import Where
    from bm.providers.provider import Provider
    from bm.vault.vault import Vault

PROBE_LIMIT = 300.0
"""Seconds that a request to the providers may take."""


class _Command:
    """The command that runs, and the former content of the files that it has changed."""

    def __init__(self, words: str) -> None:
        self.words = words
        self.files: dict[str, Former] = {}


_running: ContextVar[_Command] = ContextVar("running")


def begin(words: Sequence[str]) -> None:
    """A command begins. The value of `bm config set` may be a secret, such as a header, and is not kept."""
    kept = words[:3] if tuple(words[:2]) == ("config", "set") else words
    _running.set(_Command(" ".join(("bm", *kept))))


def recorded(paths: Paths, file: Literal["config", "accounts", "keys"]) -> AbstractContextManager[None]:
    """Let `bm undo` take back what the block changes in a file."""
    from bm.cli import changes

    command = _running.get(None) or _Command("bm")
    return changes.recorded(paths, file, command.words, command.files)


@contextmanager
def recorded_in(paths: Paths, used: Vault, file: Literal["accounts", "keys"]) -> Iterator[None]:
    """The same for accounts or keys, of which only a file can be taken back."""
    from bm.cli import changes
    from bm.vault.vault import FileVault

    if isinstance(used, FileVault):
        with recorded(paths, file):
            yield
        return
    yield
    changes.note_database(paths, used.place, (_running.get(None) or _Command("bm")).words)


def here() -> Paths:
    """The files of this user, or those in `BM_HOME`."""
    from bm.config.paths import Paths

    return Paths.default(os.environ)


def loaded(paths: Paths) -> Loaded:
    """The configuration in force.

    Raises:
        ConfigError: config.toml or the environment is invalid.
    """
    from bm.config.load import load
    from bm.providers.catalog import KNOWN

    return load(paths.config, os.environ, known=KNOWN)


def providers(paths: Paths) -> tuple[Provider, ...]:
    """Every provider, in the order of dispatch.

    Raises:
        ConfigError: config.toml or the environment is invalid.
    """
    from bm.providers.provider import effective

    return effective(loaded(paths).config)


def ledger(paths: Paths) -> Where:
    """Where the ledger is to be read.

    Raises:
        ConfigError: config.toml or the environment is invalid.
    """
    from bm.ledger.open import ledger_of

    return ledger_of(paths, loaded(paths).config)


def provider(paths: Paths, name: str) -> Provider:
    """The provider of that name.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    from bm.cli.exits import UsageError
    from bm.config.validation import nearest

    found = {each.name: each for each in providers(paths)}
    if name in found:
        return found[name]
    remedy = nearest(name, list(found)) or f"bm providers add {name} --protocol … --base-url …"
    raise UsageError(f"no provider is named {name!r} ({remedy})")


def vault(paths: Paths) -> Vault:
    """Where the accounts and the keys of clients are.

    Raises:
        ConfigError: config.toml or the environment is invalid.
    """
    from bm.vault.vault import open_vault

    return open_vault(paths, loaded(paths).config, os.environ)


def running(paths: Paths) -> Daemon | None:
    """The daemon, if one is running and responds."""
    from bm.daemon.client import find

    found = find(paths)
    return found.daemon if found and found.answers else None


def daemon_of(paths: Paths) -> Daemon:
    """The running daemon.

    Raises:
        NotRunning: there is none.
    """
    from bm.cli.exits import NotRunning

    daemon = running(paths)
    if daemon is None:
        raise NotRunning
    return daemon


def ask(paths: Paths, method: str, path: str, body: Any = None, *, timeout: float = 30.0) -> Any:
    """The JSON of an `/admin/` path, from the daemon or, without one, from this process.

    Raises:
        DaemonError: the daemon refuses, in its own words, or does not respond.
        ConfigError: without a daemon: the configuration is invalid.
        AccountError: accounts.toml cannot be used.
    """
    daemon = running(paths)
    if daemon is None:
        import asyncio

        from bm.cli import render

        with render.waiting("reading bm's files"):
            return _content(*asyncio.run(_ask_here(paths, method, path, body)))
    return ask_daemon(paths, daemon, method, path, body, timeout=timeout)


def ask_daemon(
    paths: Paths,
    daemon: Daemon,
    method: str,
    path: str,
    body: Any = None,
    *,
    timeout: float = 30.0,
    silent: bool = False,
) -> Any:
    """The JSON of an `/admin/` path, from a daemon. Unless `silent`, a terminal shows that it is being waited for.

    Raises:
        DaemonError: it refuses or does not respond.
        AccountError: accounts.toml, which holds its key, cannot be read.
    """
    from bm.accounts.credentials import load
    from bm.cli import render
    from bm.daemon.client import ask as ask_there

    key = load(paths.accounts).local_key
    with nullcontext() if silent else render.waiting("waiting for bm"):
        return _content(*ask_there(daemon, method, path, key=key, body=body, timeout=timeout))


def _content(status: int, body: Any) -> Any:
    from bm.errors import DaemonError

    if status >= 400:
        message = body.get("error") if isinstance(body, dict) else None
        raise DaemonError(str(message or f"the daemon responded with status {status}"))
    return body


async def _ask_here(paths: Paths, method: str, path: str, body: Any) -> tuple[int, Any]:
    """Status and JSON from the admin app in this process, with the account state the last daemon saved."""
    import msgspec

    from bm import __version__
    from bm.accounts.state_file import restore, state_path
    from bm.gateway.allowance import catch_up
    from bm.gateway.services import Services
    from bm.gateway.settings import read_settings
    from bm.server.admin import Instance, admin_app
    from bm.server.reload import Reloader
    from bm.server.sharing import Sharing
    from bm.server.state import models_path, restore_models

    settings = read_settings(paths, os.environ)
    services = Services(settings)
    # Warnings about a damaged state file belong in the daemon's log.
    restore(services.pool, services.affinities, state_path(paths), now=time.monotonic(), wall=time.time())
    restore_models(models_path(paths), services)
    await catch_up(services, services.ledger_in(paths))
    instance = Instance(prove=str, started_at=time.time(), version=__version__, ready=lambda: None, keep_file=_nothing)
    application = admin_app(services, Reloader(paths, services), instance, paths, {}, Sharing(None))
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        await application(_scope(settings, method, path), receive, send)
    finally:
        await services.close()
    content = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], msgspec.json.decode(content)


async def _nothing() -> None:
    """This process is no daemon and has no daemon.json."""


def _scope(settings: Settings, method: str, path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {settings.local_key}".encode())],
        "server": ("127.0.0.1", 80),
        "client": None,
    }


def reload(paths: Paths) -> None:
    """Make a running daemon read the changed files now.

    Raises:
        DaemonError: it cannot use them; it keeps its old settings.
    """
    from bm.errors import DaemonError

    daemon = running(paths)
    if daemon is None:
        return
    answer = ask_daemon(paths, daemon, "POST", "/admin/reload")
    if not answer.get("ok"):
        raise DaemonError(f"the daemon keeps its old settings: {answer.get('error')}")


def change_settings(paths: Paths, values: Mapping[str, Value]) -> None:
    """Write settings (dotted key to value) to config.toml and reload.

    Raises:
        ConfigError: the file cannot be changed that way.
        DaemonError: the running daemon does not accept it.
    """
    from bm.config.edit import set_values
    from bm.providers.catalog import KNOWN

    with recorded(paths, "config"):
        set_values(paths.config, values, known=KNOWN)
    _warn_of_variables(paths, tuple(values))
    reload(paths)


def unset_setting(paths: Paths, key: str) -> bool:
    """Remove a setting or table from config.toml and reload; whether it was there.

    Raises:
        ConfigError: the file cannot be changed that way.
        DaemonError: the running daemon does not accept it.
    """
    from bm.config.edit import unset
    from bm.providers.catalog import KNOWN

    with recorded(paths, "config"):
        removed = unset(paths.config, key, known=KNOWN)
    reload(paths)
    return removed


def change_accounts(paths: Paths, change: Callable[[Credentials], Credentials]) -> None:
    """Change the accounts and reload. `bm undo` can take a change of accounts.toml back.

    Raises:
        AccountError: they cannot be changed that way.
        DaemonError: the running daemon does not accept it.
    """
    with recorded_in(paths, used := vault(paths), "accounts"):
        used.accounts.update(change)
    reload(paths)


def change_keys(paths: Paths, change: Callable[[StoredKeys], StoredKeys]) -> None:
    """Change the keys and reload. `bm undo` can take a change of keys.toml back.

    Raises:
        AccountError: they cannot be changed that way.
        DaemonError: the running daemon does not accept it.
    """
    with recorded_in(paths, used := vault(paths), "keys"):
        used.keys.update(change)
    reload(paths)


def _warn_of_variables(paths: Paths, keys: tuple[str, ...]) -> None:
    """Say which of the settings just written are overridden by an environment variable."""
    from bm.cli import render
    from bm.errors import ConfigError

    try:
        sources = loaded(paths).sources
    except ConfigError:
        return
    for key in keys:
        if variable := sources.get(key):
            render.note(f"note: the environment variable {variable} overrides {key} where it is set")

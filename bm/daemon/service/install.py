"""Install, remove and inspect the service, and find the environment variables it needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from bm.config.files import make_private_folder, write_private
from bm.config.paths import Paths, make_folders
from bm.daemon.client import find
from bm.daemon.runtime import Daemon
from bm.daemon.service.manager import Manager, State, Unavailable, Unit, unit_of
from bm.daemon.service.supervisor import this_manager
from bm.daemon.start import start
from bm.daemon.stop import Stopped, stop
from bm.errors import AccountError, ConfigError


class Installed(msgspec.Struct, frozen=True):
    """The result of `install`. `written` is False if the file already had the right content."""

    file: Path
    content: bytes
    written: bool
    replaced: Stopped | None
    daemon: Daemon


class Problem(msgspec.Struct, frozen=True):
    """A problem with a service, and its remedy."""

    detail: str
    remedy: str
    serious: bool = True


class Service(msgspec.Struct, frozen=True):
    """The present state of a service. `interpreter` is empty unless it is installed."""

    manager: str
    name: str
    file: Path
    when: str
    supervises: bool
    installed: bool = False
    interpreter: str = ""
    state: State | None = None
    daemon: Daemon | None = None
    problems: tuple[Problem, ...] = ()


def install(paths: Paths, environ: Mapping[str, str], waiting: Callable[[float], None]) -> Installed:
    """Write the definition, register it to start at login, and replace a running daemon after its streams have ended.

    `waiting` is called with the seconds waited for the streams.

    Raises:
        Unavailable: this login has no service manager.
        ServiceError: the manager refuses.
        StartError: the daemon does not start; the service stays installed.
        ConfigError, AccountError: the daemon could not start; nothing was changed.
        OSError: the file cannot be written.
    """
    from bm.config.load import load
    from bm.providers.catalog import KNOWN
    from bm.vault.vault import open_vault

    manager = this_manager()
    manager.check()
    config = load(paths.config, environ, known=KNOWN).config
    drain = config.server.longest_stop
    open_vault(paths, config, environ).accounts.load()
    unit = unit_of(paths, environ, drain)
    file, content = manager.file(unit), manager.definition(unit)
    make_folders(paths)
    written = not file.exists() or file.read_bytes() != content
    if written:
        make_private_folder(file.parent)
        write_private(file, content)
    manager.register(unit)
    replaced = None
    if manager.supervises and not (_is_its_own(paths, manager.state(unit)) and not written):
        replaced = stop(paths, drain, waiting=waiting)
    return Installed(file, content, written, replaced, start(paths, environ).daemon)


def uninstall(paths: Paths, drain: float, waiting: Callable[[float], None]) -> tuple[list[Path], Stopped | None]:
    """Remove the service, and stop the daemon if it is the service's process. Returns the removed files.

    Raises:
        DaemonError: the daemon does not end, or the manager refuses.
    """
    manager = this_manager()
    unit = unit_of(paths, {}, drain)
    ended = None
    try:
        manager.check()
        if manager.supervises and _is_its_own(paths, manager.state(unit)):
            ended = stop(paths, drain, waiting=waiting)
        elif manager.file(unit).exists():
            manager.stop(unit)
    except Unavailable:
        pass
    return manager.forget(unit), ended


def inspect(paths: Paths, environ: Mapping[str, str]) -> Service:
    """The state of the service. A manager that cannot be reached is reported as a problem."""
    manager = this_manager()
    unit = unit_of(paths, environ, 0)
    file = manager.file(unit)
    service = Service(manager.title, file.name, file, manager.when(), manager.supervises)
    try:
        interpreter = manager.interpreter(file.read_bytes())
    except OSError:
        return service
    found = find(paths)
    daemon = found.daemon if found else None
    state: State | None = None
    try:
        manager.check()
    except Unavailable as error:
        problems = [Problem(str(error), "bm start works without it", serious=False)]
    else:
        state = manager.state(unit)
        problems = [*_of_state(manager, state, daemon), *_of_variables(manager, unit, paths, environ)]
    return msgspec.structs.replace(
        service,
        installed=True,
        interpreter=interpreter,
        state=state,
        daemon=daemon,
        problems=(*_of_interpreter(interpreter, manager, unit), *problems),
    )


def _is_its_own(paths: Paths, state: State) -> bool:
    """Whether the running daemon is the service's process."""
    found = find(paths)
    return bool(found and found.answers and found.daemon.pid == state.pid)


def _of_interpreter(interpreter: str, manager: Manager, unit: Unit) -> list[Problem]:
    own = manager.interpreter(manager.definition(unit))
    again = "bm service install"
    if not Path(interpreter).exists():
        return [Problem(f"it runs {interpreter or 'an unknown Python'}, which no longer exists", again)]
    if interpreter != own:
        return [Problem(f"it runs the bm of {interpreter}, not that of {own}", again, serious=False)]
    return []


def _of_state(manager: Manager, state: State, daemon: Daemon | None) -> list[Problem]:
    if not state.known:
        return [Problem(f"{manager.title} does not know it", "bm service install")]
    if not state.enabled:
        return [Problem("it is disabled and does not start by itself", "bm service install")]
    if state.failed:
        code = f" with exit code {state.exit_code}" if state.exit_code is not None else ""
        return [Problem(f"it has failed{code}", "bm logs shows why, bm start tries again")]
    if manager.supervises and daemon and state.pid != daemon.pid:
        detail = f"the daemon with pid {daemon.pid} was started without it"
        return [Problem(detail, "bm restart hands over to the service", serious=False)]
    return []


def _of_variables(manager: Manager, unit: Unit, paths: Paths, environ: Mapping[str, str]) -> list[Problem]:
    try:
        names = set(needed_variables(paths, environ))
    except (ConfigError, AccountError) as error:
        return [Problem(str(error), "bm config edit")]
    names -= manager.knows(unit, names)
    if not names:
        return []
    remedy = manager.remedy.format(variables=unit.variables)
    return [Problem(f"it lacks variables that are set here: {', '.join(sorted(names))}", remedy, serious=False)]


_ENV = "env:"


def needed_variables(paths: Paths, environ: Mapping[str, str]) -> list[str]:
    """Names of the environment variables bm depends on: settings, keys given as `env:`, the proxy.

    A service does not inherit them from a shell. Variables that hold bm's own key are excluded: `bm env` sets them for
    tools.

    Raises:
        ConfigError: config.toml is invalid.
        AccountError: accounts.toml is invalid.
    """
    from bm.config.load import load
    from bm.providers.catalog import KNOWN
    from bm.vault.vault import open_vault

    loaded = load(paths.config, environ, known=KNOWN)
    stored = open_vault(paths, loaded.config, environ).accounts.load()
    references = [account.key for account in stored.accounts if account.enabled]
    references += [account.client.secret for account in stored.accounts if account.client]
    references += [row.api_key for row in loaded.config.providers.values() if row.enabled]
    references += loaded.config.shared.seals
    keys = {reference.removeprefix(_ENV) for reference in references if reference.startswith(_ENV)}
    settings = {variable for key, variable in loaded.sources.items() if not key.endswith(".api_key")}
    found = keys | settings | set(_proxies(environ))
    if loaded.config.ledger.url:
        # libpq takes what the URL leaves out from its own variables, such as PGPASSWORD.
        found |= {name for name in environ if re.fullmatch("PG[A-Z]+", name)}
    if any(account.kind == "adc" for account in stored.accounts):
        found |= {"GOOGLE_APPLICATION_CREDENTIALS"}.intersection(environ)
    return sorted(name for name in found if not stored.local_key or environ.get(name) != stored.local_key)


def _proxies(environ: Mapping[str, str]) -> list[str]:
    """Proxy variables in upper or lower case. NO_PROXY alone does not count."""
    named = [name for name in environ if name.lower() in ("https_proxy", "all_proxy", "no_proxy")]
    return named if any(name.lower() != "no_proxy" for name in named) else []

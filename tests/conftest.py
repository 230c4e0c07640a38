"""What holds for every test: no network but loopback, no settings but its own, no process left behind."""

from __future__ import annotations

import itertools
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import settings

from tests.support.loopback import refuse_network

settings.register_profile("bm", deadline=None, max_examples=60)
settings.load_profile("bm")

MARK = "PYTEST_PROCESS_MARK"
"""Set in the environment of everything a test starts, so that a daemon which left its parent is still found."""

FOREIGN = re.compile(
    r"BM_.*|.*_(API_KEY|BASE_URL|AUTH_TOKEN|DISPATCH_MODE|ENABLED)"
    r"|GOOGLE_(APPLICATION_CREDENTIALS|CLOUD_\w+)|(HTTPS?|ALL|NO|FTP)_PROXY|SSL_CERT_(FILE|DIR)",
    re.IGNORECASE,
)
"""Variables of the developer's own environment that bm or an SDK would read."""


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Fail the session when a process that a test started outlives it; end that process."""
    mark = f"{os.getpid()}-{psutil.Process().create_time()}"
    os.environ[MARK] = mark
    yield
    _, alive = psutil.wait_procs(_started_here(mark), timeout=3)
    left = [_describe(process) for process in alive]
    for process in alive:
        process.kill()
    assert not left, "the tests left processes behind:\n" + "\n".join(left)


def _started_here(mark: str) -> list[psutil.Process]:
    own = psutil.Process()
    found = {process.pid: process for process in own.children(recursive=True)}
    for process in psutil.process_iter():
        try:
            if process.pid != own.pid and process.environ().get(MARK) == mark:
                found[process.pid] = process
        except psutil.Error:
            continue
    return [process for process in found.values() if not _is_zombie(process)]


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.Error:
        return str(process.pid)


@pytest.fixture(scope="session", autouse=True)
def sealed(no_process_left: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Refuse the network and forget the developer's settings. Gives the folder that holds the tests' homes."""
    homes = tmp_path_factory.mktemp("homes")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if FOREIGN.fullmatch(name)]:
            patch.delenv(name)
        patch.setenv("BM_HOME", str(homes / "session"))
        refuse_network(patch)
        yield homes


_count = itertools.count()


@pytest.fixture(autouse=True)
def bm_home(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `BM_HOME` of this test's own; the folder exists and is empty."""
    home = sealed / str(next(_count))
    home.mkdir()
    monkeypatch.setenv("BM_HOME", str(home))
    return home


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

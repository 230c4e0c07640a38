"""What holds for every test: loopback only, settings of its own, and no process left behind.

A test marked `every_client`, `every_protocol` or `every_pair` describes behaviour that is the same for all clients. It
runs for one of them (a pair: for each protocol over one upstream), chosen by the test's name, so that the suite as a
whole uses all; with `--thorough` it runs for each.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import os
import re
import signal
import socket
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from hypothesis import settings

from bm import tasks
from tests.support.loopback import refuse_network

pytest_plugins = ["tests.support.postgres", "tests.support.valkey"]

Value = TypeVar("Value")

settings.register_profile("quick", deadline=None, max_examples=25)
settings.register_profile("thorough", deadline=None, max_examples=400)

gc.disable()  # until all tests are collected: every object lives as long as the session

PROTOCOLS = ("anthropic", "openai-chat", "openai-responses", "gemini")
UPSTREAMS = ("gemini", "anthropic", "openai")
CLIENTS = [(protocol, stream) for protocol in PROTOCOLS for stream in (True, False)]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--thorough`."""
    parser.addoption("--thorough", action="store_true", help="every client for every behaviour, and many examples")


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples each property tries, and let Ctrl-C reach the processes that tests start.

    A shell without job control starts what runs in the background (`scripts/test &`) with Ctrl-C ignored, which all
    processes inherit.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    settings.load_profile("thorough" if config.getoption("--thorough") else "quick")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let each worker first compile its own part of the tests, of which the others then read what it has written."""
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.option.file_or_dir:
        return
    at, of = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    files = sorted(session.config.rootpath.glob("tests/**/test_*.py"))
    for file in files[len(files) * at // of : len(files) * (at + 1) // of]:
        importlib.import_module(".".join(file.relative_to(session.config.rootpath).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """Spare the garbage collector the tests themselves."""
    gc.freeze()
    gc.enable()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that hold for every client with one of them, or with each."""
    marked = {mark.name for mark in metafunc.definition.iter_markers()}
    if "every_client" in marked:
        ids = [f"{protocol}-{'stream' if stream else 'full'}" for protocol, stream in CLIENTS]
        metafunc.parametrize(("protocol", "stream"), _chosen(metafunc, CLIENTS), ids=_chosen(metafunc, ids))
    elif "every_pair" in marked:
        metafunc.parametrize(("protocol", "upstream"), _pairs(metafunc))
    elif "every_protocol" in marked:
        metafunc.parametrize("protocol", _chosen(metafunc, PROTOCOLS))
    elif "seeds" in marked:
        few, many = next(metafunc.definition.iter_markers("seeds")).args
        metafunc.parametrize("seed", range(many if metafunc.config.getoption("--thorough") else few))


def _pairs(metafunc: pytest.Metafunc) -> list[tuple[str, str]]:
    """Every client protocol, with one upstream each unless all are wanted."""
    if metafunc.config.getoption("--thorough"):
        return [(protocol, upstream) for protocol in PROTOCOLS for upstream in UPSTREAMS]
    first = _number(metafunc)
    return [(protocol, UPSTREAMS[(first + at) % len(UPSTREAMS)]) for at, protocol in enumerate(PROTOCOLS)]


def _chosen(metafunc: pytest.Metafunc, values: Sequence[Value]) -> list[Value]:
    if metafunc.config.getoption("--thorough"):
        return list(values)
    return [values[_number(metafunc) % len(values)]]


def _number(metafunc: pytest.Metafunc) -> int:
    """A number that stands for a test, the same in every run."""
    return zlib.crc32(metafunc.function.__name__.encode())


MARK = "PYTEST_PROCESS_MARK"
"""Set in the environment of everything a test starts, so that a daemon which left its parent is still found."""

FOREIGN = re.compile(
    r"BM_.*|.*_(API_KEY|BASE_URL|AUTH_TOKEN|DISPATCH_MODE|ENABLED)"
    r"|GOOGLE_(APPLICATION_CREDENTIALS|CLOUD_\w+)|(HTTPS?|ALL|NO|FTP)_PROXY|SSL_CERT_(FILE|DIR)|PG[A-Z]+",
    re.IGNORECASE,
)
"""Variables of the developer's own environment that bm, an SDK or the client of PostgreSQL would read."""


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
    """A `BM_HOME` of this test's own, whose folder exists and is empty. Nothing has failed in the background yet."""
    home = sealed / str(next(_count))
    home.mkdir()
    monkeypatch.setenv("BM_HOME", str(home))
    monkeypatch.setattr(tasks, "_troubles", {})
    return home


@pytest.fixture
def free_port() -> int:
    """A free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

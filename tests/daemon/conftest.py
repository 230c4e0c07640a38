"""A home with settings for tests, where every daemon is ended afterwards."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.daemon import runtime
from bm.daemon.stop import stop
from bm.errors import DaemonError


@pytest.fixture
def clean_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the root logger back as it was."""
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def paths(bm_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    """The files of this test's own home; a daemon started there takes any free port."""
    monkeypatch.setenv("BM_SERVER_PORT", "0")
    made = Paths.under(bm_home)
    yield made
    last = runtime.read(made.runtime)
    with contextlib.suppress(DaemonError):
        stop(made, 0, now=True)
    if last is not None and (process := runtime.same_process(last)):
        process.kill()

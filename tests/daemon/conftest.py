"""A home for tests, where every daemon is stopped afterwards."""

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
    """Restore the root logger."""
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
    """The files of the test's own home; a daemon started there uses any free port."""
    monkeypatch.setenv("BM_SERVER_PORT", "0")
    made = Paths.under(bm_home)
    yield made
    last = runtime.read(made.runtime)
    with contextlib.suppress(DaemonError):
        stop(made, 0, now=True)
    if last is not None and (process := runtime.same_process(last)):
        process.kill()

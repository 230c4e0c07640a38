"""The limit of open files: raised at the start, and reported while it is reached."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource

import psutil
import pytest

from bm import tasks
from bm.server import descriptors
from bm.server.descriptors import in_use, most_connections, raise_limit


def test_the_limit_of_open_files_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = [(256, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, values: limits.append(values))
    raise_limit()
    raise_limit()
    assert limits == [(256, 4096), (4096, 4096)]
    assert most_connections() == 2016
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    raise_limit()
    assert limits[-1] == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert most_connections() > 10_000


def test_none_left_to_count_with_means_all_are_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def spent(process: psutil.Process) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    used, limit = in_use()
    assert 0 < used < limit
    monkeypatch.setattr(psutil.Process, "num_fds", spent)
    assert in_use() == (limit, limit)


async def test_scarce_descriptors_are_shown_until_they_are_free(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(descriptors, "LOOK_EVERY", 0.001)
    seen = iter([5, 9, 10, 10, 5])
    shown: list[list[str]] = []
    enough = asyncio.Event()

    def count() -> tuple[int, int]:
        shown.append(tasks.failures())
        if len(shown) == 7:
            enough.set()
        return next(seen, 5), 10

    monkeypatch.setattr(descriptors, "in_use", count)
    with caplog.at_level(logging.INFO, "bm"):
        task = tasks.keep_running(descriptors.watch, "watching")
        await asyncio.wait_for(enough.wait(), 10)
        task.cancel()
    words = "file descriptors are in use: connections fail or are closed (raise ulimit -n)"
    assert shown[:7] == [[], [], [f"9 of 10 {words}"], [f"10 of 10 {words}"], [f"10 of 10 {words}"], [], []]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]

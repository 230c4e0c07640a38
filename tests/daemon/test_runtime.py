"""daemon.json, and identifying the process it describes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import psutil
import pytest

from bm.daemon import runtime
from tests.daemon.support import daemon, foreign_process


def test_a_written_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    runtime.write(path, daemon(port=8094))
    assert runtime.read(path) == daemon(port=8094)
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b'{"pid": "one"}', b"\xff\xfe"])
def test_a_damaged_file_is_ignored(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "daemon.json"
    path.write_bytes(content)
    assert runtime.read(path) is None


def test_unknown_members_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    runtime.write(path, daemon())
    path.write_text(path.read_text().replace("{", '{"since": "later",', 1))
    assert runtime.read(path) == daemon()


def test_only_the_run_that_wrote_the_file_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    runtime.write(path, daemon(token="newer"))
    runtime.remove(path, daemon(token="older"))
    assert path.exists()
    runtime.remove(path, daemon(token="newer"))
    assert not path.exists()


def test_a_process_is_identified_by_pid_and_start_time() -> None:
    own = psutil.Process()
    assert runtime.same_process(daemon(pid=own.pid, created=own.create_time())) == own


def test_a_recycled_pid_is_another_process() -> None:
    with foreign_process() as (pid, _):
        assert runtime.same_process(daemon(pid=pid, created=psutil.Process(pid).create_time() - 60)) is None


@pytest.mark.parametrize("pid", [2**22 + 1, 2**40, -1])
def test_an_unused_pid_is_no_process(pid: int) -> None:
    assert runtime.same_process(daemon(pid=pid)) is None


def test_the_token_is_not_shown() -> None:
    shown = daemon(token="secret-token")
    assert "secret-token" not in repr(shown)
    assert shown.proof("x") != shown.proof("y") != daemon(token="another").proof("y")

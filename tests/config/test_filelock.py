"""One holder at a time, across threads and processes; a crash sets it free."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from bm.config.filelock import LockTimeout, locked
from bm.errors import BmError

HOLD = """
import sys
from pathlib import Path
from bm.config.filelock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold_elsewhere(path: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock until its standard input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_holder_waits_in_vain(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path), pytest.raises(LockTimeout) as caught, locked(path, timeout=0.05):
        pytest.fail("held twice")
    assert str(caught.value) == f"{path}: held by another bm process"
    assert isinstance(caught.value, BmError)


def test_it_is_free_again_after_the_block_and_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), locked(path):
        raise ZeroDivisionError
    with locked(path, timeout=0):
        pass
    with locked(path, timeout=0):
        pass


def test_another_process_excludes_this_one_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold_elsewhere(path) as other:
        with pytest.raises(LockTimeout), locked(path, timeout=0):
            pytest.fail("held twice")
        other.kill()
        other.wait()
    with locked(path, timeout=5):
        pass


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_the_lock_file_is_private(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) == 0o600

"""The spool keeps requests until they are removed, in any number of processes."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from bm.ledger import spool as module
from bm.ledger.entry import LARGEST
from bm.ledger.spool import Spool, decoded
from tests.ledger.entries import entry


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path / "state" / "spool.db")) as opened:
        yield opened


def names(spool: Spool) -> list[str]:
    return [decoded(row).id for _, row in spool.first(100)]


def test_requests_wait_in_their_order_until_they_are_removed(spool: Spool) -> None:
    spool.write([entry(id="a"), entry(id="b")])
    spool.write([entry(id="c")])
    with closing(Spool(spool.path)) as other:
        assert (names(other), other.count) == (["a", "b", "c"], 3)
        other.remove([number for number, _ in other.first(2)])
    assert (names(spool), spool.count) == (["c"], 1)
    assert decoded(spool.first(1)[0][1]) == entry(id="c")


def test_a_number_is_never_given_twice(spool: Spool) -> None:
    spool.write([entry(id="a")])
    (number,) = [number for number, _ in spool.first(1)]
    spool.remove([number])
    spool.write([entry(id="b")])
    spool.remove([number])
    assert names(spool) == ["b"]


def test_values_that_no_encoding_takes_are_kept_as_well_as_possible(spool: Spool) -> None:
    spool.write([entry(id="a", output=2**70, model="half \ud83d")])
    found = decoded(spool.first(1)[0][1])
    assert (found.output, found.model) == (LARGEST, "half ?")


def test_it_remembers_the_databases_it_has_reached(spool: Spool) -> None:
    assert not spool.has_reached("postgresql://db/bm")
    spool.set_reached("postgresql://db/bm")
    spool.set_reached("postgresql://db/bm")
    with closing(Spool(spool.path)) as other:
        assert other.has_reached("postgresql://db/bm") and not other.has_reached("postgresql://other/bm")


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_the_files_are_private(spool: Spool) -> None:
    spool.write([entry()])
    assert [stat.S_IMODE(file.stat().st_mode) for file in spool.path.parent.iterdir()] == [0o600] * 3


def test_a_spool_that_grows_leaves_space_on_the_disk_and_is_small_afterwards(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    monkeypatch.setattr(module, "_GROWN_MB", 0.25)
    spool.write([entry(decision=b"x" * 300_000)])
    with pytest.raises(OSError, match="less than 256 MB are free on the disk of"):
        spool.write([entry()])
    spool.remove([number for number, _ in spool.first(9)])
    assert spool.size < 100_000
    spool.write([entry()])


def test_opening_it_twice_leaves_the_locks_that_keep_it_whole(spool: Spool) -> None:
    spool.write([entry(id="a")])
    with closing(Spool(spool.path)) as other:
        assert other.count == 1
    # The last connection to a file takes its log in and removes it. This one, of another process, is not the last.
    code = f"import sqlite3; c = sqlite3.connect({str(spool.path)!r}); c.execute('SELECT 1 FROM waiting'); c.close()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert spool.path.with_name("spool.db-wal").exists()
    spool.write([entry(id="b")])
    assert names(spool) == ["a", "b"]

"""`bm ledger move` copies ledger.db to the database and says how much."""

from __future__ import annotations

from contextlib import closing

import pytest

from bm.config.paths import Paths
from bm.ledger.database import LedgerFile
from tests.cli.conftest import Bm
from tests.ledger.entries import entry
from tests.support.postgres import PASSWORD


def test_it_says_how_many_requests_were_copied(
    bm: Bm, paths: Paths, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bm("ledger", "move").err.startswith("error: the ledger has no database yet: bm config set ledger.url ")
    monkeypatch.setenv("BM_LEDGER_URL", database)
    assert bm("ledger", "move") == (2, "", f"error: {paths.ledger}: there is no such file\n")
    with closing(LedgerFile(paths.ledger)) as file:
        file.write([entry(id=f"req_{number}") for number in range(3)], 10)
    where = f"postgresql://…@{database.partition('@')[2]}"
    assert bm("ledger", "move") == (0, f"3 requests copied to {where}\n", "")
    assert bm("ledger", "move").out == f"0 requests copied to {where}; 3 were there already\n"
    assert bm("ledger", "move", "--from", str(paths.ledger)).code == 0
    monkeypatch.setenv("BM_LEDGER_URL", database.replace(PASSWORD, "wrong-password"))
    assert "ledger.url: the database refuses: " in bm("ledger", "move").err


def test_a_daemon_that_still_writes_the_file_is_named(
    bm: Bm, paths: Paths, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bm("start").code == 0
    monkeypatch.setenv("BM_LEDGER_URL", database)
    try:
        assert f"still writes to {paths.ledger}: bm restart, then bm ledger move once more" in bm("ledger", "move").err
    finally:
        bm("stop")

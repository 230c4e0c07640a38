"""Which ledger the configuration names, and whether it can be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from bm.config.paths import Paths
from bm.config.schema import Config, Ledger, Shared
from bm.database.connection import DatabaseAway
from bm.errors import ConfigError
from bm.ledger.open import check_ledger, ledger_of, spool_of, writer_of
from bm.ledger.reader import requests
from tests.ledger.entries import entry
from tests.support.postgres import PASSWORD, Server


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.under(tmp_path)


def config(url: str) -> Config:
    return Config(ledger=Ledger(url=url), shared=Shared(node="one"))


def test_without_a_url_it_is_the_file(paths: Paths) -> None:
    check_ledger(paths, Config())
    assert ledger_of(paths, Config()) == writer_of(paths, Config()).where == paths.ledger


def test_what_is_written_is_read_from_the_database(paths: Paths, database: str) -> None:
    check_ledger(paths, config(database))
    writer = writer_of(paths, config(database))
    writer.start()
    writer.put(lambda: entry(id="req_1"))
    writer.stop(20)
    assert writer.where == ledger_of(paths, config(database)) == database
    assert [(row["id"], row["node"]) for row in requests(database, 9)] == [("req_1", "one")]
    assert not paths.ledger.exists()


def test_a_database_that_was_never_reached_may_have_a_wrong_url(paths: Paths, free_port: int) -> None:
    with pytest.raises(DatabaseAway, match=r"ledger\.url: the database cannot be reached.*correct host and port"):
        check_ledger(paths, config(f"postgresql://bm@127.0.0.1:{free_port}/bm"))


def test_a_database_that_was_reached_before_may_be_away(
    paths: Paths, postgres: Server, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    writer = writer_of(paths, config(database))
    writer.start()
    assert writer.flush(20)
    writer.stop(20)
    postgres.kill()
    check_ledger(paths, config(database))
    assert f"until then requests wait in {spool_of(paths)}" in caplog.text
    postgres.start()
    with pytest.raises(ConfigError, match="password authentication failed"):
        check_ledger(paths, config(database.replace(PASSWORD, "wrong")))

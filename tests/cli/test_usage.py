"""`bm usage` adds up, with a daemon and without one."""

from __future__ import annotations

import httpx
import pytest

from bm.accounts.credentials import load
from bm.config.paths import Paths
from bm.daemon.runtime import read
from bm.simulator import Rule, Simulator
from bm.simulator.rules import Usage
from tests.cli.conftest import Bm
from tests.simulator.streams import APIS, ask
from tests.support.postgres import PASSWORD


def test_it_adds_up_with_and_without_a_daemon(bm: Bm, simulator: Simulator, http: httpx.Client) -> None:
    simulator.script(Rule(usage=Usage(input=1_000, output=20, cached=400, thinking=5), times=None))
    for api in APIS:
        assert ask(http, api).status_code == 200
    shown = [bm("usage", "--by", by) for by in ("provider", "model", "account", "day")]
    for ran in shown:
        assert ran.code == 0
        cells = ran.out.splitlines()[-1].split()
        assert cells[:8] == ["total", "4", "0", "2,400", "1,600", "0", "100", "20"]
    found = bm("usage", "--days", "1", "--json").json
    assert found["total"]["requests"] == 4
    assert bm("usage", "--by", "model", "--csv").out.splitlines()[0] == (
        "model,requests,failures,input,cache_read,cache_write,output,thinking,cost"
    )
    (line,) = bm("usage", "--by", "day", "--csv").out.splitlines()[1:]
    assert line.split(",")[1:8] == ["4", "0", "2400", "1600", "0", "100", "20"]
    assert bm("stop").code == 0
    assert [bm("usage", "--by", by) for by in ("provider", "model", "account", "day")] == shown
    assert bm("usage", "--days", "1", "--json").json == found


def test_before_the_first_request(bm: Bm) -> None:
    assert bm("usage") == (0, "no requests in the last 30 days\n", "")
    assert bm("usage", "--days", "1").out == "no requests today\n"


@pytest.mark.parametrize("words", [("--days", "0"), ("--days", "401"), ("--by", "mood")])
def test_wrong_usage(bm: Bm, words: tuple[str, ...]) -> None:
    assert bm("usage", *words).code == 2


def test_the_same_from_a_database(
    bm: Bm, paths: Paths, simulator: Simulator, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BM_LEDGER_URL", database.replace(PASSWORD, "wrong-password"))
    ran = bm("start")
    assert ran.code == 2 and "ledger.url: the database refuses: " in ran.err
    assert "correct the user or the password in it" in ran.err and "wrong-password" not in ran.err
    monkeypatch.setenv("BM_LEDGER_URL", database)
    monkeypatch.setenv("BM_SHARED_NODE", "one")
    assert bm("usage").err.startswith("error: ledger.url: the database refuses: relation")
    assert bm("start").code == 0
    daemon = read(paths.runtime)
    assert daemon is not None
    with httpx.Client(base_url=daemon.url, headers={"x-api-key": load(paths.accounts).local_key}) as http:
        name = ask(http, "anthropic").headers["x-bm-request-id"]
    shown = [bm("usage", "--by", "node", "--csv"), bm("why", name), bm("usage", "--json")]
    assert [ran.code for ran in shown] == [0, 0, 0]
    assert shown[0].out.splitlines()[1].startswith("one,1,1,")
    assert bm("stop").code == 0
    assert [bm("usage", "--by", "node", "--csv"), bm("why", name), bm("usage", "--json")] == shown

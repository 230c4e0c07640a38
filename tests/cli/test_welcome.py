"""`bm` alone: the state of this home in a line, and the next step."""

from __future__ import annotations

import httpx

from bm.accounts.account import Account
from bm.accounts.credentials import update
from bm.config.paths import Paths
from tests.cli.conftest import PLANTED, Bm


def lines(bm: Bm) -> dict[str, str]:
    """What it says by the words its lines begin with."""
    ran = bm()
    assert (ran.code, ran.err) == (0, "")
    return {line.split()[0]: line.partition("  ")[2].strip() for line in ran.out.splitlines() if line}


def test_on_a_fresh_machine_it_says_what_to_do_first(bm: Bm) -> None:
    said = lines(bm)
    assert said["now"] == "nothing is set up yet"
    assert said["next"].startswith("bm init")
    assert "bm" in said


def test_with_an_account_the_next_step_is_to_start(bm: Bm) -> None:
    bm("accounts", "add", "work", "--no-verify", stdin=PLANTED)
    assert lines(bm)["now"] == "set up, but not running"
    assert "bm start" in lines(bm)["next"]


def test_a_running_daemon_is_summed_up(bm: Bm, http: httpx.Client) -> None:
    said = lines(bm)
    address = str(http.base_url).rstrip("/")
    assert said["now"] == f"running at {address}; accounts: 3 usable; groq fallback; no requests yet"
    assert said["next"].startswith("bm run claude")


def test_an_invalid_file_comes_first(bm: Bm, paths: Paths) -> None:
    paths.config.write_text("[server]\nprot = 1\n")
    assert lines(bm)["now"].endswith('config.toml:2: server.prot: unknown key (did you mean "port"?)')
    assert lines(bm)["next"] == "bm config edit"


def test_an_account_that_cannot_be_used_is_named(bm: Bm, paths: Paths) -> None:
    update(paths.accounts, lambda stored: stored.add(Account(name="work", key="env:NO_SUCH_VARIABLE")))
    assert lines(bm)["now"].startswith("account work of gemini: ")

"""`bm test`: every account is asked once, with and without a daemon."""

from __future__ import annotations

import pytest

from bm.simulator import Rule, Simulator
from tests.cli.conftest import Bm


@pytest.mark.parametrize("daemon", [False, True])
def test_what_came_of_each_account(bm: Bm, simulator: Simulator, daemon: bool) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("providers", "key", "anthropic", "--no-verify", stdin="key-two")
    if daemon:
        bm("start")
    ran = bm("test")
    assert ran.code == 0, ran
    rows = [line.split()[:4] for line in ran.out.splitlines()]
    assert rows[0] == ["PROVIDER", "ACCOUNT", "RESULT", "KEY"]
    assert rows[1:] == [["gemini", "one", "ok", "accepted"], ["anthropic", "main", "ok", "accepted"]]
    (row,) = bm("test", "anthropic", "--json").json["results"]
    assert (row["provider"], row["account"], row["ok"], row["key_accepted"]) == ("anthropic", "main", True, True)
    assert row["output_tokens"] > 0


def test_a_failure_is_told_with_its_cure(bm: Bm, simulator: Simulator) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    simulator.script(Rule(api="gemini", operation="any", error="invalid_key", times=None))
    ran = bm("test", "one")
    assert ran.code == 1
    assert ran.out.splitlines()[1].split()[:4] == ["gemini", "one", "failed", "refused"]
    assert "(bm accounts verify one; for another key: bm accounts remove one, then" in ran.out
    assert bm("test", "one", "--json").code == 1


def test_nothing_to_test_is_a_failure(bm: Bm) -> None:
    ran = bm("test")
    assert ran.code == 1
    assert ran.out == "nothing to test: no provider in use has an account (bm accounts add NAME)\n"

"""`bm doctor` as a command."""

from __future__ import annotations

from bm.config.paths import Paths
from tests.cli.conftest import Bm


def test_a_healthy_home(bm: Bm) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin="key-one")
    bm("start")
    ran = bm("doctor")
    assert ran.code == 0
    assert {line.split()[0] for line in ran.out.splitlines()[1:]} == {"ok"}


def test_a_failed_check_is_1_and_has_a_cure(bm: Bm, paths: Paths) -> None:
    ran = bm("doctor")
    assert ran.code == 1
    assert "keys: bm accounts add NAME\n" in ran.out
    paths.config.write_text("[server]\nprot = 1\n")
    assert bm("doctor").code == 1
    (check,) = bm("doctor", "--json").json["checks"]
    assert (check["check"], check["result"], check["cure"]) == ("configuration", "failed", "bm config edit")

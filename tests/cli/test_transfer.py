"""`bm accounts export` and `import`."""

from __future__ import annotations

from pathlib import Path

from bm.accounts.credentials import load
from bm.config.paths import Paths
from tests.cli.conftest import PLANTED, Bm

SEALING = "a long passphrase"


def test_an_export_with_a_passphrase_is_imported(bm: Bm, paths: Paths, tmp_path: Path) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    file = tmp_path / "export.json"
    ran = bm("accounts", "export", str(file), stdin=f"{SEALING}\n")
    assert (ran.code, ran.out) == (0, f"{file}: 1 accounts\n")
    assert PLANTED not in file.read_text() + ran.err
    bm("accounts", "remove", "one", "--yes")
    assert bm("accounts", "import", str(file), stdin="another passphrase\n").code == 2
    assert bm("accounts", "import", str(file), stdin=f"{SEALING}\n").out == "1 accounts added: one\n"
    assert load(paths.accounts).accounts[0].key == PLANTED
    again = bm("accounts", "import", str(file), stdin=f"{SEALING}\n")
    assert (again.code, again.out) == (0, "0 accounts added\n")
    assert again.err == "left out one: one of gemini has this key already\n"


def test_an_export_needs_a_passphrase(bm: Bm, tmp_path: Path) -> None:
    bm("accounts", "add", "one", "--no-verify", stdin=PLANTED)
    file = tmp_path / "export.json"
    for passphrase in ("", "\n", "short\n"):
        assert bm("accounts", "export", str(file), stdin=passphrase).code == 2
        assert not file.exists()


def test_a_list_of_keys_is_imported(bm: Bm, paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "keys.csv").write_text(f"one,{PLANTED}\ntwo,{PLANTED}-2\n")
    assert bm("accounts", "import", str(tmp_path / "keys.csv"), "--provider", "groq").code == 0
    assert [each.id for each in load(paths.accounts).accounts] == [("groq", "one"), ("groq", "two")]
    (tmp_path / "keys.csv").write_text(PLANTED)
    ran = bm("accounts", "import", str(tmp_path / "keys.csv"))
    assert ran.code == 2 and "line 1" in ran.err and PLANTED not in ran.err

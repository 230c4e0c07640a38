"""Files of bm's folder in the hands of others, linked elsewhere, torn: refused or reported, and never replaced."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bm.config.paths import Paths, make_folders
from tests.support.daemon import daemon

KEY = "planted-key-of-an-account-5Kw"
ACCOUNTS = f'version = 1\nlocal_key = "bm-local"\n[[accounts]]\nname = "one"\nprovider = "gemini"\nkey = "{KEY}"\n'


def started(home: Path) -> subprocess.CompletedProcess[str]:
    """`bm start` in a folder in which it must not start."""
    environ = {**os.environ, "BM_HOME": str(home), "BM_SERVER_PORT": "0"}
    command = [sys.executable, "-m", "bm", "start", "--foreground"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
@pytest.mark.parametrize("what", ["file", "folder", "target"])
def test_settings_that_others_can_write_run_no_command(bm_home: Path, tmp_path: Path, what: str) -> None:
    mark = tmp_path / "was-run"
    paths = Paths.under(bm_home)
    make_folders(paths)
    config = paths.config
    if what == "target":
        config = tmp_path / "shared.toml"
        paths.config.symlink_to(config)
    config.write_text(f'[providers.groq]\nenabled = true\nmode = "fallback"\napi_key = "cmd:touch {mark}"\n')
    (paths.config.parent if what == "folder" else config).chmod(0o777 if what == "folder" else 0o666)
    ended = started(bm_home)
    assert ended.returncode == 2 and "chmod go-w" in ended.stderr and not mark.exists()


@pytest.mark.parametrize(
    "content",
    [b"local_key = ", ACCOUNTS.encode()[:-9], b"a = " + b"[" * 5000],
    ids=["torn", "cut", "deep"],
)
def test_a_damaged_accounts_file_stops_the_start_and_stays(bm_home: Path, content: bytes) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    paths.accounts.write_bytes(content)
    ended = started(bm_home)
    assert ended.returncode == 2 and "accounts.toml" in ended.stderr and KEY not in ended.stderr
    assert paths.accounts.read_bytes() == content


def test_damaged_state_costs_no_start(bm_home: Path) -> None:
    paths = Paths.under(bm_home)
    make_folders(paths)
    for name in ("state.json", "models.json", "signatures.jsonl", "daemon.json", "undo.json"):
        for folder in {paths.ledger.parent, paths.config.parent, paths.runtime.parent}:
            (folder / name).write_bytes(b'{"version": 1, "accounts": [{' + b"[" * 4000 + b"\xff")
    with daemon(bm_home, "", {"one": KEY}) as running:
        assert running.process.poll() is None and KEY not in running.log()


def test_what_bm_writes_is_private_and_links_stay(bm_home: Path, tmp_path: Path) -> None:
    paths, real = Paths.under(bm_home), tmp_path / "real.toml"
    make_folders(paths)
    real.write_text(ACCOUNTS)
    real.chmod(0o600)
    paths.accounts.symlink_to(real)
    with daemon(bm_home, "", {"two": f"{KEY}-2"}) as running:
        assert running.process.poll() is None
        open_to_others = [
            str(file)
            for file in bm_home.rglob("*")
            if file.is_file() and file.name not in ("config.toml", "output.txt") and file.stat().st_mode & 0o077
        ]
    assert open_to_others == [] and paths.accounts.is_symlink() and f"{KEY}-2" in real.read_text()

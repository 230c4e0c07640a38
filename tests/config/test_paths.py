"""Locations of files: under `BM_HOME`, or in the platform's folders, which are created on demand."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import platformdirs
import pytest

from bm.config.paths import Paths, in_home, is_default, make_folders
from bm.errors import ConfigError

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")


def test_bm_home_holds_every_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    paths = Paths.default({"BM_HOME": str(home)})
    assert paths == Paths(
        config=home / "config.toml",
        accounts=home / "accounts.toml",
        keys=home / "keys.toml",
        ledger=home / "ledger.db",
        clients=home / "clients.json",
        runtime=home / "daemon.json",
        lock=home / "daemon.lock",
        log=home / "daemon.log",
    )
    assert not home.exists()


def test_bm_home_may_begin_with_a_tilde_and_becomes_absolute() -> None:
    assert Paths.default({"BM_HOME": "~/bm"}).config == Path.home() / "bm" / "config.toml"
    assert Paths.default({"BM_HOME": "here"}).config == Path.cwd() / "here" / "config.toml"


@pytest.mark.parametrize("environ", [{}, {"BM_HOME": ""}])
def test_without_bm_home_the_platform_decides(environ: dict[str, str]) -> None:
    paths = Paths.default(environ)
    assert paths.config.parent == paths.accounts.parent
    assert paths.ledger.parent == paths.runtime.parent == paths.lock.parent
    assert all("better-manager" in str(getattr(paths, name)) for name in paths.__struct_fields__)


@posix
def test_folders_are_private(tmp_path: Path) -> None:
    paths = Paths.under(tmp_path / "a" / "b")
    make_folders(paths)
    make_folders(paths)
    modes = [stat.S_IMODE(folder.stat().st_mode) for folder in (tmp_path / "a", tmp_path / "a" / "b")]
    assert modes == [0o700, 0o700]


def test_without_a_home_folder_bm_home_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home(*_: object) -> str:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.setattr(platformdirs.PlatformDirs, "user_config_path", property(no_home))
    assert Paths.default({"BM_HOME": str(tmp_path)}) == Paths.under(tmp_path) or in_home("~/x") == Path(
        "/nonexistent/x"
    )
    assert not is_default(Paths.under(tmp_path))
    with pytest.raises(ConfigError, match="set HOME, or BM_HOME"):
        Paths.default({})

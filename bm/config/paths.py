"""Where bm keeps its files: the platform's own folders, or all of them under `BM_HOME`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from bm.config.files import make_private_folder

APP_NAME = "better-manager"


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Every file bm owns or reads. Nothing exists until something is written; see `make_folders`."""

    config: Path
    """config.toml: the person's settings."""
    accounts: Path
    """accounts.toml: credentials, written by bm alone."""
    ledger: Path
    """ledger.db: what was used and what it cost."""
    clients: Path
    """clients.json: what `bm setup` has changed in the settings of tools, and what was there before."""
    runtime: Path
    """daemon.json: the running daemon's pid, start time, port, version and instance token."""
    lock: Path
    """daemon.lock: held while a daemon starts and runs."""
    log: Path
    """daemon.log: rotating."""

    @classmethod
    def under(cls, home: Path) -> Paths:
        """All files in one folder."""
        return cls._in(config=home, state=home, log=home)

    @classmethod
    def default(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """The folder `BM_HOME` names (`~` expanded), else the platform's config, state and log folders."""
        if home := environ.get("BM_HOME"):
            return cls.under(Path(home).expanduser().absolute())
        dirs = platformdirs.PlatformDirs(APP_NAME, appauthor=False)
        return cls._in(config=dirs.user_config_path, state=dirs.user_state_path, log=dirs.user_log_path)

    @classmethod
    def _in(cls, *, config: Path, state: Path, log: Path) -> Paths:
        return cls(
            config=config / "config.toml",
            accounts=config / "accounts.toml",
            ledger=state / "ledger.db",
            clients=state / "clients.json",
            runtime=state / "daemon.json",
            lock=state / "daemon.lock",
            log=log / "daemon.log",
        )


def make_folders(paths: Paths) -> None:
    """Create the folders of all files, readable by their owner only.

    Raises:
        OSError: a folder cannot be created.
    """
    for field in paths.__struct_fields__:
        make_private_folder(getattr(paths, field).parent)

"""The locations of bm's files: the platform's folders, or one folder named by `BM_HOME`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import platformdirs

from bm.config.files import make_private_folder
from bm.errors import ConfigError

APP_NAME = "better-manager"
_NOWHERE = "/nonexistent"


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Every file bm owns or reads. None need exist; `make_folders` creates the folders."""

    config: Path
    """config.toml: the user's settings."""
    accounts: Path
    """accounts.toml: credentials, written by bm only."""
    keys: Path
    """keys.toml: digests of the keys of clients, written by bm only."""
    ledger: Path
    """ledger.db: usage and cost."""
    clients: Path
    """clients.json: the changes `bm setup` made to the settings of tools, and the values before."""
    runtime: Path
    """daemon.json: pid, start time, port, version and instance token of the running daemon."""
    lock: Path
    """daemon.lock: locked while a daemon starts and runs."""
    log: Path
    """daemon.log, rotated by size."""

    @classmethod
    def under(cls, home: Path) -> Paths:
        """All files in one folder."""
        return cls._in(config=home, state=home, log=home)

    @classmethod
    def default(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """The folder that `BM_HOME` names (`~` is expanded), else the platform's config, state and log folders.

        Raises:
            ConfigError: there is neither `BM_HOME` nor a home folder, as for an unknown uid in a container.
        """
        if home := environ.get("BM_HOME"):
            return cls.under(in_home(home).absolute())
        dirs = platformdirs.PlatformDirs(APP_NAME, appauthor=False)
        try:
            return cls._in(config=dirs.user_config_path, state=dirs.user_state_path, log=dirs.user_log_path)
        except RuntimeError:
            raise ConfigError("this user has no home folder: set HOME, or BM_HOME to a folder for bm") from None

    @classmethod
    def _in(cls, *, config: Path, state: Path, log: Path) -> Paths:
        return cls(
            config=config / "config.toml",
            accounts=config / "accounts.toml",
            keys=config / "keys.toml",
            ledger=state / "ledger.db",
            clients=state / "clients.json",
            runtime=state / "daemon.json",
            lock=state / "daemon.lock",
            log=log / "daemon.log",
        )


def in_home(text: str) -> Path:
    """The path with `~` expanded. Without a home folder it leads to where no file is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text.replace("~", _NOWHERE, 1))


def is_default(paths: Paths) -> bool:
    """Whether these are the files of this user without `BM_HOME`."""
    try:
        return paths == Paths.default({})
    except ConfigError:
        return False


def make_folders(paths: Paths) -> None:
    """Create the folders of all files, accessible to their owner only.

    Raises:
        OSError: a folder cannot be created.
    """
    for field in paths.__struct_fields__:
        make_private_folder(getattr(paths, field).parent)

"""Write a file so that a reader, or a crash at any instant, finds either the old one or the new one, whole."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the content of `path` by `data` and give the file `mode`; a symlink's target is replaced, not the link.

    The folder must exist. On Windows the folder's own permissions apply instead of `mode`.

    Raises:
        OSError: it cannot be written; the old file is untouched and nothing is left behind.
    """
    target = Path(os.path.realpath(path))
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if sys.platform != "win32":
            temporary.chmod(mode)
        _replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        # A full disk is told of without the file's name.
        if isinstance(error, OSError) and not error.filename:
            error.filename = str(target)
        raise
    _sync_folder(target.parent)


if sys.platform == "win32":

    def _replace(source: Path, target: Path) -> None:
        # Windows refuses while somebody has the target open; readers of these files are brief.
        for _ in range(25):
            try:
                source.replace(target)
            except PermissionError:
                time.sleep(0.02)
            else:
                return
        source.replace(target)

    def _sync_folder(folder: Path) -> None:
        """Windows cannot open folders; its rename is journalled."""
else:

    def _replace(source: Path, target: Path) -> None:
        source.replace(target)

    def _sync_folder(folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

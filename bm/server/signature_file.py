"""The signatures of a daemon on disk: a line each, added as they come, written anew when there are too many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from bm.accounts.state_file import save
from bm.config.paths import Paths
from bm.gateway.signatures import Kept

MAX_BYTES = 16 * 1024 * 1024
"""A call of Gemini's signs a kilobyte or two: this is some thousand calls."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Kept).decode


def signatures_path(paths: Paths) -> Path:
    """Where the file is: beside the ledger."""
    return paths.ledger.with_name("signatures.jsonl")


def read(path: Path) -> Iterator[Kept]:
    """What the file holds, the oldest first; a line that a crash cut short is passed over.

    Raises:
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    for line in path.read_bytes().splitlines():
        try:
            yield _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue


def append(path: Path, kept: Iterable[Kept]) -> int:
    """Add signatures; gives the size of the file in bytes.

    Raises:
        OSError: it cannot be written.
    """
    lines = b"".join(_encode(each) + b"\n" for each in kept)
    if not path.exists():
        save(lines, path)
        return len(lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    with os.fdopen(descriptor, "ab") as file:
        file.write(lines)
        return file.tell()


def rewrite(path: Path, kept: Iterable[Kept]) -> None:
    """Hold these and no others.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    save(b"".join(_encode(each) + b"\n" for each in kept), path)

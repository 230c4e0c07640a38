"""The last change of the configuration, the accounts or the keys, kept so that `bm undo` can take it back.

One command may change several files; the next command that changes one replaces the record. It holds the former lines
that were changed, and so the key of an account that was removed, but of no other. It is private like accounts.toml,
beside which it is.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from bm.config.files import lock_of, locked, write_private
from bm.errors import UNREADABLE, BmError

if TYPE_CHECKING:
    from bm.config.paths import Paths

File = Literal["config", "accounts", "keys"]


class Former(msgspec.Struct, frozen=True):
    """One file before the command: its first `head` and last `tail` lines are those of the file afterwards, of which
    `after` is a digest, and `lines` were between them. None if there was no file."""

    lines: str | None
    head: int
    tail: int
    after: str

    @classmethod
    def of(cls, before: str | None, after: str | None) -> Former:
        """What is needed to get from the content afterwards to the one before."""
        old, new = _lines(before), _lines(after)
        head = _alike(old, new)
        tail = _alike(old[head:][::-1], new[head:][::-1])
        lines = None if before is None else "".join(old[head : len(old) - tail])
        return cls(lines, head, tail, _digest(after))

    def content(self, after: str | None) -> str | None:
        """The content before, from the one afterwards."""
        if self.lines is None:
            return None
        lines = _lines(after)
        return "".join([*lines[: self.head], self.lines, *lines[len(lines) - self.tail :]])


class Record(msgspec.Struct, frozen=True):
    """What a command has changed, and when, in Unix time. `database` is where it has changed what is in no file."""

    command: str
    at: float
    files: dict[str, Former]
    database: str = ""


@contextmanager
def recorded(paths: Paths, file: File, command: str, files: dict[str, Former]) -> Iterator[None]:
    """Keep the content of a file if the block changes it. `files` are those that this command has changed before."""
    before = _read(_path(paths, file))
    yield
    after = _read(_path(paths, file))
    if after == before:
        return
    first = files[file].content(before) if file in files else before
    files[file] = Former.of(first, after)
    write_private(_place(paths), msgspec.json.encode(Record(command, time.time(), files)))


def note_database(paths: Paths, place: str, command: str) -> None:
    """The last change was in a database, whose former content is not kept."""
    write_private(_place(paths), msgspec.json.encode(Record(command, time.time(), {}, place)))


def last(paths: Paths) -> Record | None:
    """The last change; None if there is none to undo."""
    try:
        return msgspec.json.decode(_place(paths).read_bytes(), type=Record)
    except (FileNotFoundError, *UNREADABLE):
        return None


def restore(paths: Paths, record: Record) -> None:
    """Give the files the content that they had before the change.

    Raises:
        BmError: a file was changed since; nothing is restored.
        OSError: a file cannot be written.
    """
    from bm.config import edit

    locks = {
        "config": edit.lock_of(paths.config),
        "accounts": lock_of(paths.accounts),
        "keys": lock_of(paths.keys),
    }
    for file, former in record.files.items():
        if _digest(_read(_path(paths, file))) != former.after:
            raise BmError(f"{_path(paths, file)} was changed since {record.command!r}, so that is not undone")
    for file, former in record.files.items():
        path = _path(paths, file)
        with locked(locks[file]):
            content = former.content(_read(path))
            if content is None:
                path.unlink()
            else:
                write_private(path, content.encode(), path.stat().st_mode & 0o777)
    _place(paths).unlink()


def _place(paths: Paths) -> Path:
    return paths.accounts.with_name("undo.json")


def _path(paths: Paths, file: str) -> Path:
    path: Path = getattr(paths, file)
    return path


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _alike(one: list[str], other: list[str]) -> int:
    """How many lines at the start are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _lines(text: str | None) -> list[str]:
    return text.splitlines(keepends=True) if text else []


def _digest(text: str | None) -> str:
    return "" if text is None else hashlib.sha256(text.encode()).hexdigest()

"""The stored keys (keys.toml), written by bm only: for its owner alone, replaced as a whole, changed under a lock.

They are not in accounts.toml: that holds what bm shows to providers, and is exported to other machines. Nor in the
ledger: it may be lost without harm, keys may not. A file that cannot be parsed is never overwritten. A key with members
that this version does not know is kept but not accepted, since one of them may restrict it.
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import tomli_w

from bm.config.files import changing, tighten, write_private
from bm.config.load import read_toml
from bm.config.secrets import hint
from bm.config.validation import nearest
from bm.errors import AccountError
from bm.keys.key import MOST, PREFIX, Key, check, digest

VERSION = 1
_HEADER = "# Written by bm: use `bm keys` to change it. It holds digests of keys, not the keys.\n\n"
_MEMBERS = frozenset(Key.__struct_fields__)


class StoredKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The content of keys.toml. `foreign` are tables of keys that need a newer version; `warnings` are not stored."""

    keys: tuple[Key, ...] = ()
    foreign: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()

    def find(self, name: str) -> Key:
        """The key of that name.

        Raises:
            AccountError: there is none.
        """
        for key in self.keys:
            if key.name == name:
                return key
        near = nearest(name, [key.name for key in self.keys]) or "`bm keys` lists them"
        raise AccountError(f"no key is named {name!r} ({near})")

    def add(self, key: Key) -> StoredKeys:
        """A copy with one more key at the end.

        Raises:
            AccountError: its name is in use, or it cannot be a key.
        """
        check(key)
        if any(name == key.name for name in (*(each.name for each in self.keys), *map(_name, self.foreign))):
            raise AccountError(f"there is a key named {key.name!r} already (bm keys rotate {key.name})")
        if len(self.keys) >= MOST:
            raise AccountError(f"there are {MOST} keys already: bm keys revoke NAME")
        return msgspec.structs.replace(self, keys=(*self.keys, key))

    def change(self, key: Key) -> StoredKeys:
        """A copy with `key` in place of the one of its name.

        Raises:
            AccountError: there is none, or it cannot be a key.
        """
        check(key)
        old = self.find(key.name)
        return msgspec.structs.replace(self, keys=tuple(key if each is old else each for each in self.keys))

    def revoke(self, name: str) -> StoredKeys:
        """A copy without the key of that name.

        Raises:
            AccountError: there is none.
        """
        if any(_name(row) == name for row in self.foreign):
            rest = tuple(row for row in self.foreign if _name(row) != name)
            return msgspec.structs.replace(self, foreign=rest)
        old = self.find(name)
        return msgspec.structs.replace(self, keys=tuple(each for each in self.keys if each is not old))


class KeyStore(Protocol):
    """Where the keys are stored, as everything that reads or changes them sees it. Every call may block."""

    def load(self) -> StoredKeys:
        """The keys as they are now.

        Raises:
            AccountError: they cannot be read.
        """
        ...

    def update(self, change: Callable[[StoredKeys], StoredKeys], *, patience: float = 10.0) -> StoredKeys:
        """Replace the keys with the result of `change`, which nothing else changes meanwhile, and return it.

        Raises:
            AccountError: `change` raised it, or the keys cannot be read or written. Nothing is changed.
            LockTimeout: something else changes them for longer than `patience` seconds.
        """
        ...


class KeyFile:
    """The keys in keys.toml."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> StoredKeys:
        return load(self._path)

    def update(self, change: Callable[[StoredKeys], StoredKeys], *, patience: float = 10.0) -> StoredKeys:
        return update(self._path, change, patience=patience)


class NewKey(NamedTuple):
    """A new key, which is shown once, and what is stored of it."""

    secret: str
    stored: Key


def new_key(key: Key, now: datetime) -> NewKey:
    """`key` with a new secret."""
    secret = PREFIX + secrets.token_urlsafe(32)
    stored = msgspec.structs.replace(key, sha256=digest(secret).hex(), hint=hint(secret), created_at=now)
    return NewKey(secret, stored)


def load(path: Path) -> StoredKeys:
    """Read keys.toml. A missing file counts as empty; loose permissions are tightened, with a warning.

    Raises:
        AccountError: it cannot be read or parsed. The message names the file and the line, if known.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        table = read_toml(text)
    except FileNotFoundError:
        return StoredKeys()
    except OSError as error:
        raise AccountError(f"{path}: cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise _damaged(path, f"it is not valid TOML: {error}") from None
    except (ValueError, RecursionError):
        raise _damaged(path, "it is not TOML in UTF-8") from None
    rows = table.get("keys", [])
    if not text.strip() or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _damaged(path, "it is empty, or `keys` is not a list of tables")
    found = content_of(rows, path, text)
    return msgspec.structs.replace(found, warnings=(*tighten(path), *found.warnings))


def content_of(rows: Sequence[dict[str, Any]], path: Path | str, text: str = "") -> StoredKeys:
    """The keys in these tables, checked. `path` and `text` are the file, or name another place.

    Raises:
        AccountError: one cannot be a key.
    """
    found = StoredKeys(foreign=tuple(row for row in rows if not row.keys() <= _MEMBERS))
    for number, row in enumerate(rows, 1):
        if not row.keys() <= _MEMBERS:
            continue
        try:
            found = found.add(msgspec.convert(row, Key))
        except (msgspec.ValidationError, AccountError) as error:
            starts = [at for at, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*keys\s*\]\]", line)]
            line = f" (line {starts[number - 1]})" if len(starts) >= number else ""
            raise _damaged(path, f"key number {number}{line}: {error}") from None
    names = ", ".join(str(row.get("name")) for row in found.foreign)
    kept = (f"{path}: keys that need a newer bm are not accepted: {names}",) if names else ()
    return msgspec.structs.replace(found, warnings=kept)


def update(path: Path, change: Callable[[StoredKeys], StoredKeys], *, patience: float = 10.0) -> StoredKeys:
    """Replace the content with the result of `change`, under a lock, and return it.

    Raises:
        AccountError: `change` raised it, or the file cannot be read, parsed or written. The file is unchanged.
        LockTimeout: another process holds the lock for longer than `patience` seconds.
    """
    with changing(path, patience):
        old = load(path)
        new = change(old)
        if (new.keys, new.foreign) != (old.keys, old.foreign):
            content = {"version": VERSION, "keys": tables_of(new)}
            write_private(path, (_HEADER + tomli_w.dumps(content)).encode())
        return new


def tables_of(stored: StoredKeys) -> list[dict[str, Any]]:
    """The keys as tables, those that need a newer version last."""
    return [*(msgspec.to_builtins(key, builtin_types=(datetime,)) for key in stored.keys), *stored.foreign]


def _name(row: dict[str, Any]) -> object:
    return row.get("name")


def _damaged(path: Path | str, message: str) -> AccountError:
    if not isinstance(path, Path):
        return AccountError(f"{path}: {message} (update bm on this node)")
    return AccountError(f"{path}: {message} (correct it in an editor, or move it away and add the keys again)")

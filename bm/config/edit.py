"""Change single settings in the person's file: comments, order and everything else stay as they are.

An edit happens under a lock, is checked by the same code that loads the file, and takes effect by one atomic
replacement. When anything is wrong the file is not touched.
"""

from __future__ import annotations

import copy
import os
import re
import stat
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item

from bm.config.atomic import write_private
from bm.config.filelock import locked
from bm.config.keys import Key, dotted, split
from bm.config.kinds import read
from bm.config.lines import key_lines, table_ends
from bm.config.load import InvalidConfig, parse, read_text
from bm.config.paths import make_private_folder
from bm.config.shape import Table, checked, kind_of
from bm.errors import ConfigError

LOCK_WAIT = 10.0
"""Seconds to wait for another edit to end."""

Value: TypeAlias = str | int | float | bool | list[str] | dict[str, str]


def set_value(path: Path, key: str, value: Value, *, known: Collection[str]) -> None:
    """Give the setting `key` (dotted) a value; the file and its tables are made when absent.

    Raises:
        InvalidConfig: with this value the file would be invalid.
        ConfigError: the file is invalid already, or cannot be read or edited.
        LockTimeout: another process keeps the file locked.
        OSError: it cannot be written.
    """
    set_values(path, {key: value}, known=known)


def set_values(path: Path, values: Mapping[str, Value], *, known: Collection[str]) -> None:
    """`set_value` for several settings that are only valid together, such as a new provider's."""

    for key, value in values.items():
        _refuse_unwritable(key, value)

    def change(text: str) -> str:
        for key, value in values.items():
            text = _put(text, split(key), value)
        return text

    _edit(path, change, known)


def unset(path: Path, key: str, *, known: Collection[str]) -> bool:
    """Remove a setting or a whole table, so that its default holds again; False when the file does not have it.

    Raises:
        As `set_value`.
    """
    return _edit(path, lambda text: _drop(text, split(key)), known)


def from_text(key: str, text: str) -> Value:
    """The value that `text`, as typed on a command line, means for the setting `key`.

    Raises:
        InvalidConfig: there is no such setting, or the text does not fit it.
    """
    parts = split(key)
    kind = kind_of(parts)
    value: Any = text if kind is None else read(text, kind)
    nested: Table = {parts[-1]: value}
    for part in reversed(parts[:-1]):
        nested = {part: nested}
    if problems := checked(nested)[1]:
        raise InvalidConfig(ConfigError(each.message, key=dotted(each.key), hint=each.hint) for each in problems)
    return value  # type: ignore[no-any-return]


def _edit(path: Path, change: Callable[[str], str], known: Collection[str]) -> bool:
    """Apply `change` to the file's text; whether that made a difference."""
    target = Path(os.path.realpath(path))
    make_private_folder(target.parent)
    with locked(target.with_name(f".{target.name}.lock"), LOCK_WAIT):
        before = read_text(target)
        _refuse_if_invalid(before, path, known)
        try:
            after = _with_line_ends_of(before, change(before))
        except (_CannotEdit, TOMLKitError):
            cure = "edit it by hand"
            raise ConfigError("cannot be changed without disturbing the rest", path=str(path), hint=cure) from None
        if after == before:
            return False
        _refuse_bad_result(after, path, known)
        write_private(target, after.encode(), _mode(target))
        return True


def _refuse_unwritable(key: str, value: Value) -> None:
    """Bytes of a command line that were no text arrive as lone surrogates, which no file can hold."""
    try:
        f"{key}{value}".encode()
    except UnicodeEncodeError:
        raise ConfigError("is not valid text", key=ascii(key)) from None


def _refuse_if_invalid(text: str, path: Path, known: Collection[str]) -> None:
    try:
        parse(text, {}, known=known, path=str(path))
    except InvalidConfig as error:
        message = f"was not changed, because it has errors already; mend them first:\n{error}"
        raise ConfigError(message, path=str(path)) from None


def _refuse_bad_result(text: str, path: Path, known: Collection[str]) -> None:
    try:
        parse(text, {}, known=known, path=str(path))
    except InvalidConfig as error:
        # Lines of a text that never reaches the disk would only mislead.
        raise InvalidConfig(
            ConfigError(each.message, key=each.key, hint=each.hint) for each in error.problems
        ) from None


class _CannotEdit(Exception):
    """No way was found to make the change and nothing else."""


def _put(text: str, key: Key, value: Value) -> str:
    expected = tomllib.loads(text)
    table = expected
    for part in key[:-1]:
        if not isinstance(table.get(part), dict):
            table[part] = {}
        table = table[part]
    is_new = key[-1] not in table
    table[key[-1]] = value
    for way in (_inserted, _replaced) if is_new else (_replaced,):
        after = way(text, key, value)
        if _reads_as(after, expected):
            return after
    raise _CannotEdit


def _inserted(text: str, key: Key, value: Value) -> str:
    """A line more at the end of the key's table, or at the end of the file with a header of its own.

    tomlkit would put it behind the comment that announces the next table.
    """
    line = f"{dotted(key[-1:])} = {_item(value).as_string()}"
    end = table_ends(text).get(key[:-1])
    if end is None:
        above = f"{text.rstrip()}\n\n" if text.strip() else ""
        return f"{above}[{dotted(key[:-1])}]\n{line}\n"
    lines = text.split("\n")
    last = lines[end - 1]
    indent = last[: len(last) - len(last.lstrip())]
    return "\n".join([*lines[:end], indent + line, *lines[end:]])


def _replaced(text: str, key: Key, value: Value) -> str:
    document = tomlkit.parse(text)
    table: Any = document
    for part in key[:-1]:
        if part not in table:
            table[part] = tomlkit.inline_table()
        table = table[part]
    table[key[-1]] = _item(value)
    return tomlkit.dumps(document)


def _drop(text: str, key: Key) -> str:
    expected: Any = tomllib.loads(text)
    table = expected
    for part in key[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict) or key[-1] not in table:
        return text
    del table[key[-1]]
    for way in (_cut, _deleted):
        after = way(text, key)
        if any(_reads_as(after, each) for each in _without_emptied(expected, key)):
            return after
    raise _CannotEdit


def _without_emptied(table: Table, key: Key) -> Iterator[Table]:
    """`table`, then without the parents of the removed `key` that hold nothing any more, the innermost first.

    Those that only a dotted key or the header of a table below had made are gone from the file with it.
    """
    yield table
    for depth in range(len(key) - 1, 0, -1):
        table = copy.deepcopy(table)
        above = table
        for part in key[: depth - 1]:
            above = above[part]
        if above[key[depth - 1]]:
            return
        del above[key[depth - 1]]
        yield table


def _cut(text: str, key: Key) -> str:
    """The text without the lines of the table `key` and the tables below it.

    tomlkit would take along the comment that announces the next table.
    """
    starts, ends = key_lines(text), table_ends(text)
    gone: set[int] = set()
    for table, end in ends.items():
        if table[: len(key)] == key:
            gone.update(range(starts[table], end + 1))
    lines = text.split("\n")
    gone.update(end + 1 for end in sorted(gone) if end + 1 < len(lines) and not lines[end].strip())
    after = "\n".join(line for number, line in enumerate(lines, 1) if number not in gone)
    return after if text.endswith("\n\n") else re.sub(r"\n(\r?\n)+\Z", "\n", after)


def _deleted(text: str, key: Key) -> str:
    document: Any = tomlkit.parse(text)
    table = document
    for part in key[:-1]:
        table = table[part]
    del table[key[-1]]
    return tomlkit.dumps(document)


def _reads_as(text: str, expected: Table) -> bool:
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False


def _with_line_ends_of(before: str, text: str) -> str:
    if before.count("\r\n") == before.count("\n") > 0:
        return re.sub(r"(?<!\r)\n", "\r\n", text)
    return text


def _item(value: Value) -> Item:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update(value)
        return table
    return tomlkit.item(value)


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o600

"""Change single values in the text of a TOML document; comments, order and formatting stay as they are.

Each change is tried in several ways, the least invasive first, and accepted only if the text then parses to the
expected tables.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item

from bm.config.keys import Key, dotted, key_lines, table_ends

Table: TypeAlias = dict[str, Any]


class CannotEdit(Exception):
    """The change cannot be made without changing something else. The message, if any, names the obstacle."""


def put(text: str, key: Key, value: Any) -> str:
    """`text` with `key` set to `value`; missing parent tables are added.

    Raises:
        CannotEdit: a parent is not a table, or only rewriting the document would do.
        TOMLDecodeError: `text` is not valid TOML.
    """
    expected = tomllib.loads(text)
    table = expected
    for part in key[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise CannotEdit(f"{dotted(key)} cannot be set because {part} is not a table")
    is_new = key[-1] not in table
    table[key[-1]] = value
    ways = (_inserted, _replaced) if is_new else (_replaced,)
    return _first_that_reads_as((expected,), (partial(way, text, key, value) for way in ways), text)


def _inserted(text: str, key: Key, value: Any) -> str:
    """`text` with a new line at the end of the key's table, or with a new table at the end of the file.

    tomlkit would insert the line after the comment above the next table.
    """
    line = f"{dotted(key[-1:])} = {as_item(value).as_string()}"
    end = table_ends(text).get(key[:-1])
    if end is None and len(key) == 1:
        return f"{line}\n\n{text}" if text.strip() else f"{line}\n"
    if end is None:
        above = f"{text.rstrip()}\n\n" if text.strip() else ""
        return f"{above}[{dotted(key[:-1])}]\n{line}\n"
    lines = text.split("\n")
    last = lines[end - 1]
    indent = last[: len(last) - len(last.lstrip())]
    return "\n".join([*lines[:end], indent + line, *lines[end:]])


def _replaced(text: str, key: Key, value: Any) -> str:
    document = tomlkit.parse(text)
    table: Any = document
    for part in key[:-1]:
        if part not in table:
            table[part] = tomlkit.inline_table()
        table = table[part]
    table[key[-1]] = as_item(value)
    return tomlkit.dumps(document)


def drop(text: str, key: Key) -> str:
    """`text` without `key`, which may be a table; unchanged when the key is absent.

    Raises:
        CannotEdit: only rewriting the document would do.
        TOMLDecodeError: `text` is not valid TOML.
    """
    expected: Any = tomllib.loads(text)
    table = expected
    for part in key[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if not isinstance(table, dict) or key[-1] not in table:
        return text
    del table[key[-1]]
    wanted = tuple(_without_emptied(expected, key))
    return _first_that_reads_as(wanted, (partial(way, text, key) for way in (_cut, _deleted)), text)


def _without_emptied(table: Table, key: Key) -> Iterator[Table]:
    """`table`, then `table` without the emptied parents of the removed `key`, innermost first.

    A parent that existed only through a dotted key or the header of a nested table disappears with it.
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

    tomlkit would also remove the comment above the next table.
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


def _first_that_reads_as(wanted: tuple[Table, ...], ways: Iterable[Callable[[], str]], before: str) -> str:
    """The first result that parses to one of `wanted`, with the line ends of `before`."""
    for way in ways:
        try:
            after = way()
            found = tomllib.loads(after)
        except (tomllib.TOMLDecodeError, TOMLKitError):
            continue
        if found in wanted:
            return _with_line_ends_of(before, after)
    raise CannotEdit


def _with_line_ends_of(before: str, text: str) -> str:
    if before.count("\r\n") == before.count("\n") > 0:
        return re.sub(r"(?<!\r)\n", "\r\n", text)
    return text


def as_item(value: Any) -> Item:
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({name: as_item(each) for name, each in value.items()})
        return table
    item: Item = tomlkit.item(value)
    return item

"""Edit single values in the text of a JSON document, which may have comments and trailing commas.

Only the characters of the value or member change: comments, order, indentation and line ends stay as they are. Every
edit is verified by parsing the result.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from bm.config.document import CannotEdit
from bm.config.keys import Key, dotted

_SPACE: Final = re.compile(r"(?:[ \t\r\n]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_TOKEN: Final = re.compile(
    r'[{}\[\]:,]|"(?:[^"\\\x00-\x1f]|\\.)*"|true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|\Z'
)
_COLON: Final = re.compile(r"[ \t]*:[ \t]*")
_INDENTED: Final = re.compile(r'\n([ \t]+)"')
_DEPTH: Final = 100
"""Deepest nesting that is read; settings never come close."""


class _Node(NamedTuple):
    """A value: its position, its meaning, and the members of an object."""

    start: int
    end: int
    value: Any
    members: tuple[_Member, ...] | None = None


class _Member(NamedTuple):
    """A member of an object; `start` and `end` are the position of its quoted name."""

    start: int
    end: int
    name: str
    node: _Node


def get(text: str, key: Key) -> str | None:
    """The value of `key` as written; None when it is not set.

    Raises:
        CannotEdit: `text` is not JSON, even allowing comments.
    """
    node = _find(text, key)
    return None if node is None else text[node.start : node.end]


def put(text: str, key: Key, raw: str) -> str:
    """`text` with `key` set to `raw`; missing objects on the way to it are created.

    Raises:
        CannotEdit: `text` is not JSON, or something on the way is not an object.
    """
    if not text.strip():
        return "{\n  " + _member(key, raw, "  ", _Style("  ", "\n", ": ")) + "\n}\n"
    root = _read(text)
    node = root
    for depth, name in enumerate(key):
        member = _member_of(node, name, key)
        if member is None:
            return _checked(_inserted(text, node, key[depth:], raw), root.value, key, raw)
        node = member.node
    return _checked(text[: node.start] + raw + text[node.end :], root.value, key, raw)


def drop(text: str, key: Key) -> str:
    """`text` without the member `key`; unchanged when it is not set.

    Raises:
        CannotEdit: `text` is not JSON.
    """
    if not text.strip():
        return text
    root = _read(text)
    node = root
    for name in key[:-1]:
        member = _member_of(node, name, key)
        if member is None:
            return text
        node = member.node
    gone = _member_of(node, key[-1], key)
    if gone is None:
        return text
    return _checked(_removed(text, node, gone), root.value, key, None)


def is_empty(text: str, key: Key) -> bool:
    """Whether `key` is an object without members; the whole document when `key` is empty.

    Raises:
        CannotEdit: `text` is not JSON.
    """
    if not text.strip():
        return not key
    node = _find(text, key)
    return node is not None and node.members == ()


def write(value: Any) -> str:
    """`value` as JSON writes it."""
    return json.dumps(value, ensure_ascii=False)


def same(raw: str, other: str) -> bool:
    """Whether two texts write the same value."""
    return bool(_read(raw).value == _read(other).value)


def _find(text: str, key: Key) -> _Node | None:
    if not text.strip():
        return None
    node = _read(text)
    for name in key:
        # When a name occurs twice, the last one counts.
        found = [member for member in node.members or () if member.name == name]
        if not found:
            return None
        node = found[-1].node
    return node


def _member_of(node: _Node, name: str, key: Key) -> _Member | None:
    if node.members is None:
        raise CannotEdit(f"{dotted(key)} cannot be set, because the parent of {name} is not an object")
    found = [member for member in node.members if member.name == name]
    if len(found) > 1:
        raise CannotEdit(f"{name} is in it twice")
    return found[0] if found else None


def _checked(after: str, before: Any, key: Key, raw: str | None) -> str:
    """`after`, provided it parses to `before` with `key` set to `raw`, or without `key`."""
    expected = copy.deepcopy(before)
    table = expected
    for part in key[:-1]:
        table = table.setdefault(part, {})
    if raw is None:
        del table[key[-1]]
    else:
        table[key[-1]] = _read(raw).value
    if _read(after).value != expected:
        raise CannotEdit(f"{dotted(key)} cannot be changed without disturbing the rest")
    return after


class _Style(NamedTuple):
    """The style of a document: one level of indentation, its line ends, and what is between name and value."""

    unit: str
    newline: str
    colon: str


def _inserted(text: str, node: _Node, key: Key, raw: str) -> str:
    """`text` with a new member at the end of the object `node`, in the style of its neighbours."""
    indented = _INDENTED.search(text)
    style = _Style(indented[1] if indented else "  ", "\r\n" if "\r\n" in text else "\n", _colon(text, node))
    line = text[text.rfind("\n", 0, node.start) + 1 : node.start]
    outer = line[: len(line) - len(line.lstrip())]
    if not node.members:
        return _filled(text, node, key, raw, style, outer)
    last = node.members[-1]
    before = text[text.rfind("\n", 0, last.start) + 1 : last.start]
    after = _SPACE.match(text, last.node.end)
    trailing = after is not None and text[after.end()] == ","
    close = node.end - 1
    body = text[last.node.end : close]
    if before.strip() and "\n" not in body:
        gap = ", " if style.colon.endswith(" ") else ","
        member = _member(key, raw, None, style)
        return text[: last.node.end] + gap + member + text[last.node.end :]
    pad = outer + style.unit if before.strip() else before
    at = close - (len(body) - len(body.rstrip()))
    member = style.newline + pad + _member(key, raw, pad, style)
    comma, end = ("", ",") if trailing else (",", "")
    return text[: last.node.end] + comma + text[last.node.end : at] + member + end + text[at:]


def _filled(text: str, node: _Node, key: Key, raw: str, style: _Style, outer: str) -> str:
    """`text` with a first member in the object `node`, after any comments in it."""
    held = text[node.start + 1 : node.end - 1].rstrip()
    if "\n" not in text:
        return text[: node.start + 1] + held + _member(key, raw, None, style) + text[node.end - 1 :]
    pad = outer + style.unit
    member = style.newline + pad + _member(key, raw, pad, style) + style.newline + outer
    return text[: node.start + 1] + held + member + text[node.end - 1 :]


def _member(key: Key, raw: str, pad: str | None, style: _Style) -> str:
    """The member `key`, with nested objects when it has several parts; on one line when `pad` is None."""
    name = f"{write(key[0])}{style.colon}"
    if len(key) == 1:
        return name + raw
    if pad is None:
        return f"{name}{{{_member(key[1:], raw, None, style)}}}"
    inner = pad + style.unit
    return f"{name}{{{style.newline}{inner}{_member(key[1:], raw, inner, style)}{style.newline}{pad}}}"


def _colon(text: str, node: _Node) -> str:
    if not node.members:
        return ": "
    last = node.members[-1]
    between = text[last.end : last.node.start]
    return between if _COLON.fullmatch(between) else ": "


def _removed(text: str, node: _Node, gone: _Member) -> str:
    """`text` without a member of the object `node`, its comma, and its line if nothing else is on it."""
    members = node.members or ()
    index = members.index(gone)
    end = gone.node.end
    spaced = _SPACE.match(text, end)
    if spaced is not None and text[spaced.end()] == ",":
        end = spaced.end() + 1
        comma = None
    else:
        comma = _comma_before(text, members[index - 1].node.end) if index else None
    start = gone.start
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    alone = line_end >= 0 and not text[line_start:start].strip() and not text[end:line_end].strip()
    if len(members) == 1 and not (text[node.start + 1 : start] + text[end : node.end - 1]).strip():
        start, end = node.start + 1, node.end - 1
    elif alone:
        start, end = line_start, line_end + 1
    else:
        start = len(text[:start].rstrip(" \t")) if comma is not None else start
        end += len(text[end:]) - len(text[end:].lstrip(" \t")) if comma is None else 0
    if comma is None:
        return text[:start] + text[end:]
    return text[:comma] + text[comma + 1 : start] + text[end:]


def _comma_before(text: str, end_of_value: int) -> int:
    """The position of the comma after a value."""
    spaced = _SPACE.match(text, end_of_value)
    return spaced.end() if spaced is not None else end_of_value


def _read(text: str) -> _Node:
    reader = _Reader(text)
    node = reader.value(0)
    if reader.symbol:
        raise reader.fault()
    return node


class _Reader:
    """A recursive descent parser with one symbol of lookahead: `symbol`, "" at the end of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = self._end = self._last = 0
        self.symbol = ""
        self._next()

    def fault(self) -> CannotEdit:
        return CannotEdit(f"it is not valid JSON (line {self._text.count(chr(10), 0, self._start) + 1})")

    def value(self, depth: int) -> _Node:
        start = self._start
        if depth > _DEPTH:
            raise self.fault()
        if self.symbol == "{":
            members = [self._member(depth + 1) for _ in self._items("}")]
            value = {member.name: member.node.value for member in members}
            return _Node(start, self._last, value, tuple(members))
        if self.symbol == "[":
            values = [self.value(depth + 1).value for _ in self._items("]")]
            return _Node(start, self._last, values)
        return _Node(start, self._end, self._scalar())

    def _member(self, depth: int) -> _Member:
        start, end = self._start, self._end
        if not self.symbol.startswith('"'):
            raise self.fault()
        name = self._scalar()
        if self.symbol != ":":
            raise self.fault()
        self._next()
        return _Member(start, end, name, self.value(depth))

    def _items(self, close: str) -> Iterator[None]:
        """Stop at each item of an object or array; a comma may follow the last one."""
        self._next()
        while self.symbol != close:
            yield
            if self.symbol == ",":
                self._next()
            elif self.symbol != close:
                raise self.fault()
        self._last = self._end
        self._next()

    def _scalar(self) -> Any:
        try:
            value = json.loads(self.symbol)
        except ValueError:
            raise self.fault() from None
        self._next()
        return value

    def _next(self) -> None:
        spaced = _SPACE.match(self._text, self._end)
        self._start = spaced.end() if spaced is not None else self._end
        found = _TOKEN.match(self._text, self._start)
        if found is None:
            raise self.fault()
        self._end, self.symbol = found.end(), found.group()

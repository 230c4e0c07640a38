"""Dotted keys, as TOML writes them and as people type them: `providers.groq.models."llama-3.3-70b"`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bm.errors import ConfigError

Key = tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(key: Key) -> str:
    """Write `key`, with quotes around the parts that TOML cannot leave bare."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in key)


def _quoted(part: str) -> str:
    # A JSON string is a TOML string, but for DEL, which only TOML wants escaped.
    return msgspec.json.encode(part).decode().replace("\x7f", "\\u007f")


def split(text: str) -> Key:
    """Read a dotted key.

    Raises:
        ConfigError: `text` is not exactly one dotted key.
    """
    try:
        table: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        raise _not_a_key(text) from None
    parts: list[str] = []
    while isinstance(table, dict):
        if len(table) != 1:
            raise _not_a_key(text)
        ((part, table),) = table.items()
        parts.append(part)
    if table != 0:
        raise _not_a_key(text)
    return tuple(parts)


def _not_a_key(text: str) -> ConfigError:
    hint = 'write section.key, with quotes around a part such as "llama-3.3-70b"'
    return ConfigError("is not the name of a setting", key=text, hint=hint)


_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r]+|\#[^\n]*)
      | (?P<newline>\n)
      | (?P<string>\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
      | (?P<mark>[][{}=,.])
      | (?P<word>[^][{}=,.\s\#"']+)""",
    re.VERBOSE | re.DOTALL,
)


class _Token:
    __slots__ = ("kind", "line", "text")

    def __init__(self, kind: str, text: str, line: int) -> None:
        self.kind, self.text, self.line = kind, text, line

    def is_mark(self, text: str) -> bool:
        return self.kind == "mark" and self.text == text


def _tokens(text: str) -> Iterator[_Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "skip":
            yield _Token(kind, match.group(), line)
        line += match.group().count("\n")


def key_lines(text: str) -> dict[Key, int]:
    """Map each key and each table of `text`, which must be valid TOML, to the line it is written on, from 1.

    Keys of inline tables are included. A table that only exists as a part of longer names has the line of the
    first of them.
    """
    scan = _Scan(text)
    scan.document()
    return scan.lines


def table_ends(text: str) -> dict[Key, int]:
    """Map each table that has a header in `text` to the line of its last entry, or of the header when it has none."""
    scan = _Scan(text)
    scan.document()
    return scan.ends


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self.ends: dict[Key, int] = {}
        self._tokens = [*_tokens(text), _Token("end", "", text.count("\n") + 1)]
        self._at = 0

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        if token.kind != "end":
            self._at += 1
        return token

    def document(self) -> None:
        table: Key = ()
        while self._next.kind != "end":
            token = self._next
            if token.is_mark("["):
                while self._next.is_mark("["):
                    self._take()
                table = self._key(())
                self.ends[table] = token.line
                while self._next.is_mark("]"):
                    self._take()
            elif token.kind in ("word", "string"):
                self._pair(table)
                last = self._tokens[self._at - 1]
                self.ends[table] = last.line + last.text.count("\n")
            else:
                self._take()

    def _key(self, table: Key) -> Key:
        first = self._next.line
        written = ""
        while self._next.kind in ("word", "string") or self._next.is_mark("."):
            written += self._take().text
        key = (*table, *split(written))
        for depth in range(len(table) + 1, len(key)):
            self.lines.setdefault(key[:depth], first)
        self.lines[key] = first
        return key

    def _pair(self, table: Key) -> None:
        key = self._key(table)
        self._take()  # the equals sign
        self._value(key)

    def _value(self, key: Key) -> None:
        if self._next.is_mark("["):
            self._closed("]", lambda: self._value(key))
        elif self._next.is_mark("{"):
            self._closed("}", lambda: self._pair(key))
        else:
            while self._next.kind in ("word", "string") or self._next.is_mark("."):
                self._take()

    def _closed(self, end: str, item: Callable[[], None]) -> None:
        self._take()
        while not self._next.is_mark(end) and self._next.kind != "end":
            if self._next.kind == "newline" or self._next.is_mark(","):
                self._take()
            else:
                item()
        self._take()

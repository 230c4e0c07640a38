"""Dotted keys such as `providers.groq.models."llama-3.3-70b"`, and the lines of a TOML text they are on."""

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
    """`key` as TOML writes it, with quotes around the parts that need them."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in key)


def _quoted(part: str) -> str:
    # A JSON string is a TOML string, except that TOML requires DEL to be escaped.
    return msgspec.json.encode(part).decode().replace("\x7f", "\\u007f")


def split(text: str) -> Key:
    """Parse a dotted key.

    Raises:
        ConfigError: `text` is not exactly one dotted key.
    """
    try:
        table: Any = tomllib.loads(f"{text} = 0")
    except (ValueError, RecursionError):
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
    """Map each key and table of `text`, which must be valid TOML, to its line number, from 1.

    Keys of inline tables are included. A table that exists only as part of longer names gets the line of the first
    of them. TOML parsers do not report line numbers.
    """
    scan = _Scan(text)
    scan.document()
    return scan.lines


def table_ends(text: str) -> dict[Key, int]:
    """Map each table with a header in `text` to the line of its last entry, or of the header if it is empty."""
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

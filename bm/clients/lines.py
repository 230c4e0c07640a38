"""Edit single settings in formats that give each setting its own lines: `.env` files and two subsets of YAML.

Comments, order and all other lines stay as they are. A text in which that cannot be guaranteed is refused.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from typing import Any, Final

from bm.config.document import CannotEdit
from bm.config.keys import Key


class _LineEditor(ABC):
    """What the line-based formats share."""

    @abstractmethod
    def _span(self, text: str, key: Key) -> tuple[int, int] | None:
        """Where the value of a key starts and ends in the text."""

    @abstractmethod
    def _line(self, key: Key, raw: str) -> str:
        """The line that adds a new setting."""

    def get(self, text: str, key: Key) -> str | None:
        """See `Editor`."""
        span = self._span(text, key)
        return text[slice(*span)] if span else None

    def put(self, text: str, key: Key, raw: str) -> str:
        """Replace the value on its line, or add a line at the end."""
        if span := self._span(text, key):
            start, end = span
            head = text[:start]
            if "\n" in raw and head.rstrip(" \t").endswith(":"):
                # A list below its key.
                return head.rstrip(" \t") + raw + text[end:]
            return head + (" " if head.endswith(":") else "") + raw + text[end:]
        newline = _newline(text)
        between = newline if text and not text.endswith("\n") else ""
        return f"{text}{between}{self._line(key, raw)}{newline}"

    def drop(self, text: str, key: Key) -> str:
        """Remove every line that sets the key."""
        while span := self._span(text, key):
            start = text.rfind("\n", 0, span[0]) + 1
            end = text.find("\n", span[1])
            text = text[:start] + (text[end + 1 :] if end >= 0 else "")
        return text

    def is_empty(self, text: str, key: Key) -> bool:
        """Whether the file is blank. A single setting never counts as an empty table."""
        return not key and not text.strip()


class _Dotenv(_LineEditor):
    """`.env` files. When a variable is set twice, the last assignment counts."""

    # Quoted values may span lines, so the text cannot be read line by line.
    _ASSIGNMENT: Final = re.compile(
        r"""^(?P<head>[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*=[ \t]*)
            (?P<value>'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|[^\r\n#]*?)
            (?P<tail>[ \t]*(?:\#[^\r\n]*)?)(?=\r?$)""",
        re.VERBOSE | re.MULTILINE,
    )
    _PLAIN: Final = re.compile(r"[\w@%+=:,./~-]*")

    def write(self, value: object) -> str:
        """See `Editor`.

        Raises:
            CannotEdit: no quoting is understood by every reader of such files.
        """
        text = str(value)
        if self._PLAIN.fullmatch(text):
            return text
        if "'" in text or "\n" in text:
            raise CannotEdit("a value has quotes or line ends in it")
        return f"'{text}'"

    def same(self, raw: str, other: str) -> bool:
        """Whether two values differ in their quotes at most."""
        return self._bare(raw) == self._bare(other)

    def _bare(self, raw: str) -> str:
        return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "'\"`" else raw.strip()

    def _span(self, text: str, key: Key) -> tuple[int, int] | None:
        spans = [found.span("value") for found in self._ASSIGNMENT.finditer(text) if (found["name"],) == key]
        return spans[-1] if spans else None

    def _line(self, key: Key, raw: str) -> str:
        return f"{key[0]}={raw}"


class _Yaml(_LineEditor):
    """A YAML mapping whose values are on the line of their key, or are lists below it, as in aider's settings.

    Other values are left alone; a change that would touch one is refused.
    """

    _LINE: Final = re.compile(r"^(?P<name>[A-Za-z_][\w-]*)[ \t]*:[ \t]*(?P<rest>[^\r\n]*)", re.MULTILINE)
    _COMMENT: Final = re.compile(r"(?:^|[ \t]+)#.*\Z")
    _CLOSED: Final = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:''|[^'])*'|\[.*\]""")
    _PLAIN: Final = re.compile(r"[A-Za-z0-9/_.-](?:[\w@%+=,./~:-]*[\w/])?")
    _BLOCK_LIST: Final = re.compile(
        r"""[ \t]*(?:\#[^\r\n]*)?                       # the rest of the key's line
            (?:\r?\n[ \t]*(?:\#[^\r\n]*)?)*?            # empty lines and comments
            \r?\n(?P<indent>[ \t]*)-[ \t][^\r\n]*       # the first item
            (?:(?:\r?\n[ \t]*(?:\#[^\r\n]*)?)*\r?\n(?P=indent)(?:-[ \t]|[ \t]+[^\s\#])[^\r\n]*)*  # further ones
        """,
        re.VERBOSE,
    )
    _UNSUPPORTED: Final = re.compile(r"^(?:---|\.\.\.|%|[{\[?&*!|>'\"])", re.MULTILINE)

    def write(self, value: Any) -> str:
        """`value` on one line: as a plain word where that is unambiguous, else as JSON, which YAML includes."""
        return (
            value if isinstance(value, str) and self._PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        )

    def same(self, raw: str, other: str) -> bool:
        """Whether two values differ in their quotes and spacing at most."""
        return bool(self._bare(raw) == self._bare(other))

    def _bare(self, raw: str) -> Any:
        if raw.startswith(('"', "[")):
            try:
                return json.loads(raw)
            except ValueError:
                return raw
        return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == "'" else raw

    def _span(self, text: str, key: Key) -> tuple[int, int] | None:
        if bad := self._UNSUPPORTED.search(text):
            raise CannotEdit(f"it is not a plain list of settings (line {text.count(chr(10), 0, bad.start()) + 1})")
        found = [match for match in self._LINE.finditer(text) if (match["name"],) == key]
        if len(found) > 1:
            raise CannotEdit(f"{key[0]} is set twice")
        if not found:
            return None
        colon = text.index(":", found[0].start()) + 1
        if block := self._BLOCK_LIST.match(text, colon):
            return colon, block.end()
        start, rest = found[0].start("rest"), found[0]["rest"]
        closed = self._CLOSED.match(rest)
        comment = self._COMMENT.search(rest, closed.end() if closed else 0)
        value = (rest[: comment.start()] if comment else rest).rstrip()
        following = text[found[0].end() :].lstrip("\r\n")
        continues = following.startswith((" ", "\t")) or (not value and following.startswith("- "))
        if continues or value[:1] in ("|", ">", "&", "*", "!", "{"):
            raise CannotEdit(f"the value of {key[0]} is not a single word or list on its line")
        return start, start + len(value)

    def _line(self, key: Key, raw: str) -> str:
        return f"{key[0]}: {raw}"


class _YamlList(_LineEditor):
    """A YAML list of flat mappings, as llm lists its extra models.

    A key is the first pair of an entry (`model_id`, `bm`), a value is the whole entry.
    """

    _ENTRY: Final = re.compile(
        r"^- (?P<name>[\w-]+): *(?P<value>[^\r\n]*?)(?:[ \t]+#[^\r\n]*|[ \t]*)\r?$", re.MULTILINE
    )
    _SUPPORTED: Final = re.compile(r"(?:-[ ]|[ \t]|\#|\r?\Z)")

    def put(self, text: str, key: Key, raw: str) -> str:
        """Replace the entry, or add it at the end, with the line ends of the text."""
        return super().put(text, key, _newline(text).join(raw.splitlines()))

    def write(self, value: dict[str, Any]) -> str:
        """An entry with these pairs, in their order."""
        return "- " + "\n  ".join(f"{name}: {YAML.write(each)}" for name, each in value.items())

    def same(self, raw: str, other: str) -> bool:
        """Whether two entries differ in indentation and line ends at most."""
        return [line.strip() for line in raw.splitlines()] == [line.strip() for line in other.splitlines()]

    def _span(self, text: str, key: Key) -> tuple[int, int] | None:
        """The entry without comments and empty lines behind it."""
        for number, line in enumerate(text.split("\n"), 1):
            if not self._SUPPORTED.match(line):
                raise CannotEdit(f"it is not a plain list of entries (line {number})")
        starts = [
            found.start() for found in self._ENTRY.finditer(text) if (found["name"], found["value"].strip("\"'")) == key
        ]
        if len(starts) > 1:
            raise CannotEdit(f"{': '.join(key)} is in it twice")
        if not starts:
            return None
        body = re.split(r"^(?:- |#)", text[starts[0] + 2 :], maxsplit=1, flags=re.MULTILINE)[0]
        return starts[0], starts[0] + 2 + len(body.rstrip())

    def _line(self, key: Key, raw: str) -> str:
        return raw


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


DOTENV: Final = _Dotenv()
YAML: Final = _Yaml()
YAML_LIST: Final = _YamlList()

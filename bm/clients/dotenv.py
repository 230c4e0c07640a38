"""Change single variables in the text of a `.env` file: comments, order and other lines stay as they are."""

from __future__ import annotations

import re
from typing import Final

from bm.config.document import CannotEdit
from bm.config.keys import Key

_ASSIGNMENT: Final = re.compile(
    r"""^(?P<head>[ \t]*(?:export[ \t]+)?(?P<name>[\w.-]+)[ \t]*=[ \t]*)
        (?P<value>'[^']*'|"(?:\\.|[^"\\])*"|`[^`]*`|[^\r\n#]*?)
        (?P<tail>[ \t]*(?:\#[^\r\n]*)?)(?=\r?$)""",
    re.VERBOSE | re.MULTILINE,
)
"""One assignment. Values in quotes may go over several lines, so lines cannot be looked at one by one."""
_PLAIN: Final = re.compile(r"[\w@%+=:,./~-]*")


def get(text: str, key: Key) -> str | None:
    """The value of the variable as it is written; None when it is not set. Of several the last one counts."""
    found = _find(text, key)
    return found["value"] if found else None


def put(text: str, key: Key, raw: str) -> str:
    """`text` with the variable set to what `raw` writes: in its line, or in one more at the end."""
    if found := _find(text, key):
        return text[: found.start("value")] + raw + text[found.end("value") :]
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = newline if text and not text.endswith("\n") else ""
    return f"{text}{gap}{key[0]}={raw}{newline}"


def drop(text: str, key: Key) -> str:
    """`text` without the lines that set the variable."""
    while found := _find(text, key):
        end = text.find("\n", found.end())
        text = text[: found.start()] + (text[end + 1 :] if end >= 0 else "")
    return text


def is_empty(text: str, key: Key) -> bool:
    """Whether the file holds nothing, not even comments; a variable holds nothing that could be left."""
    return not key and not text.strip()


def write(value: object) -> str:
    """`value` as such a file writes it.

    Raises:
        CannotEdit: no quotes would hold it everywhere.
    """
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    if "'" in text or "\n" in text:
        raise CannotEdit("a value has quotes or line ends in it")
    return f"'{text}'"


def same(raw: str, other: str) -> bool:
    """Whether two texts write the same value."""
    return _bare(raw) == _bare(other)


def _bare(raw: str) -> str:
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] and raw[0] in "'\"`" else raw.strip()


def _find(text: str, key: Key) -> re.Match[str] | None:
    found = None
    for match in _ASSIGNMENT.finditer(text):
        if (match["name"],) == key:
            found = match
    return found

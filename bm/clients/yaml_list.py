"""Add and remove single entries of a YAML list whose entries are flat, each found by its first pair.

That is how llm lists its extra models. A key is that pair (`model_id`, `bm`), a value is the entry as it is written.
"""

from __future__ import annotations

import re
from typing import Any, Final

from bm.clients import yaml
from bm.config.document import CannotEdit
from bm.config.keys import Key

_ENTRY: Final = re.compile(r"^- (?P<name>[\w-]+): *(?P<value>[^\r\n]*?)(?:[ \t]+#[^\r\n]*|[ \t]*)\r?$", re.MULTILINE)
_PLAIN: Final = re.compile(r"(?:-[ ]|[ \t]|\#|\r?\Z)")


def get(text: str, key: Key) -> str | None:
    """The entry as it is written, without the end of its last line; None when there is none.

    Raises:
        CannotEdit: `text` is not a plain list.
    """
    span = _span(text, key)
    return text[slice(*span)] if span else None


def put(text: str, key: Key, raw: str) -> str:
    """`text` with the entry in the place of the one there was, or at the end.

    Raises:
        CannotEdit: `text` is not a plain list.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    entry = newline.join(raw.splitlines())
    if span := _span(text, key):
        return text[: span[0]] + entry + text[span[1] :]
    gap = newline if text and not text.endswith("\n") else ""
    return f"{text}{gap}{entry}{newline}"


def drop(text: str, key: Key) -> str:
    """`text` without the entry; unchanged when there is none.

    Raises:
        CannotEdit: `text` is not a plain list.
    """
    span = _span(text, key)
    if span is None:
        return text
    end = text.find("\n", span[1])
    return text[: span[0]] + (text[end + 1 :] if end >= 0 else "")


def is_empty(text: str, key: Key) -> bool:
    """Whether the file holds nothing, not even comments; an entry holds nothing that could be left."""
    return not key and not text.strip()


def write(value: dict[str, Any]) -> str:
    """An entry of those pairs, in their order."""
    lines = [f"{name}: {yaml.write(each)}" for name, each in value.items()]
    return "- " + "\n  ".join(lines)


def same(raw: str, other: str) -> bool:
    """Whether two texts write the same entry, but for the ends of lines."""
    return [line.strip() for line in raw.splitlines()] == [line.strip() for line in other.splitlines()]


def _span(text: str, key: Key) -> tuple[int, int] | None:
    """Where the entry begins and ends; comments and empty lines behind it are not its own."""
    for number, line in enumerate(text.split("\n"), 1):
        if not _PLAIN.match(line):
            raise CannotEdit(f"it is not a plain list of entries (line {number})")
    starts = [found.start() for found in re.finditer(r"^- ", text, re.MULTILINE)]
    own = [found for found in _ENTRY.finditer(text) if (found["name"], found["value"].strip("\"'")) == key]
    if not own:
        return None
    if len(own) > 1:
        raise CannotEdit(f"{': '.join(key)} stands in it twice")
    begin = own[0].start()
    end = next((start for start in starts if start > begin), len(text))
    body = re.split(r"^#", text[begin:end], maxsplit=1, flags=re.MULTILINE)[0]
    return begin, begin + len(body.rstrip())

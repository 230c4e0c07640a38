"""Change single settings of a flat YAML document, whose values stand on the line of their key.

That is how the settings of aider are written. It is not YAML as a whole: whatever else a value may be, it is not
touched, and a change that would have to touch it is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from bm.config.document import CannotEdit
from bm.config.keys import Key

_LINE: Final = re.compile(r"^(?P<name>[A-Za-z_][\w-]*)[ \t]*:(?P<gap>[ \t]*)(?P<rest>[^\r\n]*)", re.MULTILINE)
_COMMENT: Final = re.compile(r"(?:^|[ \t]+)#.*\Z")
_CLOSED: Final = re.compile(r"""\"(?:\\.|[^"\\])*\"|'(?:''|[^'])*'|\[.*\]""")
_PLAIN: Final = re.compile(r"[A-Za-z0-9/_.-](?:[\w@%+=,./~:-]*[\w/])?")
_STRANGE: Final = re.compile(r"^(?:---|\.\.\.|%|[{\[?&*!|>'\"])", re.MULTILINE)


def get(text: str, key: Key) -> str | None:
    """The value of `key` as it is written; None when there is none.

    Raises:
        CannotEdit: `text` is not a flat list of settings, or the value goes over several lines.
    """
    found = _find(text, key)
    return found["rest"][: _end(found)] if found else None


def put(text: str, key: Key, raw: str) -> str:
    """`text` with `key` set to what `raw` writes: in its line, or in one more at the end.

    Raises:
        CannotEdit: as `get`.
    """
    if found := _find(text, key):
        gap = found["gap"] or " "
        return text[: found.start("gap")] + gap + raw + text[found.start("rest") + _end(found) :]
    newline = "\r\n" if "\r\n" in text else "\n"
    between = newline if text and not text.endswith("\n") else ""
    return f"{text}{between}{key[0]}: {raw}{newline}"


def drop(text: str, key: Key) -> str:
    """`text` without the line of `key`; unchanged when there is none.

    Raises:
        CannotEdit: as `get`.
    """
    found = _find(text, key)
    if found is None:
        return text
    end = text.find("\n", found.end())
    return text[: found.start()] + (text[end + 1 :] if end >= 0 else "")


def is_empty(text: str, key: Key) -> bool:
    """Whether the file holds nothing, not even comments; a setting holds nothing that could be left."""
    return not key and not text.strip()


def write(value: Any) -> str:
    """`value` as YAML writes it on one line; what is not plainly a word is written as JSON, which YAML holds."""
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def same(raw: str, other: str) -> bool:
    """Whether two texts write the same value, as far as their quotes differ."""
    return bool(_bare(raw) == _bare(other))


def _bare(raw: str) -> Any:
    if raw.startswith(('"', "[")):
        try:
            return json.loads(raw)
        except ValueError:
            return raw
    return raw[1:-1] if len(raw) > 1 and raw[0] == raw[-1] == "'" else raw


def _end(found: re.Match[str]) -> int:
    """Where the value ends and a comment behind it begins."""
    rest = found["rest"]
    closed = _CLOSED.match(rest)
    comment = _COMMENT.search(rest, closed.end() if closed else 0)
    return len((rest[: comment.start()] if comment else rest).rstrip())


def _find(text: str, key: Key) -> re.Match[str] | None:
    if strange := _STRANGE.search(text):
        raise CannotEdit(f"it is not a plain list of settings (line {text.count(chr(10), 0, strange.start()) + 1})")
    found = [match for match in _LINE.finditer(text) if (match["name"],) == key]
    if len(found) > 1:
        raise CannotEdit(f"{key[0]} stands in it twice")
    if not found:
        return None
    _refuse_several_lines(text, found[0])
    return found[0]


def _refuse_several_lines(text: str, found: re.Match[str]) -> None:
    value = found["rest"][: _end(found)]
    following = text[found.end() :].lstrip("\r\n")
    goes_on = following.startswith((" ", "\t")) or (not value and following.startswith("- "))
    if goes_on or value[:1] in ("|", ">", "&", "*", "!", "{"):
        raise CannotEdit(f"the value of {found['name']} is more than a word or a list on its line")

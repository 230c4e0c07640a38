"""Apply bm's settings to the text of a settings file, revert them, and show the difference."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import unified_diff
from typing import Final, TypeVar

import msgspec

from bm.clients.formats import EDITORS, Editor, Format
from bm.clients.tool import Setting, filled
from bm.config.keys import Key
from bm.config.secrets import MASK, Mask

_Extra = TypeVar("_Extra")
_BYTE_ORDER_MARK: Final = "\ufeff"
"""Some editors on Windows put it in front of a text; parsers reject it."""

_CONTEXT: Final = 2
"""Lines shown around a change: enough to find it, few enough not to print more of the file than necessary."""
_TELLTALE: Final = r"(?:key|token|secret|password|credential|bearer|cookie)"
_NAMED_SECRET: Final = re.compile(
    rf"""(?i)(["']?[\w.-]*{_TELLTALE}s?["']?[ \t]*[:=][ \t]*)("(?:\\.|[^"\\])*"|'[^']*'|[^\s"'{{\[,\]}}]+)"""
)
_PASSWORD_IN_URL: Final = re.compile(r"(://)[^/@\s\"']+@")


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as bm has written it. Values are the text that writes them; None means there is none.

    `ours` are the values bm has given it, the latest first. `before` is the value before the first of them. `depth` is
    how many leading parts of `key` existed already.
    """

    key: Key
    ours: tuple[str | None, ...]
    before: str | None
    depth: int


def applied(
    text: str, name: Format, settings: Sequence[Setting], names: Mapping[str, str]
) -> tuple[str, tuple[Put, ...]]:
    """`text` with the settings in it, and what each was before. `names` fills the placeholders in their values.

    Raises:
        CannotEdit: the text cannot be changed without disturbing the rest.
    """
    edit = EDITORS[name]

    def change(text: str) -> tuple[str, tuple[Put, ...]]:
        puts: list[Put] = []
        for setting in settings:
            before = edit.get(text, setting.key)
            raw = _written(edit, setting, names)
            depth = _depth(edit, text, setting.key)
            if raw is None:
                text = edit.drop(text, setting.key)
            elif before is None or not edit.same(before, raw):
                text = edit.put(text, setting.key, raw)
            puts.append(Put(key=setting.key, ours=(raw,), before=before, depth=depth))
        return text, tuple(puts)

    return _without_mark(text, change)


def reverted(text: str, name: Format, puts: Sequence[Put]) -> tuple[str, tuple[Key, ...]]:
    """`text` with every setting as it was before, and the keys that were changed since by someone else and stay.

    Raises:
        CannotEdit: the text cannot be changed without disturbing the rest.
    """
    edit = EDITORS[name]

    def change(text: str) -> tuple[str, tuple[Key, ...]]:
        left: list[Key] = []
        for put in reversed(puts):
            now = edit.get(text, put.key)
            if _same(edit, now, put.before):
                continue
            if not any(_same(edit, now, own) for own in put.ours):
                left.append(put.key)
            elif put.before is None:
                text = edit.drop(text, put.key)
            else:
                text = edit.put(text, put.key, put.before)
        for put in reversed(puts):
            text = _without_empty_tables(edit, text, put)
        return text, tuple(reversed(left))

    return _without_mark(text, change)


def holds(text: str, name: Format, settings: Iterable[Setting], names: Mapping[str, str]) -> bool:
    """Whether every setting is in the text.

    Raises:
        CannotEdit: the text cannot be read.
    """
    edit = EDITORS[name]
    bare = text.removeprefix(_BYTE_ORDER_MARK)
    return all(_same(edit, edit.get(bare, setting.key), _written(edit, setting, names)) for setting in settings)


def by_hand(name: Format, settings: Sequence[Setting], names: Mapping[str, str]) -> str:
    """The settings as a file of their own, to be copied by hand."""
    return applied("", name, [setting for setting in settings if setting.value is not None], names)[0]


def is_blank(text: str, name: Format) -> bool:
    """Whether a file is empty.

    Raises:
        CannotEdit: the text cannot be read.
    """
    return EDITORS[name].is_empty(text.removeprefix(_BYTE_ORDER_MARK), ())


def difference(name: str, before: str | None, after: str | None, secrets: Iterable[str]) -> str:
    """A unified diff of the file `name` with secrets masked; "" without changes. None means there is no file."""
    mask = Mask(secrets)
    lines = unified_diff(
        (before or "").splitlines(),
        (after or "").splitlines(),
        name if before is not None else "(no file)",
        name if after is not None else "(no file)",
        n=_CONTEXT,
        lineterm="",
    )
    return "\n".join(masked(line, mask) for line in lines)


def masked(line: str, mask: Mask) -> str:
    """`line` without known secrets, text in the shape of one, and values whose name says that they are secret."""

    def hidden(found: re.Match[str]) -> str:
        quote = found[2][0] if found[2][0] in "\"'" else ""
        return f"{found[1]}{quote}{MASK}{quote}"

    return _PASSWORD_IN_URL.sub(rf"\1{MASK}@", _NAMED_SECRET.sub(hidden, mask(line)))


def _written(edit: Editor, setting: Setting, names: Mapping[str, str]) -> str | None:
    return None if setting.value is None else edit.write(filled(setting.value, names))


def _without_empty_tables(edit: Editor, text: str, put: Put) -> str:
    """`text` without the tables that bm created for a setting and that are empty now."""
    for length in range(len(put.key) - 1, put.depth, -1):
        if not edit.is_empty(text, put.key[:length]):
            break
        text = edit.drop(text, put.key[:length])
    return text


def _depth(edit: Editor, text: str, key: Key) -> int:
    lengths = range(len(key) - 1, 0, -1)
    return next((length for length in lengths if edit.get(text, key[:length]) is not None), 0)


def _same(edit: Editor, now: str | None, other: str | None) -> bool:
    if now is None or other is None:
        return now is other
    return edit.same(now, other)


def _without_mark(text: str, change: Callable[[str], tuple[str, _Extra]]) -> tuple[str, _Extra]:
    """`change` applied behind a byte order mark, which stays."""
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    after, extra = change(text.removeprefix(_BYTE_ORDER_MARK))
    return mark + after, extra

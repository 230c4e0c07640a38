"""What becomes of the text of a settings file when bm's settings go in, and when they come out again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from bm.clients.formats import Editor, Format, editor
from bm.clients.tool import Setting, filled
from bm.config.keys import Key

_Found = TypeVar("_Found")
_MARK = "\ufeff"
"""What some editors of Windows put in front of a text; parsers stumble over it."""


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as bm has written it; values are the text that writes them, None where there is none.

    `ours` are the values that bm has given it, the latest first. `before` is what stood there before the first of
    them. `depth` is how many leading parts of `key` were there already.
    """

    key: Key
    ours: tuple[str | None, ...]
    before: str | None
    depth: int


def applied(
    text: str, name: Format, settings: Sequence[Setting], names: Mapping[str, str]
) -> tuple[str, tuple[Put, ...]]:
    """`text` with the settings in it, and how each was before. `names` fills their values.

    Raises:
        CannotEdit: the text cannot be changed faithfully.
    """
    edit = editor(name)

    def change(text: str) -> tuple[str, tuple[Put, ...]]:
        puts: list[Put] = []
        for setting in settings:
            before = edit.get(text, setting.key)
            raw = None if setting.value is None else edit.write(filled(setting.value, names))
            depth = _depth(edit, text, setting.key)
            if raw is None:
                text = edit.drop(text, setting.key)
            elif before is None or not edit.same(before, raw):
                text = edit.put(text, setting.key, raw)
            puts.append(Put(key=setting.key, ours=(raw,), before=before, depth=depth))
        return text, tuple(puts)

    return _without_mark(text, change)


def reverted(text: str, name: Format, puts: Sequence[Put]) -> tuple[str, tuple[Key, ...]]:
    """`text` with every setting as it was before, and the keys of those that somebody has changed since: these stay.

    Raises:
        CannotEdit: the text cannot be changed faithfully.
    """
    edit = editor(name)

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
            text = _without_emptied(edit, text, put)
        return text, tuple(reversed(left))

    return _without_mark(text, change)


def holds(text: str, name: Format, settings: Iterable[Setting], names: Mapping[str, str]) -> bool:
    """Whether every setting is in the text.

    Raises:
        CannotEdit: the text cannot be read.
    """
    edit = editor(name)
    bare = text.removeprefix(_MARK)

    def wanted(setting: Setting) -> str | None:
        return None if setting.value is None else edit.write(filled(setting.value, names))

    return all(_same(edit, edit.get(bare, setting.key), wanted(setting)) for setting in settings)


def differing(text: str, name: Format, settings: Iterable[Setting], names: Mapping[str, str]) -> tuple[Key, ...]:
    """The keys that the text gives another value.

    Raises:
        CannotEdit: the text cannot be read.
    """
    edit = editor(name)
    bare = text.removeprefix(_MARK)
    found = {setting.key: edit.get(bare, setting.key) for setting in settings}
    return tuple(
        setting.key
        for setting in settings
        if (now := found[setting.key]) is not None and not edit.same(now, edit.write(filled(setting.value, names)))
    )


def by_hand(name: Format, settings: Sequence[Setting], names: Mapping[str, str]) -> str:
    """The settings as a file that holds nothing else, for a person to copy."""
    return applied("", name, [setting for setting in settings if setting.value is not None], names)[0]


def is_blank(text: str, name: Format) -> bool:
    """Whether a file holds nothing any more.

    Raises:
        CannotEdit: the text cannot be read.
    """
    return editor(name).is_empty(text.removeprefix(_MARK), ())


def _without_emptied(edit: Editor, text: str, put: Put) -> str:
    """`text` without the tables that bm has made for a setting, as far as nothing is left in them."""
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


def _without_mark(text: str, change: Callable[[str], tuple[str, _Found]]) -> tuple[str, _Found]:
    """`change` for a text that may begin with the mark, which stays."""
    mark = _MARK if text.startswith(_MARK) else ""
    after, found = change(text.removeprefix(_MARK))
    return mark + after, found

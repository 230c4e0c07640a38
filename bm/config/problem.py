"""One thing that is wrong with the settings, before it is known where it was written."""

from __future__ import annotations

from difflib import get_close_matches

import msgspec

from bm.config.keys import Key


class Problem(msgspec.Struct, frozen=True):
    """`key` is the setting, or as much of its name as exists; `hint` is the cure."""

    key: Key
    message: str
    hint: str = ""


def nearest(word: str, words: list[str], cutoff: float = 0.6) -> str:
    """The hint that names the word nearest to `word`; empty when none is near."""
    found = get_close_matches(word.lower(), words, n=1, cutoff=cutoff)
    return f'did you mean "{found[0]}"?' if found else ""

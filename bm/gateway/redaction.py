"""Removes from upstreams' messages what they quote of the prompt, before a message is logged or stored.

Some services repeat a prompt in the error that refuses it. The client sees such a message unchanged. A quote is
recognized because the request's body holds it as well. Short runs of everyday words do not count, since a long prompt
holds them all.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Collection, Iterator

ELLIPSIS = "…"
MAX_MESSAGE = 400
"""Characters of a message that are examined and kept."""
MIN_WORDS = 3
"""Words in a row that must occur in the body before a longer run is looked for."""
MIN_RUN = 20
"""Characters from which on a run of words is a quote."""
MAX_KNOWN = 256
"""Wordings remembered as free of quotes. A service words its refusals alike, with other numbers in them."""

_QUOTED = re.compile(r"(?<!\w)(['\"`])(.{3,}?)\1(?!\w)|[“‘«](.{3,}?)[”’»]")
_WORD = re.compile(r"\S+")
_PUNCTUATION = "'\"`()[]{}<>,.;:!?“”‘’«»"
_PECULIAR = re.compile(r"\d|\B[A-Z]|://|[^\x00-\x7f…]")
_MIN_PECULIAR = 6
_NUMBER = re.compile(r"\b\d[\d.,:]*(?:ms|s|m|h|%)?(?!\w)")


class PromptRedaction:
    """Redacts messages, and remembers wordings that quote nothing."""

    def __init__(self) -> None:
        self._harmless: OrderedDict[str, None] = OrderedDict()

    def redact(self, message: str, body: bytes, known: Collection[str] = ()) -> str:
        """The message without what it quotes of the request `body`; see `redacted`."""
        wording = _NUMBER.sub("#", message[:MAX_MESSAGE])
        if wording in self._harmless:
            self._harmless.move_to_end(wording)
            return message[:MAX_MESSAGE]
        kept = redacted(message, body, known)
        if kept == message[:MAX_MESSAGE]:
            self._harmless[wording] = None
            if len(self._harmless) > MAX_KNOWN:
                self._harmless.popitem(last=False)
        return kept


def redacted(message: str, body: bytes, known: Collection[str] = ()) -> str:
    """The message without what it quotes of the request `body`. `known` names, such as the model's, stay."""
    text = message[:MAX_MESSAGE]
    pieces: list[str] = []
    at = 0
    for start, end in sorted(_quotes(text, body, known)):
        if end <= at:
            continue
        if start > at or not pieces:
            pieces += [text[at:start], ELLIPSIS]
        at = end
    return "".join([*pieces, text[at:]])


def _quotes(text: str, body: bytes, known: Collection[str]) -> Iterator[tuple[int, int]]:
    """The spans of quotes: text in quotation marks, peculiar words, long runs of words."""
    for found in _QUOTED.finditer(text):
        group = 2 if found[2] is not None else 3
        if _is_from_prompt(found[group], body, known):
            yield found.span(group)
    words = [_trimmed(text, *found.span()) for found in _WORD.finditer(text)]
    for start, end in words:
        word = text[start:end]
        peculiar = len(word) >= _MIN_PECULIAR and _PECULIAR.search(word) is not None
        if peculiar and _is_from_prompt(word, body, known):
            yield start, end
    yield from _runs(text, words, body)


def _is_from_prompt(text: str, body: bytes, known: Collection[str]) -> bool:
    """Whether the body holds the text as content, not as the name of a member."""
    return text not in known and _holds(body, text) and not _is_member(body, text)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span of a word without the punctuation around it."""
    word = text[start:end]
    start += len(word) - len(word.lstrip(_PUNCTUATION))
    return start, max(start, start + len(word.strip(_PUNCTUATION)))


def _runs(text: str, words: list[tuple[int, int]], body: bytes) -> Iterator[tuple[int, int]]:
    """The spans of runs of words that the body holds literally, `MIN_RUN` characters or longer."""
    first = 0
    while first + MIN_WORDS <= len(words):
        last = first + MIN_WORDS - 1
        if not _holds(body, text[words[first][0] : words[last][1]]):
            first += 2
            continue
        if first and _holds(body, text[words[first - 1][0] : words[last][1]]):
            first -= 1
        while last + 1 < len(words) and _holds(body, text[words[first][0] : words[last + 1][1]]):
            last += 1
        if words[last][1] - words[first][0] >= MIN_RUN:
            yield words[first][0], words[last][1]
        first = last + 1


def _holds(body: bytes, text: str) -> bool:
    """Whether the body holds the text, in either way of writing it in JSON."""
    return _written(text) in body or (not text.isascii() and json.dumps(text)[1:-1].encode() in body)


def _written(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def _is_member(body: bytes, text: str) -> bool:
    """Whether the text is the name of a member in the body."""
    return re.search(rb'"' + re.escape(_written(text)) + rb'"\s*:', body) is not None

"""What an upstream's words quote of the request: it is told to the client and kept nowhere.

Some services repeat a prompt in the error that they answer it with. A quote is known by standing in the request's bytes
as well; short runs of everyday words are no quote, since a long prompt holds them all.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Collection, Iterator

GAP = "…"
LONGEST = 400
"""Characters of a message that are looked at; more are kept nowhere."""

FEW = 3
"""So many words in a row that the request holds as well are where a quote is looked for."""

MOST_KNOWN = 256
"""Wordings that are remembered to quote nothing: a service says the same of many requests, in other figures."""

LONG = 20
"""So many characters in a row are a quote."""

_QUOTED = re.compile(r"(?<!\w)(['\"`])(.{3,}?)\1(?!\w)|[“‘«](.{3,}?)[”’»]")
_WORD = re.compile(r"\S+")
_EDGES = "'\"`()[]{}<>,.;:!?“”‘’«»"
_PECULIAR = re.compile(r"\d|\B[A-Z]|://|[^\x00-\x7f…]")
_SHORTEST_PECULIAR = 6
_FIGURE = re.compile(r"\b\d[\d.,:]*(?:ms|s|m|h|%)?(?!\w)")


class Quotes:
    """Finds what messages quote, and remembers which wordings quote nothing."""

    def __init__(self) -> None:
        self._harmless: OrderedDict[str, None] = OrderedDict()

    def without(self, message: str, body: bytes, known: Collection[str] = ()) -> str:
        """The message without what it quotes of the request `body`; see `unquoted`."""
        wording = _FIGURE.sub("#", message[:LONGEST])
        if wording in self._harmless:
            self._harmless.move_to_end(wording)
            return message[:LONGEST]
        kept = unquoted(message, body, known)
        if kept == message[:LONGEST]:
            self._harmless[wording] = None
            if len(self._harmless) > MOST_KNOWN:
                self._harmless.popitem(last=False)
        return kept


def unquoted(message: str, body: bytes, known: Collection[str] = ()) -> str:
    """The message without what it quotes of the request `body`. `known` names are no secrets, such as the model's."""
    text = message[:LONGEST]
    spans = sorted(_spans(text, body, known))
    pieces: list[str] = []
    at = 0
    for start, end in spans:
        if end <= at:
            continue
        if start > at or not pieces:
            pieces += [text[at:start], GAP]
        at = end
    return "".join([*pieces, text[at:]])


def _spans(text: str, body: bytes, known: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where the quotes are."""
    for found in _QUOTED.finditer(text):
        group = 2 if found[2] is not None else 3
        if found[group] not in known and _holds(body, found[group]) and not _is_member(body, found[group]):
            yield found.span(group)
    words = [_trimmed(text, *found.span()) for found in _WORD.finditer(text)]
    for start, end in words:
        word = text[start:end]
        peculiar = len(word) >= _SHORTEST_PECULIAR and _PECULIAR.search(word) is not None
        if peculiar and word not in known and _holds(body, word) and not _is_member(body, word):
            yield start, end
    yield from _runs(text, words, body)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A word without the punctuation around it."""
    word = text[start:end]
    start += len(word) - len(word.lstrip(_EDGES))
    return start, max(start, start + len(word.strip(_EDGES)))


def _runs(text: str, words: list[tuple[int, int]], body: bytes) -> Iterator[tuple[int, int]]:
    """Longer runs of everyday words that the request holds letter by letter."""
    first = 0
    while first + FEW <= len(words):
        last = first + FEW - 1
        if not _holds(body, text[words[first][0] : words[last][1]]):
            first += 2
            continue
        if first and _holds(body, text[words[first - 1][0] : words[last][1]]):
            first -= 1
        while last + 1 < len(words) and _holds(body, text[words[first][0] : words[last + 1][1]]):
            last += 1
        if words[last][1] - words[first][0] >= LONG:
            yield words[first][0], words[last][1]
        first = last + 1


def _holds(body: bytes, text: str) -> bool:
    """Whether the text stands in the request, in either way of writing it in JSON."""
    return _written(text) in body or (not text.isascii() and json.dumps(text)[1:-1].encode() in body)


def _written(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def _is_member(body: bytes, text: str) -> bool:
    """Whether it names a member of the request, and nothing that was said in it."""
    return re.search(rb'"' + re.escape(_written(text)) + rb'"\s*:', body) is not None

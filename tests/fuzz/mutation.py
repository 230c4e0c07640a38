"""Changes of JSON values and of bytes such as a broken or hostile peer makes them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

HALF = "\ud83d"
"""Half of a surrogate pair."""
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 1.5, 1e308, -1e308, 10**18, 2**63, 2**64, 10**30, 10**400, 1e400, float("nan")),
    *("", " ", "x", "null", "0", "1.5", "nan", "\x00", "\n", "a\r\nb: c", HALF, f"x{HALF}y", "é", "😀", "{", '{"a":'),
    *('"x"', "[]", "data:image/png;base64,!", "http://[::1", "http://127.0.0.1/a.png", "../..", "x" * 3000, "9" * 4400),
    *([], {}, [[]], [None], [{}], [1, "a"], {"": None}, {"type": None}, {"text": 1}, {"a": {"b": []}}, ["x", {"y": 2}]),
)
"""Values of every kind, most of which no place expects."""
DEPTHS = (30, 300, 900, 3000)
_JUNK = (b"\x00", b"\xff", b"\xc3", b"\xf0\x9f", rb"\ud83d", rb"\u0000", *(b"{", b"}", b'"', b"\\", b"\r", b"\n"))
_HUGE = (b"1e999", b"9" * 4400)


class Words:
    """Names of members, texts and values that occur in `documents`: what a mutation borrows from elsewhere."""

    def __init__(self, documents: Iterable[Any]) -> None:
        names: set[str] = {"", "\x00", "type"}
        texts: set[str] = {""}
        self.values: list[Any] = [{}]
        for document in documents:
            for container, key in places([document]):
                value = container[key]
                if isinstance(key, str):
                    names.add(key)
                if isinstance(value, str) and len(value) < 40:
                    texts.add(value)
                elif isinstance(value, dict | list) and len(self.values) < 4000:
                    self.values.append(value)
        self.names, self.texts = sorted(names), sorted(texts)


def places(document: list[Any] | dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Every value inside a document: its container, and its key or index in it."""
    unread: list[Any] = [document]
    while unread:
        container = unread.pop()
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            yield container, key
            if isinstance(value, dict | list):
                unread.append(value)


def copied(value: Any) -> Any:
    """A copy of a JSON value, in a fraction of the time of `copy.deepcopy`."""
    match value:
        case dict():
            return {key: copied(each) for key, each in value.items()}
        case list():
            return [copied(each) for each in value]
        case _:
            return value


def mutated(document: Any, chance: random.Random, words: Words) -> Any:
    """The document after a few changes; now and then one value is put at a great depth."""
    root = [copied(document)]
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        container, key = chance.choice(list(places(root)))
        chance.choice(_CHANGES)(container, key, chance, words)
        if not root:
            return {}
    if chance.random() < 0.01:
        container, key = chance.choice(list(places(root)))
        inside = chance.choice(("", "properties", "content", "items"))
        for _ in range(chance.choice(DEPTHS)):
            container[key] = {inside: container[key]} if inside else [container[key]]
    return root[0]


def _drop(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    del container[key]


def _retype(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    container[key] = copied(chance.choice(ODD))


def _borrow(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    """Put a value or a text of another place here."""
    borrows_text = isinstance(container[key], str) and chance.random() < 0.7
    container[key] = chance.choice(words.texts) if borrows_text else copied(chance.choice(words.values))


def _wrap(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    value = container[key]
    container[key] = chance.choice(([value], {"type": value}, {"value": value}, str(value)[:200]))


def _repeat(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    if isinstance(container, list):
        container[key:key] = [copied(container[key]) for _ in range(chance.choice((1, 1, 1, 40)))]
    else:
        container[chance.choice(words.names)] = copied(container[key])


def _rename(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    if isinstance(container, dict):
        container[chance.choice(words.names)] = container.pop(key)


def _add(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    value = copied(chance.choice(words.values if chance.random() < 0.5 else ODD))
    if isinstance(container, list):
        container.insert(key, value)
    else:
        container[chance.choice(words.names)] = value


def _exchange(container: Any, key: Any, chance: random.Random, words: Words) -> None:
    other = chance.choice(list(container) if isinstance(container, dict) else range(len(container)))
    container[key], container[other] = container[other], container[key]


_CHANGES: tuple[Callable[[Any, Any, random.Random, Words], None], ...] = (
    *(_drop, _drop, _retype, _retype, _retype, _borrow, _borrow, _wrap, _repeat, _rename, _add, _exchange),
)


def written(document: Any) -> bytes:
    """A document as JSON with escapes for what has no UTF-8, also where it is nested deeper than `json` goes."""
    with suppress(RecursionError):
        return json.dumps(document).encode()
    pieces: list[str] = []
    unread: list[Any] = [document]
    while unread:
        match unread.pop():
            case bytes(text):
                pieces.append(text.decode())
            case dict() as table:
                unread.append(b"}")
                for number, (key, value) in enumerate(reversed(table.items())):
                    unread += [*([b","] if number else ()), value, f"{json.dumps(key)}:".encode()]
                unread.append(b"{")
            case list() as rows:
                unread.append(b"]")
                for number, value in enumerate(reversed(rows)):
                    unread += [*([b","] if number else ()), value]
                unread.append(b"[")
            case scalar:
                pieces.append(json.dumps(scalar))
    return "".join(pieces).encode()


def scrambled(data: bytes, chance: random.Random) -> bytes:
    """The bytes after a few changes that know nothing of their structure."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.choice((1, 1, 4, 60)))
        match chance.randrange(6):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:at] + data[at:to] * 2 + data[to:]
            case 3:
                data = data[:at] + chance.choice(_HUGE) + data[to:]
            case 4:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case _:
                data = data[:at] + chance.choice(_JUNK) + data[at:]
    return data


def pieces_of(data: bytes, chance: random.Random) -> Iterator[bytes]:
    """The bytes in pieces of random lengths, as a network delivers them."""
    longest = chance.choice((1, 7, 60, 1000, 100_000))
    longest = max(longest, len(data) // 40)
    at = 0
    while at < len(data):
        to = at + chance.randint(1, longest)
        yield data[at:to]
        at = to

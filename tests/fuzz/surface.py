"""What a surface is, and the changes of seeds that all of them begin with."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from tests.fuzz.mutation import mutated, scrambled, written
from tests.fuzz.seeds import seeds


class Surface(msgspec.Struct, frozen=True):
    """`make` makes one input, `play` hands it to bm; only the `declared` exceptions may come of that."""

    make: Callable[[random.Random], bytes]
    play: Callable[[bytes, random.Random], None]
    declared: tuple[type[Exception], ...] = ()
    weight: int = 1


def changed(document: Any, chance: random.Random) -> bytes:
    """A document as JSON, with its structure changed, or else its bytes."""
    if chance.random() < 0.9:
        return written(mutated(document, chance, seeds().words))
    return scrambled(written(document), chance)


def sendable(text: str) -> str:
    """The text without halves of pairs, which no header can hold."""
    return text.encode("utf-8", "replace").decode()

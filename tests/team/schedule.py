"""What breaks when, by a seed: the same seed breaks the same parts at the same times."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["kill", "freeze", "cut", "isolate", "lose store", "freeze store", "lose database"]
KINDS: tuple[Kind, ...] = ("kill", "kill", "freeze", "cut", "cut", "lose store", "freeze store", "lose database")
NAMESPACES: tuple[Kind, ...] = (*KINDS, "isolate")
"""What can break where each node is in a namespace."""


class Fault(NamedTuple):
    """A part breaks at a time, for some seconds. `node` is the number of the node, where it is one."""

    at: float
    kind: Kind
    node: int
    seconds: float

    @property
    def part(self) -> str:
        """What breaks."""
        if self.kind in ("kill", "freeze", "isolate"):
            return f"node {self.node}"
        return f"link {self.node}" if self.kind == "cut" else self.kind.split()[-1]


def schedule(
    seed: int, seconds: float, nodes: int, pause: float = 5.0, possible: Sequence[Kind] = KINDS
) -> list[Fault]:
    """One fault after another, with pauses in which the team heals, and at times two at once."""
    chance, at = random.Random(seed), pause / 2
    found: list[Fault] = []
    kinds: list[Kind] = []
    while True:
        # Each kind has its turn before one comes again.
        kinds = kinds or chance.sample(possible, len(possible))
        fault = Fault(at, kinds.pop(), chance.randrange(nodes), round(chance.uniform(0.3, 1.0) * pause, 2))
        if fault.at + fault.seconds > seconds - pause / 2:
            return found
        found.append(fault)
        overlaps = chance.random() < 0.2
        at += 0.5 if overlaps else fault.seconds + chance.uniform(0.5, 1.0) * pause

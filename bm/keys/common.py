"""What the allowance asks of the store by which several nodes share budgets and rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from bm.keys.bucket import Rate
from bm.keys.spending import Hold, Used


class Ask(NamedTuple):
    """What a request wants to take: of the rates of its key, and for its hold, of the budgets of a provider.

    With `regardless`, budgets that are spent do not matter.
    """

    rates: Sequence[Rate] = ()
    hold: Hold | None = None
    most: Used | None = None
    regardless: bool = False

    def concerns_others(self, wall: float) -> bool:
        """Whether the store must be asked: it takes of a rate or a budget, or asks how far those are used."""
        return bool(self.rates or self.hold is None or self.most is None or self.hold.wants(self.most, wall))


class Answer(NamedTuple):
    """`wait` is the seconds until the rates allow it. `held` is whether it is reserved. Nothing is known if `away`."""

    wait: float = 0.0
    held: bool = True
    away: bool = False


class Common(Protocol):
    """The limits that all nodes share."""

    @property
    def away(self) -> bool:
        """Whether the store does not answer."""

    @property
    def nodes(self) -> int:
        """How many nodes there are, this one included."""

    @property
    def is_closed(self) -> bool:
        """Whether a request that the store cannot admit is to be refused, rather than judged by this node alone."""

    async def ask(self, ask: Ask) -> Answer:
        """Take it for a request, unless a rate or a budget forbids it. All budgets are known anew afterwards."""

    def use(self, rate: Rate) -> None:
        """A request has used so much more than was taken for it, or less."""

    def tell(self) -> None:
        """Requests have settled what they have used: tell the store soon."""

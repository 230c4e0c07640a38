"""How far the local estimate of tokens is off for a model, learnt from the usage that its answers tell."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

MAX_MODELS = 500
LEAST, MOST = 0.5, 2.0
"""What a tokenizer can be off by; more than that is another cause, such as a prompt that the service adds to."""
SMALL = 200
"""Prompts of fewer tokens tell more of a service's template than of its tokenizer."""
_WEIGHT = 0.2

Model = tuple[str, str]
"""A provider and the name of its model."""


class Factors:
    """A factor for each of the models used last, between `LEAST` and `MOST`."""

    def __init__(self) -> None:
        self._factors: OrderedDict[str, float] = OrderedDict()

    def learn(self, model: Model, estimated: int, counted: int) -> None:
        """An answer's usage said `counted` tokens for a prompt that was estimated at `estimated`."""
        if counted < SMALL or estimated < 1:
            return
        key = ":".join(model)
        seen = min(max(counted / estimated, LEAST), MOST)
        known = self._factors.pop(key, None)
        self._factors[key] = seen if known is None else known + _WEIGHT * (seen - known)
        while len(self._factors) > MAX_MODELS:
            self._factors.popitem(last=False)

    def corrected(self, model: Model, estimated: int) -> int:
        """The estimate, times what is known of the model."""
        return max(1, round(estimated * self._factors.get(":".join(model), 1.0)))

    def saved(self) -> dict[str, float]:
        """What is worth keeping, the model used last at the end."""
        return dict(self._factors)

    def adopt(self, saved: Mapping[str, float]) -> None:
        """Take over what an earlier run has learnt."""
        for key, factor in list(saved.items())[-MAX_MODELS:]:
            self._factors[key] = min(max(factor, LEAST), MOST)

"""Which schemas models have refused, so that the next request simplifies them before it is refused as well."""

from __future__ import annotations

from collections import OrderedDict, deque
from hashlib import blake2b

import msgspec

from bm.chat.request import ChatRequest

MAX_MODELS = 200
MAX_SETS = 20
"""Refusals that are remembered of a model, the latest ones."""

Model = tuple[str, str]
"""A provider and the name of its model."""


class RefusedSchemas:
    """The sets of schemas that a model took only simplified. Whatever holds such a set would be refused as well."""

    def __init__(self) -> None:
        self._sets: OrderedDict[Model, deque[frozenset[bytes]]] = OrderedDict()

    def __contains__(self, asked: tuple[Model, ChatRequest]) -> bool:
        """Whether the model would refuse the request's schemas as they are."""
        model, request = asked
        if not (known := self._sets.get(model)):
            return False
        schemas = _schemas(request)
        return any(refused <= schemas for refused in known)

    def learn(self, model: Model, request: ChatRequest) -> None:
        """The model has refused the request, and answered it with its schemas simplified."""
        if not (schemas := _schemas(request)):
            return
        known = self._sets.pop(model, deque(maxlen=MAX_SETS))
        self._sets[model] = deque((other for other in known if not schemas <= other), maxlen=MAX_SETS)
        self._sets[model].append(schemas)
        while len(self._sets) > MAX_MODELS:
            self._sets.popitem(last=False)


def _schemas(request: ChatRequest) -> frozenset[bytes]:
    """A digest of each schema in the request, with the name of its tool."""
    named = [(tool.name, tool.schema) for tool in request.tools if tool.schema is not None]
    if request.output.schema is not None:
        named.append(("", request.output.schema))
    return frozenset(blake2b(msgspec.json.encode(each), digest_size=12).digest() for each in named)

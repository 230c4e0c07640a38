"""Earlier responses, for clients that name one by `previous_response_id` instead of sending the conversation again."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import msgspec

from bm.chat.parts import Json
from bm.gateway.call import Call
from bm.protocols.openai_responses.state import continued, input_items, output_items

MAX_BYTES = 64 * 1024 * 1024
MAX_DEPTH = 1_000
_FIELD = b'"previous_response_id"'


class _Kept(msgspec.Struct, frozen=True):
    """One exchange: what it said and was answered, and the response it went on from."""

    items: bytes
    previous: str


class ResponseStore:
    """The latest exchanges, within `MAX_BYTES` of them."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0

    def keep(self, request: Json, response: Json) -> None:
        """Remember an exchange, unless the client asked that it be not stored."""
        name = response.get("id")
        if request.get("store") is False or not isinstance(name, str) or name in self._kept:
            return
        previous = request.get("previous_response_id")
        items = msgspec.json.encode([*input_items(request), *output_items(response)])
        self._kept[name] = _Kept(items, previous if isinstance(previous, str) else "")
        self._size += len(items)
        while self._size > self._max_bytes:
            _, gone = self._kept.popitem(last=False)
            self._size -= len(gone.items)

    def items(self, name: str) -> list[Json] | None:
        """All that was said up to the end of a response; None when any of it is no longer known."""
        found: list[Json] = []
        for _ in range(MAX_DEPTH):
            kept = self._kept.get(name)
            if kept is None:
                return None
            self._kept.move_to_end(name)
            found = [*msgspec.json.decode(kept.items), *found]
            if not kept.previous:
                return found
            name = kept.previous
        return None

    def completed(self, call: Call) -> Call:
        """The call with the conversation it goes on from in its body.

        A response that is not known here may be known to the upstream: the call is then left as it is.
        """
        if call.protocol != "openai-responses" or _FIELD not in call.body:
            return call
        try:
            body: Any = msgspec.json.decode(call.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return call
        name = body.get("previous_response_id") if isinstance(body, dict) else None
        earlier = self.items(name) if isinstance(name, str) else None
        if earlier is None:
            return call
        return msgspec.structs.replace(call, body=msgspec.json.encode(continued(body, earlier)))

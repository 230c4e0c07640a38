"""Conversations that OpenAI would keep on its side, for whoever keeps them instead.

A client that sends `previous_response_id` sends only what is new. With the items of the earlier exchange put before
its own the request stands for itself. Instructions are not carried over (API reference, "previous_response_id").
"""

from __future__ import annotations

from bm.chat.parts import Json
from bm.protocols.reading import objects_of


def input_items(body: Json) -> list[Json]:
    """The items of a request; a plain string is one message of the user."""
    match body.get("input"):
        case str(text):
            return [{"type": "message", "role": "user", "content": text}]
        case items:
            return objects_of(items)


def output_items(response: Json) -> list[Json]:
    """The items of an answer, as a later request may send them back."""
    return objects_of(response.get("output"))


def continued(body: Json, earlier_items: list[Json]) -> Json:
    """The request with what came before it, and without naming it. References to earlier items are resolved."""
    known = {item["id"]: item for item in earlier_items if isinstance(item.get("id"), str)}
    own = [_resolved(item, known) for item in input_items(body)]
    rest = {field: value for field, value in body.items() if field != "previous_response_id"}
    return {**rest, "input": [*earlier_items, *own]}


def _resolved(item: Json, known: dict[str, Json]) -> Json:
    """What a reference names, where that is known; any other item as it is."""
    named = item.get("id")
    refers = item.get("type") == "item_reference" or item.keys() == {"id"}
    return known.get(named, item) if refers and isinstance(named, str) else item

"""A list of models in each protocol's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import msgspec

from bm.chat.parts import Json
from bm.names import ProtocolName
from bm.protocols.reading import refuse


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model as clients see it. Limits are in tokens, 0 when unknown; `created` is Unix time, 0 when unknown."""

    id: str
    owner: str
    title: str = ""
    context: int = 0
    max_output: int = 0
    created: int = 0


def listing(protocol: ProtocolName, cards: Sequence[ModelCard], query: str = "") -> Json:
    """All models, or the page that the query string asks for in the protocol's own words.

    Raises:
        RequestError: the query asks for a page that there cannot be.
    """
    asked = dict(parse_qsl(query))
    match protocol:
        case "anthropic":
            shown, more = _between(cards, asked)
            rows = [entry(protocol, card) for card in shown]
            first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
            return {"data": rows, "has_more": more, "first_id": first, "last_id": last}
        case "gemini":
            start = _number(asked, "pageToken")
            end = start + (_number(asked, "pageSize") or len(cards))
            models = {"models": [entry(protocol, card) for card in cards[start:end]]}
            return models | ({"nextPageToken": str(end)} if end < len(cards) else {})
        case _:
            page: Json = {"object": "list", "data": [entry(protocol, card) for card in cards]}
            # Codex asks with its version and fails without `models`. Entries there replace its own instructions for a
            # model, which bm does not have; for names without an entry it uses those that it has.
            return page | ({"models": []} if "client_version" in asked else {})


def _between(cards: Sequence[ModelCard], asked: Mapping[str, str]) -> tuple[Sequence[ModelCard], bool]:
    """Anthropic's page: `limit` models after `after_id` or before `before_id`, and whether there are more that way."""
    ids = [card.id for card in cards]
    limit = _number(asked, "limit") or len(cards)
    before, after = asked.get("before_id"), asked.get("after_id")
    if before in ids:
        end = ids.index(before)
        return cards[max(0, end - limit) : end], end > limit
    start = ids.index(after) + 1 if after in ids else 0
    return cards[start : start + limit], start + limit < len(cards)


def _number(asked: Mapping[str, str], name: str) -> int:
    """A number in the query, 0 when absent."""
    value = asked.get(name, "")
    if value and not value.isdecimal():
        raise refuse(name, "expected a whole number")
    return int(value or 0)


def entry(protocol: ProtocolName, card: ModelCard) -> Json:
    """One model. Limits that are not known are left out rather than made up."""
    match protocol:
        case "anthropic":
            row: Json = {
                "type": "model",
                "id": card.id,
                "display_name": card.title or card.id,
                "created_at": datetime.fromtimestamp(card.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "lifecycle": "active",
            }
            return row | _known(max_input_tokens=card.context, max_tokens=card.max_output)
        case "gemini":
            row = {
                "name": f"models/{card.id}",
                "displayName": card.title or card.id,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
            }
            return row | _known(inputTokenLimit=card.context, outputTokenLimit=card.max_output)
        case _:
            row = {"id": card.id, "object": "model", "created": card.created, "owned_by": card.owner}
            return row | _known(context_window=card.context, max_completion_tokens=card.max_output)


def _known(**limits: int) -> Json:
    return {name: value for name, value in limits.items() if value}

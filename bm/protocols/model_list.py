"""A list of models in each protocol's shape."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from bm.chat.parts import Json
from bm.names import ProtocolName


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """A model as clients see it. Limits are in tokens, 0 when unknown; `created` is Unix time, 0 when unknown."""

    id: str
    owner: str
    title: str = ""
    context: int = 0
    max_output: int = 0
    created: int = 0


def listing(protocol: ProtocolName, cards: Sequence[ModelCard]) -> Json:
    """All models."""
    rows = [entry(protocol, card) for card in cards]
    match protocol:
        case "anthropic":
            first, last = (rows[0]["id"], rows[-1]["id"]) if rows else (None, None)
            return {"data": rows, "has_more": False, "first_id": first, "last_id": last}
        case "gemini":
            return {"models": rows}
        case _:
            return {"object": "list", "data": rows}


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

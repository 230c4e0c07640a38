"""Leaves media out of a request for a model that takes none of their kind: a note stands where they were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

import msgspec

from bm.chat.parts import Media, Opaque, Part, Text, ToolResult
from bm.chat.request import ChatRequest, Loss, Turn

PLURALS = {"image": "images", "document": "documents", "audio": "audio", "video": "video"}
"""What the kinds of media are called where a model takes them or not."""


def without_media(request: ChatRequest, kinds: Collection[str]) -> tuple[ChatRequest, tuple[Loss, ...]]:
    """The request with a note in place of each of those `kinds` of media, and what was lost by it.

    A document that is plain text loses nothing: its words take its place.
    """
    missed = Counter(media.kind for media in media_of(request) if PLURALS[media.kind] in kinds and not media.text)
    turns = tuple(Turn(turn.role, tuple(_part(part, kinds) for part in turn.parts)) for turn in request.turns)
    losses = tuple(
        Loss(PLURALS[kind], f"the model takes none; a note stands for {count} in earlier turns or tool results")
        for kind, count in missed.items()
    )
    return msgspec.structs.replace(request, turns=turns), losses


def media_of(request: ChatRequest) -> Iterator[Media]:
    """Every piece of media in the conversation, also those in results of tools."""
    for turn in request.turns:
        for part in turn.parts:
            if isinstance(part, Media):
                yield part
            elif isinstance(part, ToolResult):
                yield from (inner for inner in part.parts if isinstance(inner, Media))


def _part(part: Part, kinds: Collection[str]) -> Part:
    if isinstance(part, ToolResult):
        return msgspec.structs.replace(part, parts=tuple(_inner(inner, kinds) for inner in part.parts))
    return _noted(part) if isinstance(part, Media) and PLURALS[part.kind] in kinds else part


def _inner(part: Text | Media | Opaque, kinds: Collection[str]) -> Text | Media | Opaque:
    return _noted(part) if isinstance(part, Media) and PLURALS[part.kind] in kinds else part


def _noted(media: Media) -> Text:
    if media.text:
        return Text(f"{media.name}\n\n{media.text}" if media.name else media.text, cache=media.cache)
    named = f' "{media.name}"' if media.name else ""
    return Text(f"[{media.kind}{named} left out: this model cannot be shown it]", cache=media.cache)

"""A whole answer, read and written: the fold of the same events that a stream tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bm.chat.events import Event, Finish, Start, Usage, UsageUpdate
from bm.chat.parts import Json
from bm.chat.request import ChatRequest
from bm.protocols.codec import IdFactory
from bm.protocols.gemini.decoder import GeminiStreamDecoder
from bm.protocols.gemini.encoder import Parts, finish_members
from bm.protocols.gemini.usage import encode_usage


def decode_response(body: Json, ids: IdFactory) -> tuple[Event, ...]:
    """Read an upstream's whole answer as events, ending in End or Failed. A list of chunks counts as a stream."""
    decoder = GeminiStreamDecoder(ids)
    whole: Any = body
    chunks = whole if isinstance(whole, list) else [whole]
    events = [event for chunk in chunks for event in decoder.chunk(chunk)]
    return (*events, *decoder.close())


def encode_response(events: Sequence[Event], request: ChatRequest, ids: IdFactory, *, model: str) -> Json:
    """Write a whole answer for the client."""
    maker = Parts(visible=request.reasoning.visible is True)
    contents: dict[int, list[Json]] = {}
    finishes: dict[int, Finish] = {}
    usage = Usage()
    for event in events:
        match event:
            case UsageUpdate():
                usage = event.usage
            case Finish():
                finishes[event.choice] = event
            case Start():
                pass
            case _:
                choice, parts = maker.feed(event)
                for part in parts:
                    _append(contents.setdefault(choice, []), part)
    candidates = [
        {
            "content": {"role": "model", "parts": contents.get(number) or [{"text": ""}]},
            **finish_members(finishes.get(number, Finish("stop", choice=number)), maker.metadata(number)),
        }
        for number in sorted(contents.keys() | finishes.keys() | (set() if contents or finishes else {0}))
    ]
    return {
        "candidates": candidates,
        "usageMetadata": encode_usage(usage),
        "modelVersion": model,
        "responseId": ids.new_id(""),
    }


def _append(parts: list[Json], part: Json) -> None:
    """Join the pieces of a text, whose signature comes last."""
    last = parts[-1] if parts else {}
    text = {"text", "thought"}
    if "text" in part and last.keys() and last.keys() <= text and last.keys() == part.keys() & text:
        parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
    else:
        parts.append(part)

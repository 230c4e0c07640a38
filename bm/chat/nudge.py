"""A word to a model whose call of a tool could not be used."""

from __future__ import annotations

import msgspec

from bm.chat.parts import Text
from bm.chat.request import ChatRequest, Turn

NUDGE = (
    "Your previous attempt to call a tool was malformed and was discarded. Call the tool again: use the name and the "
    "parameters exactly as they are declared, with arguments that are valid JSON, and no code around the call."
)


def nudged(request: ChatRequest) -> ChatRequest:
    """The request with the word at its end."""
    *before, last = request.turns or (Turn("user", ()),)
    word = Text(NUDGE)
    turns = (
        [*before, Turn("user", (*last.parts, word))] if last.role == "user" else [*request.turns, Turn("user", (word,))]
    )
    return msgspec.structs.replace(request, turns=tuple(turns))

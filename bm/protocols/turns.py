"""Turns as far as a protocol can express them; every codec begins with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from bm.chat.parts import Media, Opaque, Part, Refusal, ResultPart, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import current_turn_start
from bm.chat.request import ChatRequest, Loss, Role, Turn
from bm.names import CHAT, ProtocolName
from bm.protocols.media import of_true_kind, text_in
from bm.protocols.reading import place_of, refuse

LOOKUP = "tool_search"
"""Vendors' tools that look up deferred tools: of no use where every tool is in the request."""

_NAME: Mapping[ProtocolName, str] = {
    "anthropic": "title",
    "openai-chat": "file.filename",
    "openai-responses": "filename",
    "gemini": "inlineData.displayName",
}
"""What the name of a file is called."""

Said = Literal["now", "earlier", "result"]
"""Where a part stands: in the user's last turn or after it, in a turn before that, or in a tool's result."""


class Expressible(msgspec.Struct, frozen=True):
    """What a protocol, for one model, can express of a turn.

    `objection` says why media cannot be sent, empty when they can; `assistant_media` and `text_documents` whether there
    are such parts at all; `thinking` whether earlier thinking is sent back. Thinking that is not, is no loss: what
    another model thought instructs no model. Without `blank_texts` a text of white space alone is refused.
    """

    protocol: ProtocolName
    objection: Callable[[Media], str]
    thinking: Callable[[Thinking], bool] = lambda part: True
    assistant_media: bool = False
    text_documents: bool = False
    blank_texts: bool = True

    def turns(self, request: ChatRequest, losses: list[Loss]) -> tuple[Turn, ...]:
        """The turns of a request without what cannot be expressed, and without turns that this leaves empty.

        Another vendor's own parts become their summary in words. Media that cannot be sent become a note in tool
        results, and in earlier turns of the user if the model takes others of their kind; they are left out of the
        assistant's turns.

        Raises:
            RequestError: media cannot be sent that the user has just sent: an answer without them would answer another
                question.
        """
        turns: list[Turn] = []
        asked = current_turn_start(request.turns) - 1
        for number, turn in enumerate(request.turns):
            if turn.parts and self._are_plain(turn.parts):
                turns.append(turn)
                continue
            parts: list[Part] = []
            for index, part in enumerate(turn.parts):
                place = place_of(request.protocol, number, index)
                self._note(part, place, request.protocol, losses)
                parts += self._part(part, turn.role, place, losses, "earlier" if number < asked else "now")
            if parts:
                turns.append(Turn(turn.role, tuple(parts)))
        return tuple(turns)

    def _are_plain(self, parts: Sequence[Part]) -> bool:
        """Whether every protocol has such parts, as it has most: they stay as they are."""
        for part in parts:
            if isinstance(part, Text):
                if not part.text or (not self.blank_texts and part.text.isspace()):
                    return False
            elif isinstance(part, ToolResult):
                if not self._are_plain(part.parts):
                    return False
            elif not isinstance(part, ToolCall):
                return False
        return True

    def _note(self, part: Part, place: str, client: ProtocolName, losses: list[Loss]) -> None:
        """Report what the protocol has no member for beside media: their name, and that they may be seen coarsely."""
        if isinstance(part, ToolResult):
            for number, inner in enumerate(part.parts):
                self._note(inner, f"{place}.content[{number}]", client, losses)
        if not isinstance(part, Media):
            return
        if part.name and not part.text and (self.protocol == "gemini" or part.kind != "document"):
            losses.append(Loss(f"{place}.{_NAME[client]}", f"{part.kind}s have no name there"))
        if part.detail == "low" and self.protocol in ("anthropic", "gemini"):
            field = "image_url.detail" if client == CHAT else "detail"
            losses.append(Loss(f"{place}.{field}", "the model sees images in full"))

    def _part(self, part: Part, role: Role, place: str, losses: list[Loss], said: Said) -> Iterator[Part]:
        match part:
            case Text(text=text, signature=None) | Refusal(text=text) if not (
                text if self.blank_texts else text.strip()
            ):
                return
            case Thinking() if not self.thinking(part):
                return
            case ToolResult():
                yield msgspec.structs.replace(part, parts=tuple(self._within(part, place, losses)))
            case Opaque() if part.protocol != self.protocol:
                yield from self._foreign(part, place, losses)
            case Media(text=text) if text and not self.text_documents:
                yield Text(part.titled_text, cache=part.cache)
            case Media():
                yield from self._media(of_true_kind(part), role, place, losses, said)
            case _:
                yield part

    def _within(self, result: ToolResult, place: str, losses: list[Loss]) -> Iterator[ResultPart]:
        for number, inner in enumerate(result.parts):
            at = f"{place}.content[{number}]"
            for part in self._part(inner, "user", at, losses, "result"):
                if isinstance(part, ResultPart):
                    yield part

    def _foreign(self, part: Opaque, place: str, losses: list[Loss]) -> Iterator[Part]:
        if part.lost:
            losses.append(Loss(f"{place} ({part.kind})", part.lost))
        if part.summary.strip():
            yield Text(part.summary)
        elif not part.lost and not part.kind.startswith(LOOKUP):
            losses.append(Loss(f"{place} ({part.kind})", "only its own vendor knows it"))

    def _media(self, part: Media, role: Role, place: str, losses: list[Loss], said: Said) -> Iterator[Part]:
        reason = self.objection(part)
        if role == "assistant" and not self.assistant_media:
            reason = "the protocol takes no media of the assistant"
        if not reason:
            yield part
        elif text := text_in(part):
            yield Text(msgspec.structs.replace(part, text=text).titled_text, cache=part.cache)
        elif role == "assistant":
            losses.append(Loss(f"{place} ({part.kind})", reason))
        elif said == "result" or (said == "earlier" and not self.objection(Media(part.kind, data="AAAA"))):
            losses.append(Loss(f"{place} ({part.kind})", reason))
            yield Text(f"[{part.kind} left out: {reason}]")
        else:
            raise refuse(place, reason, "unsupported_content")

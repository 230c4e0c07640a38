"""Holds a model to one tool call where the client asked for that and the upstream has no such setting."""

from __future__ import annotations

from bm.chat.events import Event, PartAnnotation, PartDelta, PartEnd, PartSignature, PartStart


class SingleCall:
    """Drops every tool call of a choice but its first."""

    def __init__(self) -> None:
        self._called: set[int] = set()
        self._dropped: set[int] = set()

    def keeps(self, event: Event) -> bool:
        """Whether the event is part of what the client gets."""
        match event:
            case PartStart(kind="tool_call"):
                if event.choice in self._called:
                    self._dropped.add(event.index)
                    return False
                self._called.add(event.choice)
                return True
            case PartDelta() | PartEnd() | PartSignature() | PartAnnotation():
                return event.index not in self._dropped
            case _:
                return True

"""Continue a response that was cut with the response of another model.

There are two ways. *Prefilled*, the second model was given the text that was delivered and writes only the rest.
*Restarted*, it got the request as it was, and its response counts from where it has repeated the delivered text to the
letter; any difference ends the attempt.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bm.chat.events import (
    End,
    Event,
    Failed,
    Finish,
    PartAnnotation,
    PartDelta,
    PartEnd,
    PartSignature,
    PartStart,
    PartWhole,
    Ping,
    Start,
    Usage,
    UsageUpdate,
)

BYTES_PER_TOKEN = 3.6
"""An estimate, for when the upstream has reported no tokens (see `bm.chat.estimate`)."""

SURELY_REPEATED = 24
"""A prefilled response that begins with this many characters of the delivered text repeats it; it is no coincidence."""


class Delivered:
    """What the client has of a response. All events for the client go `through` it, in order.

    The end of the text is held back until something follows, because a text whose end was delivered cannot continue.
    `index` is that of the text, None before it begins.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.index: int | None = None
        self.next_index = 0
        self.usage = Usage()
        self._thought = self._others = False
        self._held: PartEnd | None = None

    @property
    def resumable(self) -> bool:
        """Whether another model can finish it: it is one text, after complete thinking, or nothing yet.

        A client that has only thinking would get that of two models, and could send neither back.
        """
        return not self._others and (self.index is not None or not self._thought)

    @property
    def text(self) -> str:
        """The text that was delivered."""
        return "".join(self._pieces)

    @property
    def tokens(self) -> int:
        """The tokens of the text: what the upstream has reported so far, or an estimate if that is more."""
        return max(self.usage.output, round(len(self.text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN))

    def through(self, event: Event) -> Iterator[Event]:
        """Return the events to deliver now."""
        if isinstance(event, PartEnd) and event.index == self.index and self._held is None:
            self._held = event
            return
        if isinstance(event, Failed | Ping | UsageUpdate | Start):
            if isinstance(event, UsageUpdate):
                self.usage = event.usage
            yield event
            return
        if self._held is not None:
            held, self._held = self._held, None
            yield held
        self._note(event)
        yield event

    def _note(self, event: Event) -> None:
        match event:
            case PartStart(kind="text", choice=0) if self.index is None:
                self.index = event.index
            case PartStart(kind="thinking", choice=0):
                self._thought = True
            case PartStart() | PartWhole() | Finish() | End():
                self._others = True
            case PartDelta() if event.index == self.index:
                self._pieces.append(event.text)
            case _:
                pass
        if isinstance(event, PartStart | PartWhole):
            self.next_index = max(self.next_index, event.index + 1)

    def reopen(self) -> None:
        """The response was cut: drop an end of the text that was held back."""
        self._held = None


class Splice:
    """Turns the events of a second response into the continuation of the one that was cut.

    `prefill` is the text that the second model was given, None if it got the request as it was. `diverged` is true once
    its response turns out to be no continuation.
    """

    def __init__(self, delivered: Delivered, *, prefill: str | None) -> None:
        self._delivered = delivered
        self._index = delivered.index
        self._prefill = prefill
        self._known = delivered.text if prefill is None else delivered.text[len(prefill) :]
        self._base = delivered.next_index
        self._spent = delivered.tokens if prefill is not None else 0
        self._seen = ""
        self._matched = not self._known and prefill is None
        self._text: int | None = None
        self._closed = delivered.index is None
        self._dropped: set[int] = set()
        self.diverged = False

    def through(self, event: Event) -> Iterator[Event]:
        """Return the events to deliver for one event of the second response."""
        if self.diverged:
            return
        match event:
            case Start():
                return
            case UsageUpdate(usage=usage):
                yield UsageUpdate(msgspec.structs.replace(usage, output=usage.output + self._spent))
            case Ping() | Failed():
                yield event
            case PartStart() | PartWhole():
                yield from self._begin(event)
            case PartDelta() | PartSignature() | PartAnnotation() | PartEnd():
                if event.index not in self._dropped:
                    yield from self._within(event)
            case Finish() | End():
                yield from self._close()
                if not self.diverged:
                    yield event

    def _begin(self, event: PartStart | PartWhole) -> Iterator[Event]:
        if isinstance(event, PartStart) and not self._closed:
            if event.kind == "thinking":
                # The client already has the text that follows it.
                self._dropped.add(event.index)
                return
            if event.kind == "text" and self._text is None:
                self._text = event.index
                return
        yield from self._close()
        if not self.diverged:
            yield msgspec.structs.replace(event, index=event.index + self._base)

    def _within(self, event: PartDelta | PartSignature | PartAnnotation | PartEnd) -> Iterator[Event]:
        if event.index != self._text or self._index is None:
            yield msgspec.structs.replace(event, index=event.index + self._base)
            return
        match event:
            case PartDelta(text=text):
                yield from self._say(self._rest(text))
            case PartEnd():
                yield from self._close()
            case _ if self._matched:
                yield msgspec.structs.replace(event, index=self._index)

    def _say(self, text: str) -> Iterator[Event]:
        if text and self._index is not None:
            yield PartDelta(self._index, text)

    def _rest(self, text: str) -> str:
        """The part of a piece of text that was not delivered yet."""
        if self._matched:
            return text
        self._seen += text
        return self._restarted() if self._prefill is None else self._continued(final=False)

    def _restarted(self) -> str:
        known, seen = self._known, self._seen
        if len(seen) < len(known):
            self.diverged = not known.startswith(seen)
            return ""
        self._matched = seen.startswith(known)
        self.diverged = not self._matched
        return seen[len(known) :] if self._matched else ""

    def _continued(self, *, final: bool) -> str:
        """The rest from a model that was given the beginning. Some repeat it first, and white space may be missing."""
        whole, seen = self._delivered.text, self._seen
        if len(whole) >= SURELY_REPEATED:
            same = _shared(whole, seen)
            if same == len(whole):
                self._matched = True
                return seen[same:]
            if same == len(seen) and not final:
                return ""
            if same >= SURELY_REPEATED:
                self.diverged = True
                return ""
        same = _shared(self._known, seen)
        if same == len(seen) < len(self._known) and not final:
            return ""
        self._matched = True
        return seen[same:]

    def _close(self) -> Iterator[Event]:
        """End the text that the client is reading, before anything else begins."""
        if self._closed:
            return
        if not self._matched and self._prefill is None:
            self.diverged = True
        elif not self._matched:
            yield from self._say(self._continued(final=True))
        if self.diverged:
            return
        self._matched = self._closed = True
        if self._index is not None:
            yield PartEnd(self._index)


def _shared(one: str, other: str) -> int:
    """The length of the common beginning."""
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)

"""One answer told by two models: what the reader has of it, and how another answer is fitted on.

A text answer that was cut is gone on with in one of two ways. *Prefilled*, the second model was given what the reader
has and writes only the rest. *Restarted*, it was asked anew, and its answer counts from where it has repeated, to the
letter, what the reader has; any difference ends the attempt.
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
"""What text takes in tokens where the upstream has not told (see `bm.chat.estimate`)."""

SURELY_REPEATED = 24
"""So many characters of a prefilled answer that repeat the reader's text are no coincidence."""


class Delivered:
    """What the reader has of an answer. Everything for the reader goes `through` it, in order.

    The end of the text is held back until something follows: an answer cut in between is still open for the reader.
    """

    def __init__(self) -> None:
        self.text = ""
        self.index: int | None = None
        self.next_index = 0
        self.usage = Usage()
        self._thought = self._others = False
        self._held: PartEnd | None = None

    @property
    def resumable(self) -> bool:
        """Whether another model can finish it: one text, after thinking that is complete, or nothing yet.

        A reader that has thinking alone would get that of two models, and could hand neither back.
        """
        return not self._others and (self.index is not None or not self._thought)

    @property
    def tokens(self) -> int:
        """What the text took, as far as it is known: the upstream's count of so far, or an estimate."""
        return max(self.usage.output, round(len(self.text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN))

    def through(self, event: Event) -> Iterator[Event]:
        """The events for the reader now."""
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
                self.text += event.text
            case _:
                pass
        if isinstance(event, PartStart | PartWhole):
            self.next_index = max(self.next_index, event.index + 1)

    def reopen(self) -> None:
        """The answer was cut: an end of the text that was held back is not its end."""
        self._held = None


class Splice:
    """Turns the events of a second answer into those that go on where the reader is.

    `diverged` turns true when a restarted answer differs from what the reader has.
    """

    def __init__(self, told: Delivered, *, prefill: str | None) -> None:
        self._told = told
        self._index = told.index
        self._prefill = prefill
        self._known = told.text if prefill is None else told.text[len(prefill) :]
        self._base = told.next_index
        self._spent = told.tokens if prefill is not None else 0
        self._seen = ""
        self._matched = not self._known and prefill is None
        self._text: int | None = None
        self._closed = told.index is None
        self._dropped: set[int] = set()
        self.diverged = False

    def through(self, event: Event) -> Iterator[Event]:
        """The events for the reader that one event of the second answer makes."""
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
                # The reader is past it.
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
        """What of a piece of text is new to the reader."""
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
        """The rest by a model that was given the beginning; some repeat it first, and white space gets lost."""
        whole, seen = self._told.text, self._seen
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
        """End the part that the reader is in, before anything else begins."""
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
    """How many characters both begin with."""
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)

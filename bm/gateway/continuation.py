"""Continue a response that was cut with the response of another model.

There are three ways, of which the first that the model takes is used. *Prefill*: it was given the text that was
delivered as the beginning of its own answer, and writes only the rest. *Ask*: it was given that text as a turn and
another turn that asks it to repeat the last words and to go on. *Restart*: it got the request as it was, and its
response counts from where it has repeated all of the text. Words that are to be repeated are compared, and any
difference ends the attempt; white space is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeAlias

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
from bm.chat.signature import TextKey

Way: TypeAlias = Literal["prefill", "ask", "restart"]

BYTES_PER_TOKEN = 3.6
"""An estimate, for when the upstream has reported no tokens (see `bm.chat.estimate`)."""

SURELY_REPEATED = 24
"""A prefilled response that begins with this many characters of the delivered text repeats it; it is no coincidence."""

LAST_WORDS = 48
"""Characters that a model is asked to repeat, and to the beginning of a word; more where the text has them twice."""

MOST_LAST_WORDS = 400
FEWEST_REPEATED = 8
"""Characters of the delivered text with which a model must begin; most repeat more words than asked for, or fewer."""

MAX_KEPT = 4 * 1024 * 1024
"""Characters of a response that are kept. A longer response is not continued."""

OVERHEAD = 256
"""What an event other than a piece of text counts for, in characters."""


class KeptText(TextKey):
    """A text whose pieces are kept, few objects for many pieces. `lost` is true once it is too long for that."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: list[str] = []
        self.lost = False

    def _digest_pieces(self) -> str:
        text = super()._digest_pieces()
        if text:
            self._kept.append(text)
        if self._size > MAX_KEPT:
            self._kept.clear()
            self.lost = True
        return text

    @property
    def text(self) -> str:
        """The text so far."""
        self._digest_pieces()
        return "".join(self._kept)

    def shorten(self, length: int) -> None:
        """Take away the last characters. The digest holds them still."""
        self._kept = [self.text[: -length or None]]


class Delivered:
    """What the client has of a response, kept only while another target may finish it.

    All events but pieces of text go `through` it, in order. The pieces are added to what `sink` returns. The end of the
    text is `held` until something follows, because a text whose end was delivered cannot continue. `index` is that of
    the text, None before it begins. `over` is true once no other target can finish the response. `allowed` says whether
    the request is one whose response another target may finish, given whether the text has begun.
    """

    def __init__(self, allowed: Callable[[bool], bool] = lambda begun: True) -> None:
        self._allowed = allowed
        self._texts: dict[int, KeptText] = {}
        self.steps: list[tuple[Event, bytes]] = []
        self.index: int | None = None
        self.next_index = 0
        self.usage = Usage()
        self.held: PartEnd | None = None
        self._thought = self.over = False
        self._size = 0

    @property
    def resumable(self) -> bool:
        """Whether another model can finish it: it is one text, after complete thinking, or nothing yet.

        A client that has only thinking would get that of two models, and could send neither back.
        """
        if self.over or (self.index is None and self._thought) or any(text.lost for text in self._texts.values()):
            return False
        return self._allowed(self.index is not None)

    @property
    def text(self) -> str:
        """The text that was delivered."""
        return "" if self.index is None else self.text_of(self.index)

    def text_of(self, index: int) -> str:
        """What was delivered of a text or of thinking."""
        return self._texts[index].text if index in self._texts else ""

    @property
    def tokens(self) -> int:
        """The tokens of the text: what the upstream has reported so far, or an estimate if that is more."""
        return max(self.usage.output, tokens_of(self.text))

    def sink(self, start: PartStart) -> TextKey | None:
        """What takes the pieces of a text or of thinking, and digests those of a text; None for other parts."""
        if self.over or start.kind not in ("text", "thinking"):
            return TextKey() if start.kind == "text" else None
        return self._texts.setdefault(start.index, KeptText())

    def through(self, event: Event, data: bytes = b"") -> tuple[Event, ...]:
        """Return the events to deliver now. `data` is the JSON text of the upstream's event, if its ids are needed."""
        held = self.held
        self._note(event, data)
        if self.held is event:
            return ()
        return (event,) if held is self.held or held is None else (held, event)

    def _note(self, event: Event, data: bytes) -> None:
        match event:
            case PartDelta():
                if event.index in self._texts:
                    self._texts[event.index].add(event.text)
                return
            case UsageUpdate():
                self.usage = event.usage
                return
            case Ping() | Failed():
                return
            case PartEnd() if event.index == self.index and self.held is None:
                self.held = event
                return
            case PartStart(kind="text", choice=0) if self.index is None:
                self.index = event.index
            case PartStart(kind="thinking", choice=0) if self.index is None:
                self._thought = True
            case PartStart() | PartWhole() | Finish() | End():
                self.finish()
        if self.held is not None:
            self.finish()
        if isinstance(event, PartStart | PartWhole):
            self.next_index = max(self.next_index, event.index + 1)
        self._keep(event, data)

    def _keep(self, event: Event, data: bytes) -> None:
        if isinstance(event, PartStart):
            self.sink(event)
        known = data if isinstance(event, Start | PartStart) else b""
        self._size += len(known) + OVERHEAD
        if self._size + sum(text.size for text in self._texts.values()) > MAX_KEPT:
            self.finish()
        if not self.over:
            self.steps.append((event, known))

    def retract(self, events: Iterable[Event]) -> None:
        """Pieces of text that were added are not delivered after all."""
        for event in events:
            if isinstance(event, PartDelta) and event.index in self._texts:
                self._texts[event.index].shorten(len(event.text))

    def finish(self) -> None:
        """No other model can finish it any more: keep nothing."""
        self.over, self.held = True, None
        self._texts.clear()
        self.steps.clear()

    def reopen(self) -> None:
        """The response was cut: drop an end of the text that was held back."""
        self.held = None


class Overlap:
    """The place in the text of a second response where it stops repeating the first and goes on.

    `feed` and `close` return what is new of it. `diverged` is true once it turns out to be no continuation.
    """

    def __init__(self, text: str, way: Way) -> None:
        self._way = way
        self._known = _letters(text)
        self._gap = text[len(text.rstrip()) :]
        self._seen: list[str] = []
        self._length = 0
        self._places: list[int] | None = None if way == "ask" else [0]
        self._found = len(self._known) < (SURELY_REPEATED if way == "prefill" else 1)
        self._rest = ""
        self.matched = self.diverged = False

    def feed(self, text: str, *, final: bool = False) -> str:
        """Take a piece of the text."""
        if self.matched or self.diverged:
            return text if self.matched else ""
        if not self._found:
            self._seen.append(text)
            skipped = self._repeated(_letters(text), final=final)
            if skipped is None:
                return ""
            self._found, text = True, _after_letters("".join(self._seen), skipped)
        return self._after_gap(text, final=final)

    def close(self) -> str:
        """The text has ended."""
        return self.feed("", final=True)

    def _repeated(self, added: str, *, final: bool) -> int | None:
        """How many letters are repeated, once that is certain. `added` are the letters of the last piece."""
        known, before = self._known, self._length
        self._length += len(added)
        if self._places is None:
            fewest = min(FEWEST_REPEATED, len(known))
            if self._length < fewest and not final:
                return None
            before, added = 0, _letters("".join(self._seen))
            self._places = _occurrences(known, added[:fewest]) if len(added) >= fewest else []
        left = len(known) - before
        self._places = [at for at in self._places if known.startswith(added[: max(0, left - at)], at + before)]
        repeated = [len(known) - at for at in self._places if len(known) - at <= self._length]
        if len(repeated) == 1 and (final or len(self._places) == 1):
            return repeated[0]
        if len(repeated) < len(self._places) and not final:
            return None
        if self._way == "prefill" and _shared(known, _letters("".join(self._seen))) < SURELY_REPEATED:
            return 0
        self.diverged = True
        return None

    def _after_gap(self, text: str, *, final: bool) -> str:
        """What follows the white space at the end of the delivered text, which the response may repeat or leave out."""
        self._rest += text
        same = _shared(self._gap, self._rest)
        if same == len(self._rest) < len(self._gap) and not final:
            return ""
        self.matched = True
        return self._rest[same:]


class Splice:
    """Turns the events of a second response into the continuation of the one that was cut.

    `spent` are the tokens of the text that was delivered and that the second model does not write again. `diverged` is
    true once its response turns out to be no continuation.
    """

    def __init__(self, delivered: Delivered, way: Way) -> None:
        self.spent = _not_repeated(delivered, way)
        self._index = delivered.index
        self.overlap = Overlap(delivered.text, way)
        self._base = delivered.next_index
        self._text: int | None = None
        self._closed = delivered.index is None
        self._dropped: set[int] = set()

    @property
    def diverged(self) -> bool:
        return self.overlap.diverged

    def through(self, event: Event) -> Iterator[Event]:
        """Return the events to deliver for one event of the second response."""
        if self.diverged:
            return
        match event:
            case Start():
                return
            case UsageUpdate(usage=usage):
                yield UsageUpdate(msgspec.structs.replace(usage, output=usage.output + self.spent))
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
                yield from self._say(self.overlap.feed(text))
            case PartEnd():
                yield from self._close()
            case _ if self.overlap.matched:
                yield msgspec.structs.replace(event, index=self._index)

    def _say(self, text: str) -> Iterator[Event]:
        if text and self._index is not None:
            yield PartDelta(self._index, text)

    def _close(self) -> Iterator[Event]:
        """End the text that the client is reading, before anything else begins."""
        if self._closed:
            return
        yield from self._say(self.overlap.close())
        if not self.diverged:
            self._closed = True
            if self._index is not None:
                yield PartEnd(self._index)


def _not_repeated(delivered: Delivered, way: Way) -> int:
    """The tokens of the delivered text that the second model is not to write again."""
    if way == "restart":
        return 0
    repeated = tokens_of(last_words(delivered.text)) if way == "ask" else 0
    return max(0, delivered.tokens - repeated)


def tokens_of(text: str) -> int:
    """An estimate of the tokens of a text."""
    return round(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def last_words(text: str) -> str:
    """The end of a text that a model is asked to repeat; empty where more than one place fits what it then repeats."""
    text = text.rstrip()
    known, length = _letters(text), LAST_WORDS
    while length <= MOST_LAST_WORDS:
        words = _from_word(text, length)
        if known.find(letters := _letters(words)) == len(known) - len(letters) and not _ends_as_it_begins(letters):
            return words
        length *= 2
    return ""


def _from_word(text: str, length: int) -> str:
    """The last characters of a text, from the beginning of a word if one begins near."""
    start = max(0, len(text) - length)
    before = text[max(0, start - LAST_WORDS // 2) : start]
    return text[start - len(before.split()[-1]) if start and before and not before[-1].isspace() else start :].lstrip()


def _ends_as_it_begins(letters: str) -> bool:
    """Whether a response that repeats a text could as well repeat only its end."""
    return any(letters.startswith(letters[at:]) for at in range(1, len(letters) - FEWEST_REPEATED + 1))


def _letters(text: str) -> str:
    """A text without its white space."""
    return "".join(text.split())


def _after_letters(text: str, count: int) -> str:
    """What follows the first `count` letters of a text."""
    at = 0
    while count:
        count -= not text[at].isspace()
        at += 1
    return text[at:]


def _occurrences(text: str, part: str) -> list[int]:
    """Where a part occurs in a text."""
    found, at = [], text.find(part)
    while at >= 0:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def _shared(one: str, other: str) -> int:
    """The length of the common beginning."""
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)

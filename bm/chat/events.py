"""The events of a response, in order.

    Start  ( PartStart PartDelta* PartSignature? PartEnd | PartWhole )*  Finish+  End
    Usage and Ping stand anywhere; Failed ends the stream instead of End.

Parts are identified by `index`, unique in the response; several may be open at once, because OpenAI-compatible
upstreams interleave calls. A stream decoder yields exactly one End or Failed. A response that is not streamed is the
fold of the same events.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.chat.parts import Citation, Part, StreamedKind, ToolKind
from bm.chat.signature import Signature
from bm.errors import Failure

FinishReason = Literal[
    "stop",  # the model was done
    "stop_sequence",
    "length",  # max_tokens
    "context_window",  # the model's context was full
    "tool_calls",
    "refusal",  # the model or a filter refused
    "pause",  # the vendor wants the turn sent again
]


class Usage(msgspec.Struct, frozen=True):
    """Tokens. The three input counts do not overlap; `output` includes `thinking`.

    `cache_write` includes `cache_write_1h`, what is kept for an hour and costs more for it. `input` includes
    `audio_input`, and `output` includes `audio_output` and `image_output`, which have their own prices. `searches` are
    web searches, charged each. `tier` is how the service has worked where that changes the price: `flex`, `priority`,
    `fast`, `batch`, or what else it says. `charged` is what the service says that the response has cost, in US dollars.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    thinking: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_output: int = 0
    searches: int = 0
    tier: str = ""
    charged: float | None = None

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input + self.cache_read + self.cache_write


class Start(msgspec.Struct, frozen=True):
    """The response begins. `id` and `model` are the upstream's; either may be empty."""

    id: str = ""
    model: str = ""


class PartStart(msgspec.Struct, frozen=True):
    """A part that arrives in pieces. `id`, `name`, `tool_kind` are a tool call's, whose id is made up if need be.

    `signature` is set when it is already known.
    """

    index: int
    kind: StreamedKind
    id: str = ""
    name: str = ""
    tool_kind: ToolKind = "function"
    signature: Signature | None = None
    choice: int = 0


class PartDelta(msgspec.Struct, frozen=True):
    """A further piece of text, of a call's arguments as JSON text, or of a custom tool's input."""

    index: int
    text: str


class PartSignature(msgspec.Struct, frozen=True):
    """The signature of an open part that comes after its start."""

    index: int
    signature: Signature


class PartAnnotation(msgspec.Struct, frozen=True):
    """A citation on an open text part."""

    index: int
    citation: Citation


class PartEnd(msgspec.Struct, frozen=True):
    """No more of this part will come."""

    index: int


class PartWhole(msgspec.Struct, frozen=True):
    """A part that arrives at once: media, redacted thinking, a vendor's own block."""

    index: int
    part: Part
    choice: int = 0


class UsageUpdate(msgspec.Struct, frozen=True):
    """The usage of the response so far; the last one counts."""

    usage: Usage


class Finish(msgspec.Struct, frozen=True):
    """A choice is complete. `native` is the upstream's own word, `explanation` the reason for a refusal."""

    reason: FinishReason
    native: str = ""
    stop_sequence: str = ""
    explanation: str = ""
    choice: int = 0


class Ping(msgspec.Struct, frozen=True):
    """The upstream is alive."""


class End(msgspec.Struct, frozen=True):
    """The response is complete."""


class Failed(msgspec.Struct, frozen=True):
    """The response will not be completed."""

    failure: Failure


PartEvent = PartStart | PartDelta | PartSignature | PartAnnotation | PartEnd | PartWhole
"""What concerns one part."""
Event = Start | PartEvent | UsageUpdate | Finish | Ping | End | Failed
CONTENT: tuple[type, ...] = (PartDelta, PartWhole, Finish)
"""Events with which a response has begun for the client; before them it can still be retried."""

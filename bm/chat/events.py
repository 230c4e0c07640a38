"""What happens while an answer is made, in order.

    Start  ( PartStart PartDelta* PartSignature? PartEnd | PartWhole )*  Finish+  End
    Usage and Ping stand anywhere; Failed ends the stream instead of End.

Parts are named by `index`, unique in the answer; several may be open at once, because OpenAI-compatible upstreams
interleave calls. A stream decoder yields exactly one End or Failed. A non-streaming answer is the fold of the same
events.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bm.chat.parts import Json, Part, Source, ToolKind
from bm.chat.signature import Signature
from bm.errors import Failure

StreamedKind = Literal["text", "thinking", "tool_call", "refusal"]
FinishReason = Literal[
    "stop",  # the model was done
    "stop_sequence",
    "length",  # max_tokens
    "context_window",  # the model's context was full
    "tool_calls",
    "refusal",  # the model or a filter declined
    "pause",  # the vendor wants the turn sent again
]


class Usage(msgspec.Struct, frozen=True):
    """Tokens. The three input counts do not overlap; `output` includes `thinking`.

    `cache_write` includes `cache_write_1h`, what is kept for an hour and costs more for it.
    """

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    thinking: int = 0
    cache_write_1h: int = 0

    @property
    def prompt(self) -> int:
        """All tokens of the prompt, cached or not."""
        return self.input + self.cache_read + self.cache_write


class Start(msgspec.Struct, frozen=True):
    """The answer begins. `id` and `model` as the upstream named them; either may be empty."""

    id: str = ""
    model: str = ""


class PartStart(msgspec.Struct, frozen=True):
    """A part that arrives in pieces. `id`, `name`, `tool_kind` are a tool call's.

    `signature` is set when it is known already.
    """

    index: int
    kind: StreamedKind
    id: str = ""
    name: str = ""
    tool_kind: ToolKind = "function"
    signature: Signature | None = None
    choice: int = 0


class PartDelta(msgspec.Struct, frozen=True):
    """A further piece: of text, or of a call's arguments as JSON text (of a custom tool's input as it is)."""

    index: int
    text: str


class PartSignature(msgspec.Struct, frozen=True):
    """The signature of an open part, when it comes after its start."""

    index: int
    signature: Signature


class PartAnnotation(msgspec.Struct, frozen=True):
    """A citation on an open text part, in `protocol`'s own shape, and the pages it names."""

    index: int
    protocol: str
    raw: Json
    sources: tuple[Source, ...] = ()


class PartEnd(msgspec.Struct, frozen=True):
    """No more of this part will come."""

    index: int


class PartWhole(msgspec.Struct, frozen=True):
    """A part that arrives at once: media, redacted thinking, a vendor's own block."""

    index: int
    part: Part
    choice: int = 0


class UsageUpdate(msgspec.Struct, frozen=True):
    """What has been used so far, in all: the last one counts."""

    usage: Usage


class Finish(msgspec.Struct, frozen=True):
    """A choice is complete. `native` is the upstream's own word, `explanation` its reason for a refusal."""

    reason: FinishReason
    native: str = ""
    stop_sequence: str = ""
    explanation: str = ""
    choice: int = 0


class Ping(msgspec.Struct, frozen=True):
    """The upstream is alive."""


class End(msgspec.Struct, frozen=True):
    """The answer is complete."""


class Failed(msgspec.Struct, frozen=True):
    """The answer will not be completed."""

    failure: Failure


Event = (
    Start
    | PartStart
    | PartDelta
    | PartSignature
    | PartAnnotation
    | PartEnd
    | PartWhole
    | UsageUpdate
    | Finish
    | Ping
    | End
    | Failed
)
CONTENT: tuple[type, ...] = (PartDelta, PartWhole, Finish)
"""Events after which an answer has begun for its reader; what comes before can still be taken back."""

"""One call on its way to one target, and what comes back."""

from __future__ import annotations

import random

import msgspec

from bm.chat.request import Loss
from bm.dispatch.target import Target
from bm.errors import Failure
from bm.protocols.codec import Codec
from bm.protocols.embeddings import EmbedRequest
from bm.protocols.passthrough import Watch
from bm.upstream.client import UpstreamRequest

JSON_TYPE = "application/json"
NO_COUNTER = "no_counter"
"""The code of the failure of a target that cannot count tokens."""


def new_id(prefix: str) -> str:
    """A unique id: the prefix and 24 random letters and digits."""
    return f"{prefix}{random.getrandbits(96):024x}"


class Rules(msgspec.Struct, frozen=True):
    """What the configuration says about lanes: `strict` refuses losses, `echo_asked` answers under the asked name."""

    strict: bool = False
    echo_asked: bool = False


class Lane(msgspec.Struct, frozen=True):
    """One call on its way to one target.

    `names` are the tool names that had to change for the target, and back; None where bytes pass through. `embedding`
    is set where embeddings are translated, `simple_schemas` where those of the tools are simplified.
    """

    target: Target
    request: UpstreamRequest
    codec: Codec
    losses: tuple[Loss, ...] = ()
    names: dict[str, str] | None = None
    embedding: EmbedRequest | None = None
    simple_schemas: bool = False

    @property
    def can_simplify(self) -> bool:
        """Whether bm wrote schemas of tools that it could write more simply."""
        return not self.passes_through and not self.simple_schemas

    @property
    def passes_through(self) -> bool:
        """Whether the answer's bytes go to the client as they are."""
        return self.names is None and self.embedding is None


class Whole(msgspec.Struct, frozen=True):
    """A complete answer: the body for the client, or (in `watch.failure`) why there is none.

    `content_type` is empty where the upstream's own holds.
    """

    watch: Watch
    body: bytes = b""
    content_type: str = ""


class Unable(Exception):
    """A target cannot serve a call that another may serve."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


def failed(message: str) -> Whole:
    """An answer that makes no sense."""
    watch = Watch()
    watch.failure = Failure(kind="malformed", message=message)
    return Whole(watch)


def start_of(body: bytes) -> str:
    """The first words of an answer, to be shown."""
    return body[:200].decode("utf-8", "replace").strip() or "an empty body"

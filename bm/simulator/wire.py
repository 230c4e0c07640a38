"""What the simulator asks of each API it plays."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from bm.simulator.answer import Answer, Prompt
from bm.simulator.faults import Trouble
from bm.simulator.request import Json, Request

CREATED = 1_767_225_600
"""The moment every answer was made, seconds since the epoch: a clock would make answers differ."""


class Frame(msgspec.Struct, frozen=True):
    """One event of a stream, framed. `content` says that a reader sees something new of the answer in it."""

    data: bytes
    content: bool = False


class Wire(Protocol):
    """One API. The modules `anthropic`, `openai_chat`, `openai_responses` and `gemini` are its four instances."""

    def check(self, request: Request) -> None:
        """Refuse what the real service refuses.

        Raises:
            Refused: with the error the service would send.
        """

    def prompt(self, request: Request) -> Prompt:
        """The request without its wire. The body has passed `check`, or is a count's."""
        ...

    def call_id(self, request: Request, place: int) -> str:
        """The identifier of the answer's tool call number `place`."""
        ...

    def frames(self, request: Request, answer: Answer) -> list[Frame]:
        """The answer as a stream."""
        ...

    def whole(self, request: Request, answer: Answer) -> Json:
        """The answer as one body."""
        ...

    def counted(self, request: Request, prompt: Prompt) -> Json:
        """The answer to a request to count tokens."""
        ...

    def error(self, request: Request, trouble: Trouble) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of an error."""
        ...

    def in_band(self, request: Request, trouble: Trouble, sent: int) -> Frame:
        """An error as event number `sent` of a stream that began well."""
        ...

    def headers(self, request: Request) -> dict[str, str]:
        """Headers that a good answer carries besides its content type."""
        ...


def dump(value: Any) -> str:
    """A part of a request as text, for counting and caching. Keys keep their order."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def items(value: Any) -> list[Json]:
    """The objects of a list that should hold objects; nothing for any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def blocks(content: Any) -> list[Json]:
    """Content as typed blocks; a string is one block of text."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else items(content)


def text_of(content: Any) -> str:
    """The text of content that is a string or a list of parts with `text`."""
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in items(content) if isinstance(part.get("text"), str))

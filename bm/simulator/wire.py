"""The interface of the APIs that the simulator plays, and helpers they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from bm.simulator.answer import Answer, Prompt
from bm.simulator.faults import Trouble
from bm.simulator.request import Json, Request

CREATED = 1_767_225_600
"""When every answer was created, in seconds since the epoch; fixed, so that answers are reproducible."""


class Frame(msgspec.Struct, frozen=True):
    """One event of a stream, framed. `content`: it carries a piece of the answer."""

    data: bytes
    content: bool = False


class Wire(Protocol):
    """One API, implemented by the modules `anthropic`, `openai_chat`, `openai_responses` and `gemini`."""

    def check(self, request: Request) -> None:
        """Check a request as the real service does.

        Raises:
            Refused: the service would refuse the request, with this error.
        """

    def prompt(self, request: Request) -> Prompt:
        """The request in terms common to all APIs. The body has passed `check`, or is that of a token count."""
        ...

    def call_id(self, request: Request, place: int) -> str:
        """The identifier of tool call number `place` in the answer."""
        ...

    def frames(self, request: Request, answer: Answer) -> list[Frame]:
        """The answer as a stream."""
        ...

    def full_response(self, request: Request, answer: Answer) -> Json:
        """The answer as one JSON body."""
        ...

    def counted(self, request: Request, prompt: Prompt) -> Json:
        """The response to a request to count tokens."""
        ...

    def error(self, request: Request, trouble: Trouble) -> tuple[int, dict[str, str], Any]:
        """Status, headers and body of an error."""
        ...

    def in_band(self, request: Request, trouble: Trouble, sent: int) -> Frame:
        """An error as event number `sent` of a stream with status 200."""
        ...

    def headers(self, request: Request) -> dict[str, str]:
        """The headers of a successful response besides its content type."""
        ...


def dump(value: Any) -> str:
    """A part of a request as text, for counting and caching. The order of keys is kept."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def items(value: Any) -> list[Json]:
    """The objects in a list; empty for any other value."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def blocks(content: Any) -> list[Json]:
    """Content as typed blocks. A string becomes one text block."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else items(content)


def text_of(content: Any) -> str:
    """The text of a string or of a list of parts with `text`."""
    if isinstance(content, str):
        return content
    return " ".join(str(part["text"]) for part in items(content) if isinstance(part.get("text"), str))


def interrupted(messages: Sequence[Json]) -> tuple[str, str]:
    """A question and its answer so far, where the conversation ends in them and another turn of the user."""
    last = [(each.get("role"), text_of(each.get("content") or each.get("parts"))) for each in messages[-3:]]
    match last:
        case [("user", question), ("assistant" | "model", answer), ("user", _)]:
            return question, answer
        case _:
            return "", ""

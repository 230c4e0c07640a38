"""How a request that cannot be served is refused: the place in the client's own words."""

from __future__ import annotations

from typing import Any

from bm.chat.request import ChatRequest
from bm.errors import Failure, RequestError


def refused(param: str, message: str) -> RequestError:
    """The error for a part of the request that is at fault."""
    return RequestError(Failure(kind="bad_request", message=f"{param}: {message}" if param else message, param=param))


def expected(param: str, what: str, got: Any) -> RequestError:
    """The error for a value of the wrong type."""
    return refused(param, f"expected {what}, got {_kind(got)}")


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return type(value).__name__


def place(request: ChatRequest, turn: int, part: int) -> str:
    """Where a part stands, as the client's protocol spells it."""
    match request.protocol:
        case "gemini":
            return f"contents[{turn}].parts[{part}]"
        case "openai-responses":
            return f"input[{turn}].content[{part}]"
        case _:
            return f"messages[{turn}].content[{part}]"

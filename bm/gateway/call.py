"""A client's call as it came in, before anything of it is decided."""

from __future__ import annotations

from typing import Protocol

import msgspec

from bm.errors import Failure, RequestError
from bm.gateway.conversation import Conversation
from bm.names import ProtocolName
from bm.upstream.endpoint import Operation
from bm.upstream.headers import Headers


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asked for, in its own bytes.

    `version` is the API version in a Gemini path, empty for none; `array` whether a Gemini client wants its stream as
    a JSON array. `query` is the query string without a key.
    """

    id: str
    protocol: ProtocolName
    operation: Operation
    headers: Headers
    body: bytes
    model: str
    stream: bool
    query: str = ""
    version: str = ""
    array: bool = False
    conversation: Conversation = Conversation()

    def header(self, name: str) -> str:
        """The first value of a header, empty when absent."""
        return next((value for key, value in self.headers if key == name), "")


class Client(Protocol):
    """The way back to the caller."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the answer."""

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""

    async def end(self) -> None:
        """The answer is complete."""

    async def cut(self) -> None:
        """Break the connection, so that nobody takes what was sent for the whole."""


class _Head(msgspec.Struct):
    """What must be known of a body to route it; the rest stays bytes."""

    model: str = ""
    stream: bool | None = False


def read_head(body: bytes, *, needs_model: bool) -> tuple[str, bool]:
    """The model and whether the answer is streamed.

    Raises:
        RequestError: the body is not a JSON object or is nested beyond reason, a member has the wrong type, or the
            model is missing.
    """
    try:
        head = msgspec.json.decode(body, type=_Head)
    except msgspec.ValidationError as error:
        raise RequestError(_invalid(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid JSON: {error}")) from error
    except RecursionError as error:
        raise RequestError(Failure(kind="bad_request", message="the body is nested too deeply")) from error
    if needs_model and not head.model.strip():
        message = "the request names no model: give `model`, for example a name that `bm models` lists"
        raise RequestError(Failure(kind="bad_request", message=message, param="model"))
    return head.model, bool(head.stream)


def _invalid(text: str) -> Failure:
    """msgspec's `Expected `str`, got `int` - at `$.model`` in the words of a request."""
    problem, _, place = text.partition(" - at `$")
    param = place.rstrip("`").lstrip(".")
    where = f"`{param}`: " if param else "the body: "
    return Failure(kind="bad_request", message=where + problem[:1].lower() + problem[1:], param=param)

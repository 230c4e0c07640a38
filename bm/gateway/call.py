"""A client's call: the head of its body, and the conversation it belongs to.

A coding agent's body has hundreds of kilobytes, so parsing it costs more than routing it. What is needed here is read
from the bytes.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote

import msgspec

from bm.chat.request import ChatRequest, Loss
from bm.dispatch.target import AccountId
from bm.errors import UNREADABLE, Failure, RequestError
from bm.names import MAIN_KEY, Operation, ProtocolName
from bm.protocols.codec import IdFactory, StreamEncoder
from bm.protocols.outline import Outline
from bm.protocols.reading import json_of, object_of, string_of
from bm.protocols.registry import CODECS
from bm.protocols.words import Words, words_of
from bm.surrogates import without_halves
from bm.upstream.headers import Headers

_SESSION_HEADERS = ("x-claude-code-session-id", "session-id", "session_id", "x-session-id")
"""Claude Code; Codex in both spellings; opencode."""

_AGENT = re.compile(r"[\w.@-]{1,40}(?:/(?:Python|JS)\b)?", re.ASCII)

TOO_DEEP = Failure(kind="bad_request", message="the body is nested too deeply")
_MOST_CACHED = 200


def new_id(prefix: str) -> str:
    """A unique id: the prefix and 24 random hexadecimal digits."""
    return f"{prefix}{random.getrandbits(96):024x}"


def new_ids() -> IdFactory:
    """The ids of a response that begins now."""
    return IdFactory(new_id, int(time.time()))


class Conversation(msgspec.Struct, frozen=True):
    """`key` is the same for all turns, empty when unknown. `continues` is false for what looks like a first turn.

    The target of a first turn is chosen at random, even when an equal first turn was seen before.
    """

    key: str = ""
    continues: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What a client has asked for, in its own bytes.

    `path` is where it was sent, `query` the query string without a key. `version` is the API version in a Gemini path,
    empty for none. `array` says that a Gemini client wants its stream as a JSON array. `home` is the account that
    stores what the call follows on, and `short` the body for it alone, without what it knows. `losses` are what the
    body no longer holds of what the client sent. `key` is the name of the client's key. `words` are those of the body;
    `outline` is its outline, if it has been read and there is one.
    """

    id: str
    protocol: ProtocolName
    operation: Operation
    headers: Headers
    body: bytes
    model: str
    stream: bool
    path: str = ""
    query: str = ""
    version: str = ""
    array: bool = False
    conversation: Conversation = Conversation()
    home: AccountId | None = None
    short: bytes = b""
    losses: tuple[Loss, ...] = ()
    key: str = MAIN_KEY
    outline: Outline | None = None
    words: Words = frozenset()

    def __post_init__(self) -> None:
        if self.outline is not None and self.outline.body is not self.body:
            msgspec.structs.force_setattr(self, "outline", None)
        words = self.outline.words if self.outline is not None else words_of(self.body)
        msgspec.structs.force_setattr(self, "words", words)

    def notices(self, model: str) -> StreamEncoder:
        """An encoder that only writes keep-alives and errors, for which the body need not be decoded."""
        request = ChatRequest(protocol=self.protocol, model=self.model, turns=(), stream=True)
        return CODECS[self.protocol].stream_encoder(request, new_ids(), model=model)


Write: TypeAlias = Callable[[bytes], None]


class Client(Protocol):
    """The connection to the client."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of the response."""

    async def send(self, data: bytes) -> None:
        """Send a piece of the body."""

    @property
    def write(self) -> Write | None:
        """Sends a piece of the body at once; None if that is not possible now, or never with this client."""

    async def end(self, rest: bytes = b"") -> None:
        """Send the last piece of the body and end the response."""

    async def cut(self) -> None:
        """Break the connection, so that the client does not take what it has for a complete response."""


_Turns: TypeAlias = list[msgspec.Raw] | dict[str, msgspec.Raw] | str | float | bool | None
"""Messages, not decoded, or whatever else there is in their place."""


class Head(msgspec.Struct, frozen=True):
    """A body's model, whether the answer is to be streamed, and the members that identify the conversation."""

    model: str = ""
    stream: bool | None = False
    prompt_cache_key: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()
    system: msgspec.Raw = msgspec.Raw()
    instructions: msgspec.Raw = msgspec.Raw()
    systemInstruction: msgspec.Raw = msgspec.Raw()
    system_instruction: msgspec.Raw = msgspec.Raw()
    messages: _Turns = None
    input: _Turns = None
    contents: _Turns = None


def read_head(body: bytes, *, needs_model: bool, outline: Outline | None = None) -> Head:
    """The head of a request, out of its outline if it has one.

    Raises:
        RequestError: the body is not a JSON object or is nested too deeply, a member has the wrong type, or the model
            is missing.
    """
    try:
        head = msgspec.json.decode(body, type=Head) if outline is None else _head_in(outline)
    except msgspec.ValidationError as error:
        raise RequestError(_invalid(str(error))) from error
    except RecursionError as error:
        raise RequestError(TOO_DEEP) from error
    except UNREADABLE as error:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid JSON: {error}")) from error
    check_model(head.model)
    if needs_model and not head.model.strip():
        message = "the request names no model: give `model`, for example a name that `bm models` lists"
        raise RequestError(Failure(kind="bad_request", message=message, param="model"))
    return head


def _head_in(outline: Outline) -> Head:
    request, system = outline.request, msgspec.Raw(msgspec.json.encode(outline.request.system))
    return Head(request.model, request.stream, metadata=request.metadata, system=system, messages=outline.beginning)


def check_model(model: str) -> None:
    """Refuse a name that would not stay one name in headers, paths and logs.

    Raises:
        RequestError: it contains control characters, or `.` or `..` as a segment of a path.
    """
    # Long names are not worth the memory of the cache.
    if message := (_wrong_with if len(model) < _MOST_CACHED else _wrong_with.__wrapped__)(model):
        raise RequestError(Failure(kind="bad_request", message=message, param="model"))


@lru_cache(maxsize=256)
def _wrong_with(model: str) -> str:
    """What is wrong with a name; empty for most."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in model):
        return "the name of the model contains control characters or line breaks"
    if not {".", ".."}.isdisjoint(re.split(r"[/\\:]", unquote(model))):
        return "the name of the model contains `.` or `..` as a segment of a path"
    return ""


def _invalid(text: str) -> Failure:
    """Turn msgspec's `Expected `str`, got `int` - at `$.model`` into a message about the request."""
    problem, _, place = text.partition(" - at `$")
    param = place.rstrip("`").lstrip(".")
    where = f"`{param}`: " if param else "the body: "
    return Failure(kind="bad_request", message=where + problem[:1].lower() + problem[1:], param=param)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`.

    Raises:
        RequestError: the body is not a JSON object.
    """
    try:
        value = _decoded(body)
    except UNREADABLE as error:
        raise RequestError(Failure(kind="bad_request", message=f"the body is not valid JSON: {error}")) from error
    if not isinstance(value, dict):
        raise RequestError(Failure(kind="bad_request", message="the body is not a JSON object"))
    return value


def _decoded(body: bytes) -> Any:
    """The JSON value in `body`. Halves of characters are rare, and looking for them takes as long as decoding."""
    try:
        return msgspec.json.decode(body)
    except UNREADABLE:
        if (mended := without_halves(body)) is body:
            raise
    return msgspec.json.decode(mended)


def conversation_of(head: Head, headers: Mapping[str, str]) -> Conversation:
    """The conversation that a request belongs to; its turns stay on one target for the sake of prompt caches.

    Clients identify it by a session header, `prompt_cache_key` or Anthropic's `metadata.user_id`. Otherwise it is
    identified by its beginning, the system prompt and the first user message, which every turn repeats.
    """
    for name in _SESSION_HEADERS:
        if value := headers.get(name):
            return Conversation(f"session:{value}", continues=True)
    if (key := json_of(head.prompt_cache_key)) and isinstance(key, str):
        return Conversation(f"cache:{key}", continues=True)
    if session := _session_in(json_of(head.metadata)):
        return Conversation(f"session:{session}", continues=True)
    return _by_beginning(head)


def tool_of(headers: Headers) -> str:
    """What the user agent names: the tool, or the SDK with its language; empty if there is none.

    The SDKs of OpenAI and Anthropic say `OpenAI/Python 2.1` and `Anthropic/JS 0.60` (`user_agent` in their clients),
    other programs their name and version.
    """
    agent = next((value for name, value in headers if name == "user-agent"), "")
    found = _AGENT.match(agent)
    return found[0] if found else ""


def _session_in(metadata: Any) -> str:
    """The session in `metadata.user_id`: Claude Code's JSON text, or its older `…_session_ID`."""
    user = string_of(object_of(metadata).get("user_id"))
    if user.startswith("{"):
        return str(object_of(json_of(user)).get("session_id") or "")
    return user.partition("_session_")[2]


def _by_beginning(head: Head) -> Conversation:
    try:
        turns = head.messages or head.contents or head.input
        turns = turns if isinstance(turns, list) else []
        digest = hashlib.sha256()
        for system in (head.system, head.instructions, head.systemInstruction, head.system_instruction):
            if bytes(system):
                digest.update(_texts(msgspec.json.decode(system)))
        for count, turn in enumerate(turns, 1):
            message = msgspec.json.decode(turn)
            digest.update(_texts(message))
            if isinstance(message, dict) and message.get("role", "user") == "user":
                return Conversation(f"start:{digest.hexdigest()[:24]}", continues=count < len(turns))
    except UNREADABLE:
        return Conversation()
    return Conversation()


def _texts(value: Any) -> bytes:
    """All texts in a message, without marks such as `cache_control`, which move from turn to turn."""
    match value:
        case str():
            return value.encode("utf-8", "surrogatepass") + b"\x00"
        case list():
            return b"".join(_texts(item) for item in value)
        case dict():
            return b"".join(_texts(value[name]) for name in ("text", "content", "parts") if name in value)
        case _:
            return b""

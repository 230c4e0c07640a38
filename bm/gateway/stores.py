"""What clients lose between turns: signatures of parts, and earlier responses that are only named.

Each store has the latest in memory. Several nodes of bm find what they lack `elsewhere`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

import msgspec

from bm.chat.parts import Json, Part, Text, ToolCall
from bm.chat.request import ChatRequest, Turn
from bm.chat.signature import Signature, text_key
from bm.dispatch.target import AccountId
from bm.gateway.call import Call, json_object
from bm.protocols.openai_responses.items import continued, input_items, output_items, without_identity
from bm.protocols.reading import json_of, object_of, string_of

MAX_BYTES = 16 * 1024 * 1024
"""Memory that each store may use."""
MAX_SIGNATURES = 10_000
"""Signatures that are kept; about as many as are saved over a restart. Small ones cost more memory than their bytes."""
MAX_DEPTH = 1_000
"""Earlier responses that are followed back."""
STORING = frozenset({"openai", "xai"})
"""Dialects of services that store responses (OpenAI's and xAI's API references, 2026-11)."""
LINKS = 64
"""Earlier responses that are named beside each one for other nodes, which then ask for all of them at once."""
_TEXT = "text:"
_PREVIOUS = b'"previous_response_id"'
Kind = Literal["signature", "response", "interaction"]
Value = TypeVar("Value")


class Elsewhere(Protocol):
    """What all nodes have stored. It is asked for what this node lacks, and gets what this one stores."""

    def put(self, kind: Kind, name: str, value: bytes) -> None:
        """Store a value for all nodes, without waiting."""

    def drop(self, kind: Kind, name: str) -> None:
        """Store a value no longer, on any node."""

    async def find(self, kind: Kind, names: Sequence[str]) -> Mapping[str, bytes] | None:
        """Those of the values that are stored; None if there is no answer within a short time."""

    async def settled(self) -> None:
        """Return once all nodes find what was put, or after a short time."""


class _Latest(OrderedDict[str, Value]):
    """The values put in or moved to the end last: up to `max_bytes` of them, which `size` measures, and `most`."""

    def __init__(self, max_bytes: int, size: Callable[[Value], int], most: int | None = None) -> None:
        super().__init__()
        self._max_bytes, self._size, self._bytes = max_bytes, size, 0
        self._most = most
        self._new: dict[str, None] = {}

    def put(self, name: str, value: Value) -> None:
        self.drop(name)
        self[name] = value
        self._new[name] = None
        self._bytes += self._size(value)
        while self._bytes > self._max_bytes or (self._most is not None and len(self) > self._most):
            self.drop(next(iter(self)))

    def drop(self, name: str) -> None:
        self._new.pop(name, None)
        if name in self:
            self._bytes -= self._size(self.pop(name))

    def take_new(self, max_bytes: int) -> dict[str, Value]:
        """Values put in that no earlier call of this function has given, at least one and up to `max_bytes` of them."""
        found: dict[str, Value] = {}
        size = 0
        while self._new and size < max_bytes:
            name = next(iter(self._new))
            del self._new[name]
            found[name] = self[name]
            size += self._size(self[name])
        return found


class Kept(msgspec.Struct, frozen=True):
    """One signature, as it is written to disk."""

    key: str
    signature: Signature


class SignatureStore:
    """The latest signatures, up to `max_bytes` of them, and `most` in number.

    A tool call's signature is stored by the call's id, which is unique; a text's by its conversation and its words.
    Any wider key, such as "the latest signature", would leak signatures from one conversation into another.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, most: int = MAX_SIGNATURES) -> None:
        self.elsewhere: Elsewhere | None = None
        self._kept = _Latest[Signature](max_bytes, lambda signature: len(signature.value), most)
        self._unsigned = _Latest[None](0, lambda _: 0, most)
        self._new: list[Kept] = []
        self._texts = False

    def keep(self, signatures: Mapping[str, Signature], conversation: str = "") -> None:
        """Store signatures by call id or `text_key`. A text's needs a known conversation."""
        for name, signature in signatures.items():
            if key := _key(name, conversation):
                self.add((Kept(key, signature),))
                if self.elsewhere is not None:
                    self.elsewhere.put("signature", key, msgspec.msgpack.encode(signature))

    def add(self, kept: Iterable[Kept]) -> None:
        """Store signatures by their whole keys."""
        for each in kept:
            self._put(each.key, each.signature)
            self._new.append(each)

    def _put(self, key: str, signature: Signature) -> None:
        self._kept.put(key, signature)
        self._texts = self._texts or _TEXT in key

    def restore(self, kept: Iterable[Kept]) -> None:
        """Take over what an earlier run has stored, the oldest first."""
        for each in kept:
            self._put(each.key, each.signature)

    def take_new(self) -> list[Kept]:
        """What was stored since the last call of this function."""
        new, self._new = self._new, []
        return new

    def latest(self, max_bytes: int) -> list[Kept]:
        """The latest signatures, up to `max_bytes` of them, the oldest first."""
        found: list[Kept] = []
        size = 0
        for key, signature in reversed(self._kept.items()):
            size += len(signature.value)
            if size > max_bytes:
                break
            found.append(Kept(key, signature))
        return found[::-1]

    def sign(self, request: ChatRequest, conversation: str = "") -> ChatRequest:
        """The request with the signatures that its calls and texts have lost."""
        if not self._kept:
            return request
        turns = tuple(self._sign_turn(turn, conversation) for turn in request.turns)
        return msgspec.structs.replace(request, turns=turns)

    def note_unsigned(self, names: Iterable[str], conversation: str = "") -> None:
        """These call ids and text keys have no signature: no other node need be asked for one."""
        for name in names:
            self._unsigned.put(_key(name, conversation), None)

    async def recall(self, request: ChatRequest, conversation: str = "") -> ChatRequest:
        """The request with the signatures that its parts have lost and other nodes know. Each is asked for once."""
        if self.elsewhere is None:
            return request
        parts = [part for turn in request.turns if turn.role == "assistant" for part in turn.parts]
        keys = {key: None for part in parts if (key := _lost(part, conversation))}
        names = [key for key in keys if key not in self._kept and key not in self._unsigned]
        if not names:
            return request
        found = await self.elsewhere.find("signature", names)
        if found is None:
            return request
        self.add(Kept(key, msgspec.msgpack.decode(value, type=Signature)) for key, value in found.items())
        self.note_unsigned(name for name in names if name not in found)
        return self.sign(request, conversation) if found else request

    def _sign_turn(self, turn: Turn, conversation: str) -> Turn:
        if turn.role != "assistant":
            return turn
        keys = [self._lost_key(part, conversation) for part in turn.parts]
        if not any(keys):
            return turn
        return Turn(turn.role, tuple(self._sign_part(part, key) for part, key in zip(turn.parts, keys, strict=True)))

    def _lost_key(self, part: Part, conversation: str) -> str:
        """The key of the signature that a part has lost; empty when it has lost none."""
        if isinstance(part, Text) and not self._texts:
            return ""
        key = _lost(part, conversation)
        return key if key in self._kept else ""

    def _sign_part(self, part: Part, key: str) -> Part:
        if not key:
            return part
        self._kept.move_to_end(key)
        return msgspec.structs.replace(part, signature=self._kept[key])


def _lost(part: Part, conversation: str) -> str:
    """The key of the signature that a part may have had; empty if it has one, or never had one."""
    match part:
        case ToolCall(signature=None, id=call_id):
            return call_id
        case Text(signature=None, text=text) if text:
            return _key(text_key(text), conversation)
        case _:
            return ""


def _key(name: str, conversation: str) -> str:
    if not name.startswith(_TEXT):
        return name
    return f"{conversation} {name}" if conversation else ""


class _Named(Generic[Value]):
    """Values that clients name, and may delete."""

    kind: ClassVar[Kind]

    def __init__(self, max_bytes: int, size: Callable[[Value], int]) -> None:
        self.elsewhere: Elsewhere | None = None
        self._kept = _Latest[Value](max_bytes, size)

    def take_new(self, max_bytes: int) -> dict[str, Value]:
        """Stored values that no earlier call of this function has given."""
        return self._kept.take_new(max_bytes)

    def restore(self, kept: Mapping[str, Value]) -> None:
        """Take over what another daemon has stored."""
        for name, value in kept.items():
            self._kept.put(name, value)

    def drop(self, name: str) -> None:
        """Store a value no longer, on any node."""
        self.forget(name)
        if self.elsewhere is not None:
            self.elsewhere.drop(self.kind, name)

    def forget(self, name: str) -> None:
        """Store a value here no longer."""
        self._kept.drop(name)


class InteractionStore(_Named[bytes]):
    """The latest interactions, for clients that name one later; each with the steps of its whole conversation."""

    kind = "interaction"

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(max_bytes, len)

    def keep(self, interaction: Json, earlier: list[Json]) -> None:
        """Store an interaction and the steps before its own."""
        name, value = interaction["id"], msgspec.json.encode((interaction, earlier))
        self._kept.put(name, value)
        if self.elsewhere is not None:
            self.elsewhere.put("interaction", name, value)

    async def recall(self, name: str) -> None:
        """Ask other nodes for an interaction that this one lacks."""
        if self.elsewhere is not None and name not in self._kept:
            self.restore(await self.elsewhere.find("interaction", [name]) or {})

    def get(self, name: str) -> tuple[Json, list[Json]] | None:
        """An interaction and the steps before its own; None when it is not stored, or no longer."""
        kept = self._kept.get(name)
        return None if kept is None else msgspec.json.decode(kept, type=tuple[Json, list[Json]])


class _Stored(msgspec.Struct):
    store: Any = None


def is_stored(body: bytes) -> bool:
    """Whether a request of the Responses API lets its response be stored."""
    return msgspec.json.decode(body, type=_Stored).store is not False


class StoredExchange(msgspec.Struct, frozen=True):
    """The encoded items of a request and its response, the response, and the id of the response before.

    `account` keeps the response itself, by its own id; None where it was made here.
    """

    items: bytes
    response: bytes
    inputs: int
    previous: str
    account: AccountId | None = None

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self.items) + len(self.response)


class _Linked(msgspec.Struct, frozen=True, array_like=True):
    """An exchange for other nodes, with the ids of the latest responses before it."""

    exchange: StoredExchange
    before: tuple[str, ...]


class ResponseStore(_Named[StoredExchange]):
    """The latest exchanges of the Responses API, for clients that name one by `previous_response_id`."""

    kind = "response"

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(max_bytes, lambda kept: kept.size)

    def keep(self, body: bytes, response: Json, account: AccountId | None = None) -> None:
        """Store an exchange, unless the client has set `store` to false. `account` is the one that stores it itself."""
        name = response.get("id")
        if not isinstance(name, str) or name in self._kept or not is_stored(body):
            return
        request = json_object(body)
        sent = input_items(request)
        kept = StoredExchange(
            items=msgspec.json.encode([*sent, *output_items(response)]),
            response=msgspec.json.encode(response) if account is None else b"",
            inputs=len(sent),
            previous=string_of(request.get("previous_response_id")),
            account=account,
        )
        self._kept.put(name, kept)
        if self.elsewhere is not None:
            linked = _Linked(kept, tuple(self._before(kept)))
            self.elsewhere.put("response", name, msgspec.msgpack.encode(linked))

    def _before(self, kept: StoredExchange) -> Iterator[str]:
        """The ids of the latest responses before an exchange, as far as they are known."""
        for _ in range(LINKS):
            if not kept.previous:
                return
            yield kept.previous
            if (earlier := self._kept.get(kept.previous)) is None:
                return
            kept = earlier

    async def recall(self, name: str) -> None:
        """Ask other nodes for a response and those before it, as far as this one lacks them."""
        for _ in range(MAX_DEPTH // LINKS + 1):
            lacking = self._lacking(name)
            if not lacking or not (found := await self._find([lacking])):
                return
            await self._find([each for each in found[0].before if each not in self._kept])

    def _lacking(self, name: str) -> str:
        """The latest response of a conversation that is not stored here; empty if all are."""
        for _ in range(MAX_DEPTH):
            if not name or (kept := self._kept.get(name)) is None:
                return name
            name = kept.previous
        return ""

    async def _find(self, names: Sequence[str]) -> list[_Linked]:
        """Take over responses from other nodes."""
        if self.elsewhere is None or not names:
            return []
        found = await self.elsewhere.find("response", names) or {}
        linked = {name: msgspec.msgpack.decode(value, type=_Linked) for name, value in found.items()}
        self.restore({name: each.exchange for name, each in linked.items()})
        return list(linked.values())

    def get(self, name: str) -> StoredExchange | None:
        """The exchange that ended in a response; None when it is not stored, or no longer."""
        return self._kept.get(name)

    def items(self, name: str) -> list[Json] | None:
        """All items of the conversation up to a response; None when any of them is no longer stored."""
        found: list[Json] = []
        for _ in range(MAX_DEPTH):
            kept = self._kept.get(name)
            if kept is None:
                return None
            self._kept.move_to_end(name)
            found = [*msgspec.json.decode(kept.items), *found]
            if not kept.previous:
                return found
            name = kept.previous
        return None

    def complete(self, call: Call) -> Call:
        """The call with the conversation that its `previous_response_id` names in its body.

        The call stays as it is when the response is not stored: the upstream may know it.
        """
        if not _names_previous(call):
            return call
        body = object_of(json_of(call.body))
        name = string_of(body.get("previous_response_id"))
        earlier, kept = self.items(name), self.get(name)
        if earlier is None or kept is None:
            return call
        whole = continued(body, earlier)
        if kept.account is not None:
            whole["input"] = without_identity(whole["input"])
        return msgspec.structs.replace(call, body=msgspec.json.encode(whole), home=kept.account, short=call.body)

    async def recalled(self, call: Call) -> None:
        """Ask other nodes for the conversation that the call's `previous_response_id` names."""
        if self.elsewhere is not None and _names_previous(call):
            await self.recall(string_of(object_of(json_of(call.body)).get("previous_response_id")))


def _names_previous(call: Call) -> bool:
    return call.protocol == "openai-responses" and _PREVIOUS in call.body

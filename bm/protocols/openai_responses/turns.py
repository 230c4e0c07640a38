"""Items of a conversation read as turns. The items of an answer are read alike."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bm.chat import signature as signatures
from bm.chat.parts import Json, Opaque, Part, Text, Thinking, ToolCall
from bm.chat.request import Role, Tool, Turn
from bm.chat.signature import Signature, unwrap
from bm.errors import Failure, RequestError
from bm.protocols.openai_responses.calls import decode_call, decode_result
from bm.protocols.openai_responses.citations import PROTOCOL, decode_search
from bm.protocols.openai_responses.content import decode_content
from bm.protocols.openai_responses.tools import decode_tools
from bm.protocols.reading import objects_of, refuse, string_of

_FROM_CLIENT = {
    "computer_call_output",
    "mcp_approval_response",
    "configuration_update",
    "compaction_trigger",
    "shell_call_output",
}
"""Items of no other protocol that the client, not the model, wrote."""


def not_found(message: str, place: str, code: str) -> RequestError:
    """The error for a reference to what is not kept here, in OpenAI's own words, which clients look for."""
    return RequestError(Failure(kind="bad_request", message=message, param=place, code=code))


class Conversation:
    """Gathers items into turns: neighbours of one role are one turn, instructions before the first are the system's.

    `tools` are those that items of the conversation define.
    """

    def __init__(self) -> None:
        self.system: list[Text] = []
        self.tools: list[Tool] = []
        self._turns: list[tuple[Role, list[Part]]] = []
        self._next_signature: Signature | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """What was said so far."""
        return tuple(Turn(role, tuple(parts)) for role, parts in self._turns)

    def add(self, item: Json, path: str) -> None:
        """Take one item.

        Raises:
            RequestError: it is none, or refers to something that is not here.
        """
        match item:
            case {"type": "message", "role": _} | {"role": _, "content": _}:
                self._message(item, path)
            case {"type": "reasoning"}:
                self._reasoning(item)
            case {"type": "item_reference", "id": ref} | {"type": None, "id": ref}:
                raise not_found(f"Item with id '{ref}' not found.", path, "item_not_found")
            case {"type": "additional_tools"}:
                self.tools += decode_tools(item, path)[0]
            case {"type": str(kind)}:
                self._other(kind, item, path)
            case {"id": str(ref)}:
                raise not_found(f"Item with id '{ref}' not found.", path, "item_not_found")
            case _:
                raise refuse(path, "expected an item with a type or a role")

    def _message(self, item: Json, path: str) -> None:
        role = item.get("role")
        parts = decode_content(item.get("content"), f"{path}.content")
        match role:
            case "user":
                self._append("user", parts)
            case "assistant":
                self._append("assistant", [part for part in parts if part != Text("")])
            case "system" | "developer":
                texts = [part for part in parts if isinstance(part, Text)]
                if self._turns or len(texts) < len(parts):
                    self._append("system", parts)
                else:
                    self.system += texts
            case _:
                raise refuse(f"{path}.role", "expected the role user, assistant, system or developer")

    def _reasoning(self, item: Json) -> None:
        carried = unwrap(string_of(item.get("encrypted_content")))
        thinking = decode_reasoning(item)
        match carried:
            case (signature, signatures.NEXT):
                self._next_signature = signature
            case (signature, signatures.PREVIOUS):
                self._sign_previous(signature)
            case _:
                pass
        if thinking is not None:
            self._append("assistant", [thinking])

    def _sign_previous(self, signature: Signature) -> None:
        if self._turns and self._turns[-1][0] == "assistant":
            parts = self._turns[-1][1]
            parts[-1] = _signed(parts[-1], signature)

    def _other(self, kind: str, item: Json, path: str) -> None:
        if (call := decode_call(item, path)) is not None:
            self._append("assistant", [call])
        elif (result := decode_result(item, path)) is not None and not self._hosted_shell(item):
            self._append("user", [result])
        else:
            if kind == "tool_search_output":
                self.tools += decode_tools(item, path, loaded=True)[0]
            client = kind in _FROM_CLIENT or (kind == "tool_search_output" and item.get("execution") == "client")
            self._append("user" if client else "assistant", [_of_vendor(kind, item)])

    def _hosted_shell(self, item: Json) -> bool:
        """Whether this is the output of a shell that OpenAI ran, whose call is no call of the client's."""
        if item.get("type") != "shell_call_output" or not self._turns:
            return False
        last = self._turns[-1][1]
        return any(isinstance(p, Opaque) and p.raw.get("call_id") == item.get("call_id") for p in last)

    def _append(self, role: Role, parts: Sequence[Part]) -> None:
        if not parts:
            return
        new = list(parts)
        if role == "assistant" and self._next_signature is not None and not isinstance(new[0], Thinking):
            new[0] = _signed(new[0], self._next_signature)
            self._next_signature = None
        elif role != "assistant":
            self._next_signature = None
        if self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(new)
        else:
            self._turns.append((role, new))


def _signed(part: Part, signature: Signature) -> Part:
    return msgspec.structs.replace(part, signature=signature) if isinstance(part, Text | ToolCall) else part


def decode_reasoning(item: Json) -> Thinking | None:
    """The thinking in a reasoning item; None when there is nothing to see and nothing to hand back."""
    text = reasoning_text(item)
    encrypted = string_of(item.get("encrypted_content"))
    if not encrypted:
        return Thinking(text) if text else None
    match unwrap(encrypted):
        case None:
            return Thinking(text, Signature("openai", encrypted))
        case (signature, signatures.SELF):
            return Thinking(text, signature)
        case (signature, signatures.REDACTED):
            return Thinking("", signature, redacted=True)
        case _:
            return Thinking(text) if text else None


def reasoning_text(item: Json) -> str:
    """The summaries of a reasoning item, or its full text where the service shows that instead."""
    for field in ("summary", "content"):
        if texts := [text for part in objects_of(item.get(field)) if (text := string_of(part.get("text")))]:
            return "\n\n".join(texts)
    return ""


def decode_output(item: Json, path: str) -> tuple[Part, ...]:
    """The parts of one item of an answer; what OpenAI itself ran stays as it is."""
    if item.get("type") == "message":
        return decode_content(item.get("content") or [], f"{path}.content")
    if item.get("type") == "reasoning":
        thinking = decode_reasoning(item)
        return () if thinking is None else (thinking,)
    call = decode_call(item, path)
    return (_of_vendor(str(item.get("type")), item) if call is None else call,)


def _of_vendor(kind: str, item: Json) -> Opaque:
    match kind:
        case "web_search_call":
            return decode_search(item)
        case "code_interpreter_call":
            return Opaque(PROTOCOL, kind, item, _code(item))
        case _:
            return Opaque(PROTOCOL, kind, item)


def _code(item: Json) -> str:
    """The code that OpenAI ran, and what it printed, for those who have no such item."""
    texts = (item.get("code"), *(row.get("logs") for row in objects_of(item.get("outputs"))))
    return "\n".join(f"```\n{text}\n```" for text in map(string_of, texts) if text)

"""Turns, read from a client's items and written as an upstream's."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bm.chat import signature as signatures
from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult, signed
from bm.chat.repair import next_call, paired
from bm.chat.request import ChatRequest, Loss, Role, Turn
from bm.chat.signature import Signature, accepted, unwrap
from bm.errors import Failure, RequestError
from bm.names import CHAT, RESPONSES
from bm.protocols.compaction import COMPACTIONS, TRIGGER, readable
from bm.protocols.openai.content import decode_content, responses_objection
from bm.protocols.openai_responses import items
from bm.protocols.openai_responses.thinking import decode_thinking
from bm.protocols.openai_responses.tools import Names, by_name
from bm.protocols.reading import refuse, string_of
from bm.protocols.tools import legal_call_id
from bm.protocols.turns import Expressible

_SAID = {"type": "message", "role": "assistant", "status": "completed"}
_FROM_CLIENT = {
    "computer_call_output", "mcp_approval_response", "agent_message", *COMPACTIONS, TRIGGER, "shell_call_output"
}  # fmt: skip
"""Items without a counterpart in other protocols that the client wrote, not the model."""


def not_found(message: str, place: str, code: str) -> RequestError:
    """The error for a reference to something not stored here, in OpenAI's words, which clients look for."""
    return RequestError(Failure(kind="bad_request", message=message, param=place, code=code))


class TurnReader:
    """Gathers items into turns: neighbours of one role are one turn, instructions before the first are the system's.

    `names` are the canonical names of tools that differ from their namespace and name.
    """

    def __init__(self, names: Names) -> None:
        self.system: list[Text] = []
        self._names = names
        self._turns: list[tuple[Role, list[Part]]] = []
        self._next_signature: Signature | None = None

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far."""
        return tuple(Turn(role, tuple(parts)) for role, parts in self._turns)

    def add(self, item: Json, path: str) -> None:
        """Take one item."""
        match item:
            case {"type": "function_call" | "function_call_output" as kind} if "role" not in item:
                self._other(kind, item, path)
            case {"type": "message", "role": _} | {"role": _, "content": _}:
                self._message(item, path)
            case {"type": "reasoning"}:
                self._reasoning(item)
            case {"type": "additional_tools" | "configuration_update"}:
                # They say what the request's own members say.
                pass
            case {"type": str(kind)} if kind != "item_reference":
                self._other(kind, item, path)
            case {"id": str(ref)}:
                raise not_found(f"Item with id '{ref}' not found.", path, "item_not_found")
            case _:
                raise refuse(path, "expected an item with a type or a role")

    def _message(self, item: Json, path: str) -> None:
        role = item.get("role")
        parts = decode_content(item.get("content"), f"{path}.content", RESPONSES)
        match role:
            case "user":
                self._append("user", parts)
            case "assistant":
                phase = string_of(item.get("phase"))
                self._append("assistant", [_in_phase(part, phase) for part in parts] if phase else parts)
            case "system" | "developer":
                texts = [part for part in parts if isinstance(part, Text)]
                if self._turns or len(texts) < len(parts):
                    self._append("system", parts)
                else:
                    self.system += texts
            case _:
                raise refuse(f"{path}.role", "expected the role user, assistant, system or developer")

    def _reasoning(self, item: Json) -> None:
        match unwrap(string_of(item.get("encrypted_content"))):
            case (signature, signatures.NEXT):
                self._next_signature = signature
            case (signature, signatures.PREVIOUS) if self._turns and self._turns[-1][0] == "assistant":
                parts = self._turns[-1][1]
                parts[-1] = signed(parts[-1], signature)
        if (thinking := decode_thinking(item)) is not None:
            self._append("assistant", [thinking])

    def _other(self, kind: str, item: Json, path: str) -> None:
        if item.get("call_id") == "":
            item = self._with_call_id(kind, item)
        if (call := items.decode_call(item, path, self._names)) is not None:
            self._append("assistant", [call])
        elif (result := items.decode_result(item, path)) is not None and not self._hosted_shell(item):
            self._append("user", [result])
        else:
            self._append("user" if kind in _FROM_CLIENT else "assistant", [items.of_vendor(kind, item)])

    def _with_call_id(self, kind: str, item: Json) -> Json:
        """An item whose `call_id` is empty: a call under its own id or a made one, or the result of the next call."""
        if not kind.endswith("_output"):
            return {**item, "call_id": item.get("id") or f"call_{len(self._turns)}"}
        call = next_call(self.turns)
        return item if call is None else {**item, "call_id": call.id}

    def _hosted_shell(self, item: Json) -> bool:
        """Whether this is the output of a shell that OpenAI ran, not the client."""
        if item.get("type") != "shell_call_output" or not self._turns:
            return False
        last = self._turns[-1][1]
        return any(isinstance(p, Opaque) and p.raw.get("call_id") == item.get("call_id") for p in last)

    def _append(self, role: Role, parts: Sequence[Part]) -> None:
        if not parts:
            return
        new = list(parts)
        if role == "assistant" and self._next_signature is not None and not isinstance(new[0], Thinking):
            new[0] = signed(new[0], self._next_signature)
            self._next_signature = None
        elif role != "assistant":
            self._next_signature = None
        if self._turns and self._turns[-1][0] == role:
            self._turns[-1][1].extend(new)
        else:
            self._turns.append((role, new))


class TurnWriter:
    """Writes turns as items. `encrypted` says whether any of OpenAI's own thinking is among them."""

    def __init__(
        self, request: ChatRequest, capabilities: Capabilities, losses: list[Loss], instruction: str = ""
    ) -> None:
        self.items: list[Json] = []
        self.encrypted = False
        self._request, self._capabilities = request, capabilities
        self._tools = by_name(request)
        self._calls: dict[str, Json] = {}
        self._developer = "developer" if capabilities.dialect.name == "openai" else "system"
        self._system = (*request.system, *([Text(instruction)] if instruction else ()))
        if self._system[1:] or not request.turns:
            self._message(self._developer, self._system[1 if request.turns else 0 :])
        known = Expressible(RESPONSES, self._objection, lambda part: self._accepted(part) is not None)
        for turn in paired(known.turns(request, losses)):
            self._turn(turn)

    def head(self) -> Json:
        """The system prompt's first text; further ones stand as a developer's message before the conversation."""
        return {"instructions": self._system[0].text} if self._system and self._request.turns else {}

    def _objection(self, media: Media) -> str:
        if media.file_id and self._request.protocol not in (RESPONSES, CHAT):
            return "a file uploaded to another vendor is unknown to OpenAI"
        return responses_objection(media, self._capabilities)

    def _accepted(self, part: Thinking) -> Signature | None:
        return accepted(part.signature, "openai", self._capabilities.dialect.name)

    def _turn(self, turn: Turn) -> None:
        if turn.role == "assistant":
            for part in _thinking_first(turn.parts):
                self._assistant(part)
            return
        shown = [media for part in turn.parts if isinstance(part, ToolResult) for media in self._result(part)]
        said = [part for part in turn.parts if not isinstance(part, ToolResult)]
        self._message("user" if turn.role == "user" else self._developer, [*shown, *said])

    def _message(self, role: str, parts: Sequence[Part]) -> None:
        content: list[Json] = []
        for part in parts:
            match part:
                case Opaque() if not items.is_content(part):
                    self._flush(role, content)
                    content = []
                    self.items.append(readable(part.raw))
                case Text() | Media() | Opaque():
                    content.append(items.encode_content(part))
                case Refusal(text=text):
                    content.append(items.encode_content(Text(text)))
        self._flush(role, content)

    def _flush(self, role: str, content: list[Json]) -> None:
        if content:
            self.items.append({"type": "message", "role": role, "content": content})

    def _assistant(self, part: Part) -> None:
        match part:
            case Text(text=""):
                pass
            case Text(text=text, citations=citations) if citations and self._request.protocol == RESPONSES:
                notes = [cited.raw for cited in citations]
                self._said({"type": "output_text", "text": text, "annotations": notes}, part.phase)
            case Text(text=text, phase=phase):
                self.items.append({"type": "message", "role": "assistant", "content": text, **self._phase(phase)})
            case Refusal(text=text):
                self._said({"type": "refusal", "refusal": text})
            case Thinking():
                self._thinking(part)
            case ToolCall():
                item = items.encode_call(part, legal_call_id(part.id), self._tools)
                self._calls[part.id] = item
                self.items.append({"id": item["call_id"], **item} if item["type"] == "local_shell_call" else item)
            case Opaque() if items.is_content(part):
                self._said(part.raw)
            case Opaque():
                self.items.append(readable(part.raw))

    def _said(self, content: Json, phase: str = "") -> None:
        self.items.append({**_SAID, "content": [content], **self._phase(phase)})

    def _phase(self, phase: str) -> Json:
        """The member that OpenAI wants back unchanged, and other services do not know."""
        return {"phase": phase} if phase and self._capabilities.dialect.name == "openai" else {}

    def _thinking(self, part: Thinking) -> None:
        if (signature := self._accepted(part)) is None:
            return
        self.encrypted = True
        summary = [{"type": "summary_text", "text": part.text}] if part.text else []
        # An id that is not the one the content was encrypted under makes OpenAI refuse it; none at all is accepted.
        self.items.append({"type": "reasoning", "summary": summary, "encrypted_content": signature.value})

    def _result(self, result: ToolResult) -> list[Media]:
        """Write an answer; return the media in it that a user's message must show instead."""
        parts = items.result_parts(result)
        shown: list[Media] = []
        if not self._capabilities.media_in_results:
            shown = [part for part in parts if isinstance(part, Media)]
            parts = [part for part in parts if not isinstance(part, Media)]
        match parts:
            case []:
                output: str | list[Json] = ""
            case [Text(text=text)]:
                output = text
            case _:
                output = [items.encode_content(part) for part in parts]
        self.items.append(items.encode_result(result, output, self._calls.get(result.call_id)))
        return shown


def _in_phase(part: Part, phase: str) -> Part:
    return msgspec.structs.replace(part, phase=phase) if isinstance(part, Text) else part


def _thinking_first(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts with the thinking that stands at their end put first: it came late, and leads to what follows."""
    end = len(parts)
    while end and isinstance(late := parts[end - 1], Thinking) and not late.text:
        end -= 1
    return (*parts[end:], *parts[:end])

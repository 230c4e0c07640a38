"""Turns, written as messages for an upstream.

Chat Completions keeps no order between text, thinking and calls, knows no failed results and mostly no media in
results; what is lost of that is either put into words or has no meaning to a model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Opaque, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from bm.chat.repair import inline_system, paired
from bm.chat.request import ChatRequest, Loss, Turn
from bm.chat.response import parse_arguments
from bm.protocols.call_ids import clean
from bm.protocols.openai_chat.content import PROTOCOL, encode_media, why_not
from bm.protocols.openai_chat.signatures import accepts, write_signature
from bm.protocols.openai_chat.tools import TOOL_SEARCH
from bm.protocols.reading import refuse

ERROR_PREFIX = "Error: "
"""Chat Completions has no flag for a failed tool."""
MEDIA_FOLLOW = "(the content is attached to the next message)"
ACKNOWLEDGED = "OK"
"""What the assistant says between results and the user, where it must say something."""
EMPTY_PROMPT = "(begin)"
"""Some services refuse a request without a user message."""


class Writer:
    """Writes the messages of one request. `losses` grows as it goes."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.messages: list[Json] = []
        self.losses: list[Loss] = []
        self._capabilities = capabilities
        self._dialect = capabilities.dialect
        self._openai = capabilities.dialect.name == "openai"

    def write(self, request: ChatRequest, instruction: str = "") -> None:
        """Write the system prompt, with `instruction` after it, and all turns.

        Raises:
            RequestError: the user sends media that the model does not take.
        """
        texts = [part.text for part in request.system if part.text]
        if instruction:
            texts.append(instruction)
        if texts:
            self.messages.append({"role": "system", "content": "\n\n".join(texts)})
        turns = request.turns
        if not (self._openai or self._capabilities.system_turns):
            turns = inline_system(turns)
        for number, turn in enumerate(paired(turns)):
            self._turn(turn, f"messages[{number}]")
        last = self.messages[-1] if self.messages else {}
        if last.get("role") == "assistant" and "tool_calls" not in last and "prefix" in self._dialect.takes:
            last["prefix"] = True
        if not self._openai and all(message["role"] == "system" for message in self.messages):
            self.messages.append({"role": "user", "content": EMPTY_PROMPT})

    def _turn(self, turn: Turn, where: str) -> None:
        match turn.role:
            case "assistant":
                self._assistant(turn.parts, where)
            case "user":
                self._user(turn.parts, where)
            case "system":
                text = "\n\n".join(part.text for part in turn.parts if isinstance(part, Text))
                self.messages.append({"role": "system", "content": text})

    def _assistant(self, parts: Sequence[Part], where: str) -> None:
        message: Json = {"role": "assistant"}
        texts = self._said(parts, where)
        if texts:
            # A cited answer comes in pieces that belong together, other texts are separate.
            gap = "" if any(text.citations for text in texts) else "\n\n"
            message["content"] = gap.join(text.text for text in texts)
        refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
        if refusal and self._openai:
            message["refusal"] = refusal
        calls = [self._call(part) for part in parts if isinstance(part, ToolCall)]
        if calls:
            message["tool_calls"] = calls
        thinking = "\n\n".join(part.text for part in parts if isinstance(part, Thinking) and part.text)
        if thinking and self._dialect.history_thinking:
            message[self._dialect.history_thinking] = thinking
        if len(message) == 1:
            return
        if "content" not in message and not calls:
            message["content"] = ""
        if not calls:
            message |= self._signature(texts)
        self.messages.append(message)

    def _said(self, parts: Sequence[Part], where: str) -> list[Text]:
        """The assistant's words. Thinking that the service has no place for is left out: it instructs nobody."""
        texts: list[Text] = []
        for number, part in enumerate(parts):
            place = f"{where}.content[{number}]"
            match part:
                case Text(text=text) if text:
                    texts.append(part)
                case Refusal(text=text) if not self._openai:
                    texts.append(Text(text))
                case Media(kind=kind):
                    self.losses.append(Loss(f"{place} ({kind})", "Chat Completions takes no media of the assistant's"))
                case Opaque():
                    texts += [Text(summary) for summary in self._summary(part, place)]
                case _:
                    pass
        return texts

    def _signature(self, texts: list[Text]) -> Json:
        for text in reversed(texts):
            if accepts(text.signature, self._capabilities):
                return write_signature(text.signature)
        return {}

    def _call(self, call: ToolCall) -> Json:
        head: Json = {"id": self._id(call.id), "type": "function"}
        if call.kind == "custom" and self._openai:
            return head | {"type": "custom", "custom": {"name": call.name, "input": call.raw}}
        head["function"] = {"name": call.name, "arguments": arguments_text(call)}
        if accepts(call.signature, self._capabilities):
            head |= write_signature(call.signature)
        return head

    def _id(self, call_id: str) -> str:
        """An id that the service takes, the same for a call and its result."""
        length = self._dialect.call_id_length
        if not length or (len(call_id) == length and call_id.isalnum() and call_id.isascii()):
            return clean(call_id)
        return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:length]

    def _user(self, parts: Sequence[Part], where: str) -> None:
        content: list[Json] = []
        for number, part in enumerate(parts):
            place = f"{where}.content[{number}]"
            match part:
                case ToolResult():
                    content += self._result(part, place)
                case Text(text=text) if text:
                    content.append({"type": "text", "text": text})
                case Media():
                    reason = why_not(part, self._capabilities)
                    if reason:
                        raise refuse(f"{place} ({part.kind})", reason, code="unsupported_content")
                    content.append(encode_media(part))
                case Opaque():
                    content += self._opaque(part, place)
                case _:
                    pass
        if not content:
            return
        if self.messages and self.messages[-1]["role"] == "tool" and not self._dialect.user_after_tool:
            self.messages.append({"role": "assistant", "content": ACKNOWLEDGED})
        self.messages.append({"role": "user", "content": self._content(content)})

    def _content(self, content: list[Json]) -> str | list[Json]:
        if len(content) == 1 and content[0]["type"] == "text":
            return str(content[0]["text"])
        if self._dialect.plain_content and all(part["type"] == "text" for part in content):
            return "\n\n".join(part["text"] for part in content)
        return content

    def _opaque(self, part: Opaque, place: str) -> list[Json]:
        if part.protocol == PROTOCOL and "type" in part.raw:
            return [part.raw]
        return [{"type": "text", "text": summary} for summary in self._summary(part, place)]

    def _summary(self, part: Opaque, place: str) -> list[str]:
        """What can be said of another vendor's block. How a tool was looked up need not be said."""
        if not part.summary and not part.kind.startswith(TOOL_SEARCH):
            self.losses.append(Loss(f"{place} ({part.kind})", "only its own vendor knows it"))
        return [part.summary] if part.summary else []

    def _result(self, result: ToolResult, where: str) -> list[Json]:
        """Write a result as a tool message; return its media, which go into the user message after all results."""
        texts: list[str] = []
        media: list[Json] = []
        for number, part in enumerate(result.parts):
            place = f"{where}.content[{number}]"
            match part:
                case Text(text=text):
                    texts.append(text)
                case Opaque():
                    texts += self._summary(part, place)
                case Media(kind=kind):
                    reason = why_not(part, self._capabilities)
                    if reason:
                        self.losses.append(Loss(f"{place} ({kind})", reason))
                        texts.append(f"[{kind} left out: {reason}]")
                    else:
                        media.append(encode_media(part))
        text = "\n\n".join(piece for piece in texts if piece) or (MEDIA_FOLLOW if media else "")
        if result.is_error and not text.startswith(ERROR_PREFIX):
            text = ERROR_PREFIX + text
        self.messages.append({"role": "tool", "tool_call_id": self._id(result.call_id), "content": text})
        return media


def arguments_text(call: ToolCall) -> str:
    """A call's arguments as JSON text: as they came where they hold that very object, else written anew."""
    if call.kind == "function" and call.arguments and parse_arguments(call.raw) == call.arguments:
        return call.raw
    return msgspec.json.encode(call.arguments).decode()

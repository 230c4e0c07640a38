"""Turns, read from a client's messages and written in the order and form that the Messages API requires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Media, Part, Text, ToolResult
from bm.chat.repair import GO_ON, NOT_CONTINUED, inline_system, paired
from bm.chat.request import ChatRequest, Loss, Turn
from bm.names import ANTHROPIC
from bm.protocols.anthropic.content import MEMBERS, BlockWriter, decode_content, decode_text
from bm.protocols.reading import Unread, elements, mapping, mismatch, refuse, required_array, string
from bm.protocols.turns import Expressible

_FIRST = "(The conversation begins with the assistant.)"
ATTRIBUTION = "x-anthropic-billing-header"
"""Begins the line, with which Claude Code names itself, at the head of the system prompt."""
_MESSAGE = frozenset({"role", "content", "output_config"})


def decode_turns(body: Json, unread: Unread) -> tuple[tuple[Turn, ...], str]:
    """The turns, and the effort set by the last message that sets one: it applies from there on."""
    required_array(body, "messages")
    turns: list[Turn] = []
    effort = ""
    for message, place in elements(body, "messages"):
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise refuse(f"{place}.role", "expected user, assistant or system")
        content = message.get("content")
        if content is None:
            raise mismatch(f"{place}.content", "a string or an array", content)
        unread.rest(message, _MESSAGE, place)
        if config := mapping(message, "output_config", place):
            effort = string(config, "effort", f"{place}.output_config") or effort
            unread.rest(config, frozenset({"effort"}), f"{place}.output_config")
        turns.append(Turn(role, decode_content(content, f"{place}.content", unread)))
    return tuple(turns), effort


def decode_system(body: Json, unread: Unread) -> tuple[Text, ...]:
    """The system prompt without Claude Code's attribution, which is kept for Claude.

    It changes with each request, so it would break the prompt caches of other vendors.
    """
    given = body.get("system")
    raws = [({"text": given}, "system")] if isinstance(given, str) else elements(body, "system")
    texts: list[Text] = []
    for raw, place in raws:
        text = decode_text(raw, place)
        line, rest = split_attribution(text.text)
        if line:
            unread.add(ATTRIBUTION, line)
            text = msgspec.structs.replace(text, text=rest)
        if text.text or not line:
            unread.rest(raw, MEMBERS["text"], place)
            texts.append(text)
    return tuple(text for text in texts if text.text or not isinstance(given, str))


def split_attribution(text: str) -> tuple[str, str]:
    """The attribution at the head of a system text, empty if there is none, and the rest."""
    if not text.startswith(f"{ATTRIBUTION}:"):
        return "", text
    line, _, rest = text.partition("\n")
    return line, rest.lstrip("\n")


def encode_turns(
    request: ChatRequest, capabilities: Capabilities, writer: BlockWriter, losses: list[Loss]
) -> list[Json]:
    """The `messages` of the body.

    Roles alternate, results answer their calls, no text is empty, instructions in mid-conversation stay where the
    model takes them there and become user text elsewhere, media the assistant made move to the user.
    """
    known = Expressible(
        ANTHROPIC,
        writer.objection,
        writer.accepts,
        assistant_media=True,
        text_documents=capabilities.documents,
        blank_texts=False,
    )
    spoken = known.turns(request, losses)
    turns = paired(_without_assistant_media(_placed(spoken, system_turns=capabilities.system_turns)))
    if turns and turns[0].role == "assistant":
        turns = (Turn("user", (Text(_FIRST),)), *turns)
    messages = [{"role": turn.role, "content": content} for turn in turns if (content := _content(turn, writer))]
    if messages and messages[-1]["role"] == "assistant":
        _end_of_prefill(messages, capabilities, losses)
    return messages


def _placed(turns: Sequence[Turn], *, system_turns: bool) -> tuple[Turn, ...]:
    """System turns are legal between a user turn and an assistant turn, and at the end after a user turn."""
    placed: list[Turn] = []
    for number, turn in enumerate(turns):
        if turn.role == "system":
            before = next((t.role for t in reversed(turns[:number]) if t.role != "system"), "")
            after = next((t.role for t in turns[number + 1 :] if t.role != "system"), "")
            if not (system_turns and before == "user" and after in ("assistant", "")):
                placed += inline_system((turn,))
                continue
        placed.append(turn)
    return tuple(placed)


def _without_assistant_media(turns: Iterable[Turn]) -> list[Turn]:
    """Move the assistant's media into the user turn after it: the API takes none in assistant messages."""
    moved: list[Turn] = []
    waiting: tuple[Part, ...] = ()
    for turn in turns:
        if turn.role == "assistant":
            waiting += tuple(part for part in turn.parts if isinstance(part, Media))
            turn = Turn("assistant", tuple(part for part in turn.parts if not isinstance(part, Media)))
        elif turn.role == "user" and waiting:
            results = tuple(part for part in turn.parts if isinstance(part, ToolResult))
            rest = tuple(part for part in turn.parts if not isinstance(part, ToolResult))
            turn, waiting = Turn("user", (*results, *waiting, *rest)), ()
        if turn.parts:
            moved.append(turn)
    return [*moved, Turn("user", waiting)] if waiting else moved


def _content(turn: Turn, writer: BlockWriter) -> list[Json]:
    blocks = [block for part in turn.parts for block in writer.part(part, turn.role)]
    return sorted(blocks, key=lambda block: block["type"] != "tool_result") if turn.role == "user" else blocks


def _end_of_prefill(messages: list[Json], capabilities: Capabilities, losses: list[Loss]) -> None:
    """Prepare a final assistant message to be continued: not every model can, and its text must not end in a space."""
    if not capabilities.prefill:
        messages.append({"role": "user", "content": [{"type": "text", "text": GO_ON}]})
        losses.append(NOT_CONTINUED)
        return
    last = messages[-1]["content"][-1]
    if last["type"] == "text":
        messages[-1]["content"][-1] = {**last, "text": last["text"].rstrip()}

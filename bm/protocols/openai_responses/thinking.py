"""The `reasoning` member, and reasoning items with a model's thinking."""

from __future__ import annotations

from bm.chat import signature as signatures
from bm.chat.capabilities import Capabilities
from bm.chat.parts import Json, Thinking
from bm.chat.request import ChatRequest, Loss, Reasoning
from bm.chat.signature import Signature, unwrap
from bm.chat.thinking import asked_level, effort_for
from bm.names import RESPONSES
from bm.protocols.openai.parameters import EFFORTS, LEVELS
from bm.protocols.parameters import field_name
from bm.protocols.reading import Unread, mapping, objects_of, string, string_of


def decode_reasoning(body: Json, unread: Unread) -> Reasoning:
    """Read `reasoning`. Clients that ask for a summary want to see the thinking."""
    reasoning = mapping(body, "reasoning") or {}
    effort = string(reasoning, "effort", "reasoning")
    summary = string(reasoning, "summary", "reasoning") or string(reasoning, "generate_summary", "reasoning")
    unread.rest(reasoning, {"effort", "summary"} if summary in ("", "auto") else {"effort"}, "reasoning")
    visible = True if summary not in ("", "none") else None
    # An unknown effort is taken for the highest.
    return Reasoning(level=LEVELS.get(effort, "max") if effort else None, visible=visible)


def encode_reasoning(request: ChatRequest, capabilities: Capabilities, losses: list[Loss]) -> Json:
    """The member `reasoning`, if it is needed."""
    level, visible = asked_level(request.reasoning), request.reasoning.visible
    if capabilities.thinking == "none" and request.protocol != RESPONSES:
        if level != "off" and (level not in (None, "auto") or visible):
            losses.append(Loss(field_name(request, "thinking"), "the model does not think"))
        return {}
    effort = effort_for(level, capabilities)
    if effort is None and level is not None and level != "auto" and not capabilities.levels:
        effort = EFFORTS[level]
    members = {"effort": effort, "summary": "auto" if visible else None}
    written = {name: value for name, value in members.items() if value is not None}
    return {"reasoning": written} if written else {}


def decode_thinking(item: Json) -> Thinking | None:
    """The thinking in a reasoning item; None if it has neither text nor a signature."""
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
    """The summaries of a reasoning item, or its full text where the service returns that instead."""
    for field in ("summary", "content"):
        if texts := [text for part in objects_of(item.get(field)) if (text := string_of(part.get("text")))]:
            return "\n\n".join(texts)
    return ""

"""Compaction for upstreams without it: the model is asked for a summary, which travels as OpenAI's compaction item.

OpenAI's own summaries are encrypted. bm's are wrapped as it wraps signatures, so that they differ from OpenAI's and
can be read by any model in a later turn.
"""

from __future__ import annotations

from bm.chat.parts import Json, Opaque
from bm.chat.request import ChatRequest
from bm.chat.signature import Signature, unwrap, wrap
from bm.protocols.reading import array_of, object_of, string_of

TRIGGER = "compaction_trigger"
"""The item at the end of a conversation that asks for its compaction."""
COMPACTIONS = ("compaction", "compaction_summary", "context_compaction")
"""Types of the item that takes the place of a conversation; the latter two are Codex's earlier names for it."""

REQUEST = (
    "The conversation so far is about to be replaced by a summary that you write now. Another model will go on from it "
    "and see nothing else of what came before. Write down all that it needs: what the user wants, with every "
    "requirement and preference; what was done and decided, and why; names, paths, numbers, commands and results "
    "exactly as they are; what failed; what is left to do, and the next step. Call no tool. Answer with the summary "
    "alone."
)
_INTRODUCTION = "A summary of the conversation so far, which it replaces:"
_VENDOR = "bm"
_ABOUT = "compaction"


def asks_to_compact(request: ChatRequest) -> bool:
    """Whether the answer takes the place of the conversation."""
    last = request.turns[-1].parts[-1:] if request.turns else ()
    return any(isinstance(part, Opaque) and part.kind == TRIGGER for part in last)


def compaction_item(summary: str, item_id: str) -> Json:
    """A summary as the item that a client sends back in place of the conversation."""
    return {"id": item_id, "type": "compaction", "encrypted_content": wrap(Signature(_VENDOR, summary), _ABOUT)}


def summary_in(item: Json) -> str:
    """The text for a model from an item that bm wrote; empty for a vendor's own, which is encrypted."""
    match unwrap(string_of(item.get("encrypted_content"))):
        case (Signature(vendor=vendor, value=summary), about) if (vendor, about) == (_VENDOR, _ABOUT):
            return f"{_INTRODUCTION}\n\n{summary}"
        case _:
            return ""


def readable(item: Json) -> Json:
    """A summary that bm wrote as a message of the user, which any service can read; any other item as it is."""
    if object_of(item).get("type") not in COMPACTIONS or not (summary := summary_in(item)):
        return item
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": summary}]}


def triggered(body: Json) -> Json:
    """The request of `/responses/compact` as one for an answer."""
    given = body.get("input")
    message = {"type": "message", "role": "user", "content": given}
    items = [message] if isinstance(given, str) else array_of(given)
    return {**body, "input": [*items, {"type": TRIGGER}], "stream": False}


def compacted(response: Json, body: Json) -> Json:
    """The answer of `/responses/compact`: the user's messages and the compaction item (OpenAI, `CompactedResponse`)."""
    kept = [item for item in array_of(triggered(body)["input"]) if object_of(item).get("role") == "user"]
    messages = [{"type": "message", "status": "completed", **item, "content": _parts(item)} for item in kept]
    for number, message in enumerate(messages):
        message.setdefault("id", f"msg_{string_of(response.get('id'))}_{number}")
    items = [item for item in array_of(response.get("output")) if item.get("type") in COMPACTIONS]
    head = {"id": response.get("id"), "object": "response.compaction", "created_at": response.get("created_at")}
    return {**head, "output": [*messages, *items], "usage": response.get("usage")}


def _parts(message: Json) -> object:
    content = message.get("content")
    return [{"type": "input_text", "text": content}] if isinstance(content, str) else content

"""Remove from a passed-through request what its upstream would refuse; every other byte stays as it was.

That is signatures and searches that bm wrote for another vendor, when the conversation was answered elsewhere before,
and cache marks that are not legal. A body without them is returned as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import msgspec

from bm.chat.parts import Json
from bm.chat.signature import unwrap
from bm.errors import UNREADABLE
from bm.names import ProtocolName
from bm.protocols.anthropic.cache_control import with_legal_marks
from bm.protocols.anthropic.citations import is_our_citation, is_ours
from bm.protocols.anthropic.thinking import may_be_claudes
from bm.protocols.anthropic.turns import ATTRIBUTION, split_attribution
from bm.protocols.compaction import readable
from bm.protocols.gemini.thinking import DUMMY
from bm.protocols.openai_responses.items import with_readable_task
from bm.protocols.outline import Outline
from bm.protocols.reading import array_of, json_of, object_of, objects_of, string_of
from bm.protocols.splice import Changes, Path, edited, raw_array, raw_object
from bm.protocols.words import (
    AGENT_MESSAGE,
    DOMAINS,
    EXTRA_CONTENT,
    MARK,
    OWN_SEARCH,
    OWN_SIGNATURE,
    THINKING,
    TOOLS,
    Words,
    words_of,
)

_CLEARS = "clear_thinking"
_DOMAINS = ("allowed_domains", "blocked_domains")
_ATTRIBUTION = ATTRIBUTION.encode()
_THOUGHT = re.compile(rb'"type"\s*:\s*"thinking"')
_SIGNATURE = re.compile(rb'"signature"\s*:')
_ODD_SIGNATURE = re.compile(rb'"signature"\s*:\s*(?:"(?:[0-9a-f]{32,})?"|"[^"]*[^"A-Za-z0-9+/=][^"]*"|[^"\s])')
_NO_DOMAINS = re.compile(rb'"(?:allowed|blocked)_domains"\s*:\s*\[\s*\]')


def sanitize(
    protocol: ProtocolName,
    body: bytes,
    *,
    cache_control: Literal["keep", "strip"],
    extra_content: bool = True,
    lone_choice: bool = True,
    claude: bool = True,
    words: Words | None = None,
    outline: Outline | None = None,
) -> bytes:
    """The body for an upstream of its own protocol; the same object when nothing has to change.

    `cache_control` says whether the upstream takes cache marks (illegal ones are repaired), `extra_content` whether it
    knows the member of that name, in which an OpenAI client carries Gemini's signatures, `lone_choice` whether it takes
    a choice among no tools, and `claude` whether the model is Anthropic's. `words` are those of the body and `outline`
    is its outline, if they are known. Bytes that are not a request are returned as they are: the upstream reports what
    is wrong with them.
    """
    words = words_of(body) if words is None else words
    if protocol == "anthropic":
        return _sanitize_anthropic(body, words, outline, strip=cache_control == "strip", claude=claude)
    changes: list[Callable[[Json], bool]] = []
    if protocol == "openai-chat":
        if not extra_content and EXTRA_CONTENT in words:
            changes.append(_without_extra_content)
        if cache_control == "strip" and MARK in words:
            changes.append(_without_marks)
    elif OWN_SIGNATURE in words:
        changes.append(_without_foreign_thoughts if protocol == "gemini" else _without_foreign_reasoning)
    if protocol == "openai-responses" and AGENT_MESSAGE in words:
        changes.append(_with_readable_tasks)
    if not lone_choice and b'"tool_choice"' in words and TOOLS not in words:
        changes.append(_without_choice)
    return _changed(body, changes) if changes else body


def is_unpaired(protocol: ProtocolName, body: bytes) -> bool:
    """Whether a request for Gemini has more results than calls, or fewer: Google refuses it.

    Gemini CLI 0.61.0 sends results twice in a session that it resumes.
    """
    if protocol != "gemini":
        return False
    calls = body.count(b'"functionCall"') + body.count(b'"function_call"')
    return calls != body.count(b'"functionResponse"') + body.count(b'"function_response"')


def _sanitize_anthropic(body: bytes, words: Words, outline: Outline | None, *, strip: bool, claude: bool) -> bytes:
    """Remove thinking that carries another vendor's signature, other vendors' searches, and illegal cache marks.

    A message that held nothing else is removed too. Thinking is turned off where a tool loop has none of Claude's.
    Other models do not get Claude Code's attribution.
    """
    try:
        thinks = THINKING in words
        checked = claude and thinks and (outline.has_odd_signature if outline else _holds_odd_signature(body))
        foreign = checked or OWN_SIGNATURE in words or OWN_SEARCH in words
        changes = _without_foreign_thinking(body, checked=checked) if foreign else {}
        if not claude and _ATTRIBUTION in body:
            changes |= _without_attribution(body)
        if not DOMAINS.isdisjoint(words) and _NO_DOMAINS.search(body) is not None:
            changes |= _without_empty_domains(body)
        kept = edited(body, changes) if changes else body
        if (
            thinks
            and b'"budget_tokens"' in body
            and b'"tool_result"' in body
            and (thoughtless := _without_thinking(kept))
        ):
            kept = edited(kept, thoughtless)
        if MARK not in words or (outline is not None and kept is body and not strip and outline.has_legal_marks):
            return kept
        return with_legal_marks(kept, strip=strip)
    except UNREADABLE:
        return body


def _holds_odd_signature(body: bytes) -> bool:
    """Whether some thinking may be unsigned, or signed by a service that only speaks Anthropic's protocol."""
    thoughts = len(_THOUGHT.findall(body))
    return thoughts > len(_SIGNATURE.findall(body)) or (thoughts > 0 and _ODD_SIGNATURE.search(body) is not None)


def _without_attribution(body: bytes) -> Changes:
    system = raw_object(body).get("system", msgspec.Raw(b"null"))
    texts: dict[Path, Any] = {("system",): msgspec.json.decode(system)}
    if isinstance(blocks := texts[("system",)], list):
        texts = {("system", index, "text"): object_of(block).get("text") for index, block in enumerate(blocks)}
    changes: Changes = {}
    for path, text in texts.items():
        line, rest = split_attribution(string_of(text))
        if line and rest:
            changes[path] = msgspec.Raw(msgspec.json.encode(rest))
        elif line:
            changes[path[:2]] = None
    return changes


def _without_foreign_thinking(body: bytes, *, checked: bool) -> Changes:
    """Remove what bm wrote; with `checked` also thinking whose signature is not Claude's."""
    changes: Changes = {}
    for number, message in enumerate(raw_array(raw_object(body).get("messages"))):
        raw = bytes(message)
        if not (OWN_SIGNATURE in raw or OWN_SEARCH in raw or (checked and b'"thinking"' in raw)):
            continue
        blocks = [msgspec.json.decode(block) for block in raw_array(raw_object(message).get("content"))]
        place = ("messages", number, "content")
        inside = {
            (*place, *path): new
            for index, block in enumerate(blocks)
            for path, new in _foreign(index, block, checked=checked)
        }
        gone = sum(1 for path, new in inside.items() if len(path) == 4 and new is None)
        changes |= {("messages", number): None} if gone and gone == len(blocks) else inside
    return changes


def _without_thinking(body: bytes) -> Changes:
    """Turn thinking off where another vendor's model began the tool loop that Claude is to continue.

    With a token budget, Anthropic answers 400 when the assistant's last message of a tool loop does not begin with
    Claude's own thinking. Without thinking it continues, and thinks again in the next turn. Adaptive thinking has no
    such rule.
    """
    request = raw_object(body)
    thinking: Any = msgspec.json.decode(request.get("thinking", b"null"))
    messages = raw_array(request.get("messages"))
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled" or len(messages) < 2:
        return {}
    asked, answered = (objects_of(object_of(msgspec.json.decode(raw)).get("content")) for raw in messages[-2:])
    calls = any(block.get("type") == "tool_use" for block in asked)
    results = any(block.get("type") == "tool_result" for block in answered)
    if not (calls and results) or asked[0].get("type") in ("thinking", "redacted_thinking"):
        return {}
    return {("thinking",): None, **_without_thinking_edits(request.get("context_management"))}


def _without_thinking_edits(raw: msgspec.Raw | None) -> Changes:
    """Clearing earlier thinking is refused where thinking is off."""
    edits = array_of(object_of(msgspec.json.decode(raw) if raw is not None else None).get("edits"))
    kept = [edit for edit in edits if not string_of(object_of(edit).get("type")).startswith(_CLEARS)]
    if len(kept) == len(edits):
        return {}
    place = ("context_management", "edits") if kept else ("context_management",)
    return {place: msgspec.Raw(msgspec.json.encode(kept)) if kept else None}


def _without_empty_domains(body: bytes) -> Changes:
    """An empty list of domains is refused; the clients that send it mean no restriction."""
    changes: Changes = {}
    for number, raw in enumerate(raw_array(raw_object(body).get("tools"))):
        tool: Any = msgspec.json.decode(raw)
        if isinstance(tool, dict) and "input_schema" not in tool:
            changes |= {("tools", number, name): None for name in _DOMAINS if tool.get(name) == []}
    return changes


def _foreign(index: int, block: Any, *, checked: bool) -> list[tuple[Path, msgspec.Raw | None]]:
    """What bm wrote into a block for another vendor: signed thinking, a search, citations of its results."""
    match block:
        case {"type": "thinking"} if checked and not may_be_claudes(string_of(block.get("signature"))):
            return [((index,), None)]
        case {"type": "thinking", "signature": str(signature)} if unwrap(signature) is not None:
            return [((index,), None)]
        case {"type": "server_tool_use" | "web_search_tool_result"} if is_ours(block):
            return [((index,), None)]
        case {"type": "text", "citations": list(cited)} if any(is_our_citation(each) for each in cited):
            kept = [each for each in cited if not is_our_citation(each)]
            return [((index, "citations"), msgspec.Raw(msgspec.json.encode(kept)) if kept else None)]
        case _:
            return []


def _changed(body: bytes, changes: list[Callable[[Json], bool]]) -> bytes:
    decoded = json_of(body)
    if not isinstance(decoded, dict):
        return body
    hits = [change(decoded) for change in changes]
    return msgspec.json.encode(decoded) if any(hits) else body


def _without_choice(body: Json) -> bool:
    """xAI refuses a choice where there are no tools, even one that asks for nothing (openai/codex#46773, 2026-10)."""
    if body.get("tools") or body.get("tool_choice") not in ("auto", "none"):
        return False
    body.pop("parallel_tool_calls", None)
    return body.pop("tool_choice") is not None


def _without_extra_content(body: Json) -> bool:
    return _without("extra_content", _messages_with(body, "tool_calls"))


def _without_marks(body: Json) -> bool:
    return _without("cache_control", (body, *objects_of(body.get("tools")), *_messages_with(body, "content")))


def _messages_with(body: Json, member: str) -> Iterator[Json]:
    """The messages, and the objects in one of their members."""
    for message in objects_of(body.get("messages")):
        yield from (message, *objects_of(message.get(member)))


def _without(member: str, owners: Iterable[Json]) -> bool:
    """Remove a member; whether any of its owners had it."""
    return any([owner.pop(member, None) is not None for owner in owners])


def _without_foreign_thoughts(body: Json) -> bool:
    """Gemini 3 requires a signature on a call: its documented dummy replaces another vendor's."""
    hit = False
    contents = body.get("contents")
    for content in objects_of([contents] if isinstance(contents, dict) else contents):
        for part in objects_of(content.get("parts")):
            hit |= _without_foreign_signature(part)
    return hit


def _without_foreign_signature(part: Json) -> bool:
    foreign = [name for name in ("thoughtSignature", "thought_signature") if _is_wrapped(part.get(name))]
    for name in foreign:
        del part[name]
    if foreign and ("functionCall" in part or "function_call" in part):
        part["thoughtSignature"] = DUMMY
    return bool(foreign)


def _without_foreign_reasoning(body: Json) -> bool:
    items = body.get("input")
    if not isinstance(items, list):
        return False
    kept = []
    for item in items:
        if object_of(item).get("type") != "reasoning" or not _is_wrapped(item.get("encrypted_content")):
            kept.append(readable(item))
    body["input"] = kept
    return kept != items


def _with_readable_tasks(body: Json) -> bool:
    """OpenAI refuses plain text where it expects its ciphertext."""
    items = array_of(body.get("input"))
    made = [with_readable_task(item) if isinstance(item, dict) else item for item in items]
    changed = made != items
    if changed:
        body["input"] = made
    return changed


def _is_wrapped(value: Any) -> bool:
    """Whether bm wrapped another vendor's signature in this value."""
    return unwrap(string_of(value)) is not None

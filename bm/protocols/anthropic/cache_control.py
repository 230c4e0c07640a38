"""What a request from an Anthropic client must lose before it goes to an Anthropic upstream; usually nothing.

The body is not rebuilt: only the members that change are written anew, all other bytes and their order stay, because
the upstream's prompt cache is keyed by them.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from bm.chat.parts import Json
from bm.chat.signature import may_hold_wrapped, unwrap
from bm.protocols.anthropic.citations import ID_PREFIX, is_our_citation, is_ours

Policy = Literal["keep", "repair", "strip"]
"""What happens to `cache_control`: nothing; what the API refuses is mended; all of it goes."""

MAX_MARKS = 4

_MARK = "cache_control"
_MARK_BYTES = b'"cache_control"'
_SEARCH = ID_PREFIX.encode()
_CLEARS = "clear_thinking"
_DOMAINS = ("allowed_domains", "blocked_domains")
_DOMAINS_BYTES = b'_domains"'
_NO_DOMAINS = re.compile(rb'"(?:allowed|blocked)_domains"\s*:\s*\[\s*\]')
_Path = tuple[str | int, ...]
_Changes = dict[_Path, msgspec.Raw | None]
"""New values by place; None removes the member or element."""

_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
_DOCUMENTED = frozenset({"type", "ttl"})
_TTLS = ("5m", "1h")


class _Prompt(msgspec.Struct):
    """The members of a request that hold what is looked at, found and divided in one go."""

    tools: list[msgspec.Raw] | None = None
    system: msgspec.Raw = msgspec.Raw()
    messages: list[msgspec.Raw] | None = None
    cache_control: msgspec.Raw = msgspec.Raw()


def clean(body: bytes, policy: Policy) -> bytes:
    """The body an Anthropic upstream takes: `body` itself, the same object, when nothing has to change.

    Thinking that carries another vendor's signature goes, as bm hands it out, so does what another vendor searched, and
    with them a message that held nothing else. Where a tool loop has no thinking of Claude's, none is asked for. Bytes
    that are no request are returned as they are: the upstream says what is wrong with them.
    """
    wrapped = may_hold_wrapped(body) or _SEARCH in body
    marked = policy != "keep" and _MARK_BYTES in body
    unbounded = _DOMAINS_BYTES in body and _NO_DOMAINS.search(body) is not None
    thinks = b'"budget_tokens"' in body and b'"tool_result"' in body
    if not (wrapped or marked or unbounded or thinks):
        return body
    try:
        changes = _without_foreign_thinking(body) if wrapped else {}
        if unbounded:
            changes |= _without_empty_domains(body)
        kept = _applied(body, changes) if changes else body
        if thinks and (thoughtless := _without_thinking(kept)):
            kept = _applied(kept, thoughtless)
        if marked:
            marks = _marks(kept)
            return _applied(kept, _stripped(marks) if policy == "strip" else _repaired(marks))
        return kept
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body


def _prompt(body: bytes) -> _Prompt:
    return msgspec.json.decode(body, type=_Prompt)


def _object(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(raw, type=dict[str, msgspec.Raw])


def _array(raw: bytes | msgspec.Raw | None) -> list[msgspec.Raw]:
    """The elements of an array; none of anything else, such as a string of text."""
    if raw is None or bytes(raw).lstrip()[:1] != b"[":
        return []
    return msgspec.json.decode(raw, type=list[msgspec.Raw])


def _without_foreign_thinking(body: bytes) -> _Changes:
    changes: _Changes = {}
    for number, message in enumerate(_prompt(body).messages or ()):
        if not _may_be_foreign(message):
            continue
        blocks = _array(_object(message).get("content"))
        place = ("messages", number, "content")
        inside = {(*place, *path): new for index, raw in enumerate(blocks) for path, new in _foreign(index, raw)}
        gone = sum(1 for path, new in inside.items() if len(path) == 4 and new is None)
        changes |= {("messages", number): None} if gone and gone == len(blocks) else inside
    return changes


def _without_thinking(body: bytes) -> _Changes:
    """Turn thinking off where another vendor's model began the tool loop that Claude is to go on with.

    With a token budget, Anthropic answers 400 when the assistant's last message of a tool loop does not begin with
    Claude's own thinking, which cannot be had; without thinking it goes on, and thinks again in the next turn. Adaptive
    thinking has no such rule.
    """
    request = _object(body)
    thinking: Any = msgspec.json.decode(request.get("thinking", b"null"))
    messages = _array(request.get("messages"))
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled" or len(messages) < 2:
        return {}
    asked, answered = (_blocks_of(message) for message in messages[-2:])
    calls = any(block.get("type") == "tool_use" for block in asked)
    results = any(block.get("type") == "tool_result" for block in answered)
    if not (calls and results) or asked[0].get("type") in _UNMARKABLE:
        return {}
    return {("thinking",): None, **_without_thinking_edits(request.get("context_management"))}


def _blocks_of(message: msgspec.Raw) -> list[Json]:
    content: Any = msgspec.json.decode(message).get("content")
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _without_thinking_edits(raw: msgspec.Raw | None) -> _Changes:
    """Clearing earlier thinking is refused where there is none."""
    management: Any = msgspec.json.decode(raw) if raw is not None else None
    edits = management.get("edits") if isinstance(management, dict) else None
    if not isinstance(edits, list):
        return {}
    kept = [edit for edit in edits if not str(edit.get("type") if isinstance(edit, dict) else "").startswith(_CLEARS)]
    if len(kept) == len(edits):
        return {}
    place = ("context_management", "edits") if kept else ("context_management",)
    return {place: msgspec.Raw(msgspec.json.encode(kept)) if kept else None}


def _without_empty_domains(body: bytes) -> _Changes:
    """An empty list of domains is refused; the clients that send it mean no restriction."""
    changes: _Changes = {}
    for number, raw in enumerate(_prompt(body).tools or ()):
        tool: Any = msgspec.json.decode(raw)
        if isinstance(tool, dict) and "input_schema" not in tool:
            changes |= {("tools", number, name): None for name in _DOMAINS if tool.get(name) == []}
    return changes


def _may_be_foreign(raw: msgspec.Raw) -> bool:
    return may_hold_wrapped(bytes(raw)) or _SEARCH in bytes(raw)


def _foreign(index: int, raw: msgspec.Raw) -> list[tuple[_Path, msgspec.Raw | None]]:
    """What of a block bm wrote for another vendor: signed thinking, a search, citations of what that found."""
    if not _may_be_foreign(raw):
        return []
    block: Any = msgspec.json.decode(raw)
    match block:
        case {"type": "thinking", "signature": str(signature)} if unwrap(signature) is not None:
            return [((index,), None)]
        case {"type": "server_tool_use" | "web_search_tool_result"} if is_ours(block):
            return [((index,), None)]
        case {"type": "text", "citations": list(cited)} if any(is_our_citation(each) for each in cited):
            kept = [each for each in cited if not is_our_citation(each)]
            return [((index, "citations"), msgspec.Raw(msgspec.json.encode(kept)) if kept else None)]
        case _:
            return []


class _Mark(msgspec.Struct, frozen=True):
    """A `cache_control`: where its holder is, in which section of the prompt, and both as decoded."""

    holder: _Path
    section: Literal["request", "tools", "system", "messages"]
    value: Any
    block: Json

    @property
    def path(self) -> _Path:
        return (*self.holder, _MARK)


def _marks(body: bytes) -> list[_Mark]:
    """All marks in the order of the prompt: tools, system, messages, and the request's own, which means its end.

    Only where the API knows them. A tool's arguments and schema may have members of that name, which are not marks.
    """
    request = _prompt(body)
    marks: list[_Mark] = []
    for index, tool in enumerate(request.tools or ()):
        marks += _of_block(tool, ("tools", index), "tools")
    for index, text in enumerate(_array(request.system)):
        marks += _of_block(text, ("system", index), "system")
    for number, message in enumerate(request.messages or ()):
        if _MARK_BYTES not in bytes(message):
            continue
        for index, block in enumerate(_array(_object(message).get("content"))):
            marks += _of_block(block, ("messages", number, "content", index), "messages")
    if bytes(request.cache_control):
        marks.append(_Mark((), "request", msgspec.json.decode(request.cache_control), {}))
    return marks


def _of_block(raw: msgspec.Raw, path: _Path, section: Literal["tools", "system", "messages"]) -> list[_Mark]:
    """The marks of a block: of the blocks inside a tool result or a document first, then its own."""
    if _MARK_BYTES not in bytes(raw):
        return []
    block: Any = msgspec.json.decode(raw)
    if not isinstance(block, dict):
        return []
    marks: list[_Mark] = []
    for inner, at in ((block.get("content"), ("content",)), (block.get("source"), ("source", "content"))):
        children = inner.get("content") if isinstance(inner, dict) and len(at) > 1 else inner
        for index, child in enumerate(children if isinstance(children, list) else []):
            if isinstance(child, dict) and _MARK in child:
                marks.append(_Mark((*path, *at, index), section, child[_MARK], child))
    if _MARK in block:
        marks.append(_Mark(path, section, block[_MARK], block))
    return marks


def _stripped(marks: list[_Mark]) -> _Changes:
    return {mark.path: None for mark in marks}


def _repaired(marks: list[_Mark]) -> _Changes:
    """Mend marks that the API answers with 400: misplaced, malformed, out of order, too many."""
    changes: _Changes = {}
    legal: list[_Mark] = []
    short = False
    for mark in marks:
        if mark.value is None:
            continue
        if not _may_stand(mark):
            changes[mark.path] = None
            continue
        value = {name: member for name, member in mark.value.items() if name in _DOCUMENTED}
        if value.get("ttl", "5m") not in _TTLS or (value.get("ttl") == "1h" and short):
            del value["ttl"]
        short = short or value.get("ttl") != "1h"
        if value != mark.value:
            changes[mark.path] = msgspec.Raw(msgspec.json.encode(value))
        legal.append(mark)
    return changes | dict.fromkeys(mark.path for mark in _surplus(legal))


def _may_stand(mark: _Mark) -> bool:
    value, block = mark.value, mark.block
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        return False
    if block.get("type") in _UNMARKABLE or block.get("defer_loading") is True:
        return False
    text = block.get("text")
    return not (block.get("type") == "text" and isinstance(text, str) and not text.strip())


def _surplus(marks: list[_Mark]) -> list[_Mark]:
    """The marks to give up: of messages the oldest first, then of system and tools all but the last."""
    excess = len(marks) - MAX_MARKS
    if excess <= 0:
        return []
    order: list[_Mark] = []
    for section in ("messages", "system", "tools"):
        order += [mark for mark in marks if mark.section == section][:-1]
    return order[:excess]


def _applied(raw: bytes | msgspec.Raw, changes: _Changes) -> bytes:
    """Write `raw` with its changes; the same object when there are none."""
    if not changes:
        return bytes(raw)
    by_head: dict[str | int, _Changes] = {}
    for (head, *rest), value in changes.items():
        by_head.setdefault(head, {})[tuple(rest)] = value
    if isinstance(next(iter(by_head)), int):
        elements = list(enumerate(_array(raw)))
        return msgspec.json.encode([new for at, old in elements if (new := _changed(old, by_head.get(at))) is not None])
    members = _object(raw).items()
    return msgspec.json.encode({at: new for at, old in members if (new := _changed(old, by_head.get(at))) is not None})


def _changed(old: msgspec.Raw, changes: _Changes | None) -> msgspec.Raw | None:
    if changes is None:
        return old
    return changes[()] if () in changes else msgspec.Raw(_applied(old, changes))

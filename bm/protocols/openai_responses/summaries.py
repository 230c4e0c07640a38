"""What items that only OpenAI has say in words, for models of other vendors."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bm.chat.parts import Json, Opaque
from bm.names import RESPONSES
from bm.protocols.compaction import COMPACTIONS, REQUEST, TRIGGER, summary_in
from bm.protocols.openai.citations import decode_search
from bm.protocols.reading import objects_of, string_of

_ENCRYPTED = "it is encrypted, and only the vendor that made it can read it"


def of_vendor(kind: str, item: Json) -> Opaque:
    """An item that only OpenAI has, with a summary for models of other vendors."""
    match kind:
        case "web_search_call":
            return decode_search(item)
        case "agent_message":
            return _agent_message(item)
        case _ if kind in COMPACTIONS:
            summary = summary_in(item)
            return Opaque(RESPONSES, kind, item, summary=summary, lost="" if summary else _ENCRYPTED)
        case _:
            words = _WORDS.get(kind)
            return Opaque(RESPONSES, kind, item, summary=words(item) if words is not None else "")


def _agent_message(item: Json) -> Opaque:
    """What one agent wrote to another: the task of a sub-agent, or its report."""
    parts = objects_of(item.get("content"))
    texts = [text for part in parts if (text := string_of(part.get("text")))]
    encrypted = any("encrypted_content" in part for part in parts)
    if encrypted and not texts:
        texts = ["[encrypted: it cannot be read here]"]
    way = f"Message from {string_of(item.get('author')) or 'an agent'} to {string_of(item.get('recipient')) or 'you'}:"
    summary = "\n\n".join([way, *texts]) if texts else ""
    return Opaque(RESPONSES, "agent_message", item, summary=summary, lost=_ENCRYPTED if encrypted else "")


def _code(item: Json) -> str:
    """The code that OpenAI ran and its output."""
    texts = (item.get("code"), *(row.get("logs") for row in objects_of(item.get("outputs"))))
    return "\n".join(f"```\n{text}\n```" for text in map(string_of, texts) if text)


def _files(item: Json) -> str:
    """What a search in uploaded files has found."""
    found = [
        f"{string_of(row.get('filename'))}:\n{text}"
        for row in objects_of(item.get("results"))
        if (text := string_of(row.get("text")))
    ]
    return "\n\n".join(["Found in files:", *found]) if found else ""


def _mcp_call(item: Json) -> str:
    """A call of a tool on an MCP server, and its result."""
    error = item.get("error")
    failed = f"Error: {msgspec.json.encode(error).decode()}" if error else ""
    if not item.get("name"):
        return ""
    called = f"Called {string_of(item.get('server_label'))}.{string_of(item.get('name'))}"
    return f"{called} with {string_of(item.get('arguments'))}:\n{failed or string_of(item.get('output'))}"


def _approval_request(item: Json) -> str:
    called = f"{string_of(item.get('server_label'))}.{string_of(item.get('name'))}"
    return f"May {called} be called with {string_of(item.get('arguments'))}?"


def _approval(item: Json) -> str:
    return f"The call is {'approved' if item.get('approve') else 'refused'}. {string_of(item.get('reason'))}".strip()


_WORDS: dict[str, Callable[[Json], str]] = {
    "code_interpreter_call": _code,
    "file_search_call": _files,
    "mcp_call": _mcp_call,
    "mcp_approval_request": _approval_request,
    "mcp_approval_response": _approval,
    "program": _code,
    "program_output": lambda item: string_of(item.get("result")),
    TRIGGER: lambda item: REQUEST,
}

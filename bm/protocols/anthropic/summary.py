"""What a block that only Anthropic knows says in plain words, for models of other vendors."""

from __future__ import annotations

from typing import Any

import msgspec

from bm.chat.parts import Json


def summary(block: Json) -> str:
    """The words of a block; empty where it has none that a model could use (a container upload, a fallback note)."""
    match block:
        case {"type": "tool_reference", "tool_name": str(name)}:
            return f"The tool {name} is available."
        case {"type": "tool_addition" | "tool_removal" as kind, "tool": dict(tool)}:
            name = tool.get("name") or tool.get("tool_name") or "named there"
            return f"The tool {name} is {'now' if kind == 'tool_addition' else 'no longer'} available."
        case {"type": "server_tool_use", "input": {"code": str(code)}}:
            return f"```\n{code}\n```"
        case {"type": "server_tool_use", "input": {"command": str(command)}}:
            return f"```\n{command}\n```"
        case {"type": "server_tool_use" | "mcp_tool_use", "name": str(name)}:
            return f"Called {name} with {msgspec.json.encode(block.get('input', {})).decode()}"
        case {"type": "search_result"}:
            return _titled(block, _texts(block.get("content")))
        case {"type": "document", "source": dict(source)}:
            return _titled(block, _texts(source.get("content")))
        case {"type": "compaction", "content": str(text)}:
            return text
        case {"type": str(kind), "content": content} if "code_execution" in kind and kind.endswith("_tool_result"):
            output = _texts(content).strip("\n")
            return f"```\n{output}\n```" if output else ""
        case {"type": str(kind), "content": content} if kind.endswith("_tool_result"):
            return _texts(content)
    return ""


def _titled(block: Json, text: str) -> str:
    heads = [value for value in (block.get("title"), block.get("source")) if isinstance(value, str)]
    return "\n".join(value for value in (*heads, text) if value)


def _texts(value: Any) -> str:
    """The readable strings of a result, in order."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(text for text in map(_texts, value) if text)
    if not isinstance(value, dict):
        return ""
    match value:
        case {"type": "web_search_result"}:
            return f"{value.get('title', '')} {value.get('url', '')}".strip()
        case {"type": "tool_reference", "tool_name": str(name)}:
            return name
        case {"error_code": str(code)}:
            return f"Error: {code}"
        case {"source": {"type": "text", "data": str(text)}}:
            return _titled({"title": value.get("title")}, text)
    pieces = (_texts(value.get(name)) for name in ("title", "url", "text", "stdout", "stderr", "content"))
    return "\n".join(piece for piece in (*pieces, _texts(value.get("tool_references"))) if piece)

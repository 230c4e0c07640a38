"""Anthropic's tools that come by type alone, without a schema: their arguments as Anthropic documents them.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview. The computer tool is not among them: its
coordinates only mean something to models trained on it.
"""

from __future__ import annotations

from typing import Any

from bm.chat.parts import Json
from bm.chat.request import HostedTool, Tool

_TEXT: Json = {"type": "string"}
_LINE: Json = {"type": "integer"}
_LINES: Json = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}


def _object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": required}


_KNOWN: dict[str, tuple[str, Json]] = {
    "bash": (
        "Run a command in a persistent bash session. Set restart to start the session anew.",
        _object([], command=_TEXT, restart={"type": "boolean"}),
    ),
    "text_editor": (
        "View, create and edit text files. view takes an optional view_range of first and last line (-1 is the end); "
        "create takes file_text; str_replace takes old_str, which must occur exactly once, and new_str; insert puts "
        "insert_text (or new_str) after line insert_line; undo_edit reverts the last edit of the file.",
        _object(
            ["command", "path"],
            command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "undo_edit"]},
            path=_TEXT,
            file_text=_TEXT,
            old_str=_TEXT,
            new_str=_TEXT,
            insert_line=_LINE,
            insert_text=_TEXT,
            view_range=_LINES,
        ),
    ),
    "memory": (
        "Keep notes in files below /memories that outlive the conversation: view a file or directory, create a file, "
        "str_replace, insert, delete, rename.",
        _object(
            ["command"],
            command={"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
            path=_TEXT,
            view_range=_LINES,
            file_text=_TEXT,
            old_str=_TEXT,
            new_str=_TEXT,
            insert_line=_LINE,
            insert_text=_TEXT,
            old_path=_TEXT,
            new_path=_TEXT,
        ),
    ),
}
_UNKNOWN = ("computer",)


def typed_name(tool: Tool | HostedTool) -> str:
    """Which of Anthropic's typed client tools this is; empty when it is none."""
    kind: Any = tool.extra.get("type") if isinstance(tool, Tool) else tool.raw.get("type", tool.kind)
    if tool.protocol != "anthropic" or not isinstance(kind, str) or (isinstance(tool, Tool) and tool.schema):
        return ""
    return next((name for name in (*_KNOWN, *_UNKNOWN) if kind == name or kind.startswith(f"{name}_2")), "")


def with_schema(tool: Tool | HostedTool) -> Tool | None:
    """The typed tool as a function with its schema; None when its arguments are not known."""
    kind = typed_name(tool)
    if kind not in _KNOWN:
        return None
    description, schema = _KNOWN[kind]
    name = tool.name if isinstance(tool, Tool) else tool.raw.get("name", kind)
    return Tool(str(name), description, schema)

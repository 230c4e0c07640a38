"""Anthropic's tools that come by type alone, for other vendors: functions that the client runs."""

from __future__ import annotations

import msgspec

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, HostedTool, Tool
from bm.names import ProtocolName
from bm.protocols.reading import refuse, string_of


def as_functions(request: ChatRequest, protocol: ProtocolName) -> ChatRequest:
    """The request with functions in place of the typed tools that the client runs, unless it goes to Anthropic.

    Raises:
        RequestError: it holds a typed tool whose arguments no other vendor's model could be given.
    """
    functions = {} if protocol == "anthropic" else {t.kind: f for t in request.hosted_tools if (f := _function(t))}
    if not functions:
        return request
    hosted = tuple(tool for tool in request.hosted_tools if tool.kind not in functions)
    return msgspec.structs.replace(request, tools=(*request.tools, *functions.values()), hosted_tools=hosted)


def _arguments(names: str, required: str, commands: str = "") -> Json:
    special: Json = {
        "command": {"type": "string", "enum": commands.split()} if commands else {"type": "string"},
        "restart": {"type": "boolean"},
        "insert_line": {"type": "integer"},
        "view_range": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    }
    properties = {name: special.get(name, {"type": "string"}) for name in names.split()}
    return {"type": "object", "properties": properties, "required": required.split()}


_CLIENT_TOOLS: dict[str, tuple[str, Json]] = {
    "bash": (
        "Run a command in a persistent bash session. Set restart to start the session anew.",
        _arguments("command restart", ""),
    ),
    "text_editor": (
        "View, create and edit text files. view takes an optional view_range of first and last line (-1 is the end); "
        "create takes file_text; str_replace takes old_str, which must occur exactly once, and new_str; insert puts "
        "insert_text (or new_str) after line insert_line; undo_edit reverts the last edit of the file.",
        _arguments(
            "command path file_text old_str new_str insert_line insert_text view_range",
            "command path",
            "view create str_replace insert undo_edit",
        ),
    ),
    "memory": (
        "Keep notes in files below /memories that outlive the conversation: view a file or directory, create a file, "
        "str_replace, insert, delete, rename.",
        _arguments(
            "command path view_range file_text old_str new_str insert_line insert_text old_path new_path",
            "command",
            "view create str_replace insert delete rename",
        ),
    ),
}
"""Anthropic's tools that come by type alone, without a schema, with their arguments as Anthropic documents them
(platform.claude.com/docs, "Tool use"). The computer tool is not among them: its coordinates only mean something to
models trained on it.
"""


def _function(tool: HostedTool) -> Tool | None:
    kind = string_of(tool.raw.get("type", tool.kind)) if tool.protocol == "anthropic" else ""
    name = next((name for name in (*_CLIENT_TOOLS, "computer") if kind == name or kind.startswith(f"{name}_2")), "")
    if not name:
        return None
    if name not in _CLIENT_TOOLS:
        raise refuse("tools", f"the tool {name!r} has no schema that another vendor's model could be given")
    return Tool(string_of(tool.raw.get("name")) or name, *_CLIENT_TOOLS[name])

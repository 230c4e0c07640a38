"""Items of a conversation: calls, their results, what OpenAI itself ran, and the items of an earlier exchange."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from bm.chat.parts import Json, Media, Opaque, Part, Refusal, ResultPart, Text, ToolCall, ToolKind, ToolResult
from bm.chat.request import Tool
from bm.names import RESPONSES
from bm.protocols.compaction import COMPACTIONS, REQUEST, TRIGGER, summary_in
from bm.protocols.openai.citations import decode_search
from bm.protocols.openai.content import decode_content, encode_responses_media
from bm.protocols.openai.tools import decode_arguments, qualified
from bm.protocols.openai_responses.thinking import decode_thinking
from bm.protocols.openai_responses.tools import SEARCH, Names, decode_tools, native_type, wire_name
from bm.protocols.reading import (
    array_of,
    filled_string,
    object_of,
    objects_of,
    required_mapping,
    required_string,
    string,
    string_of,
)
from bm.protocols.tools import legal_call_id

_ENCRYPTED = "it is encrypted, and only the vendor that made it can read it"
_CIPHERTEXT = re.compile(r"gAAAA[\w=-]*|[\w+/=-]{64,}")
"""What OpenAI encrypts begins with gAAAA; a longer run without a space is no plain text of anyone's."""
_FOLLOWING = {"role", "call_id"}
"""The members of items that may follow reasoning and need no id."""
_PATCHES = {"create_file", "update_file", "delete_file"}
_SHELL_OPTIONS = {"timeout_ms": int, "max_output_length": int}
_EXEC_OPTIONS = {"timeout_ms": int, "user": str, "working_directory": str}


def decode_call(item: Json, path: str, names: Names | None = None) -> ToolCall | None:
    """Read an item that calls a tool of the client; None for any other."""
    match item.get("type"):
        case "function_call":
            return ToolCall(_call_id(item, path), _name(item, path, names), *decode_arguments(item, path))
        case "custom_tool_call":
            raw = required_string(item, "input", path)
            return ToolCall(_call_id(item, path), _name(item, path, names), {"input": raw}, raw, kind="custom")
        case "apply_patch_call":
            return _native("apply_patch", item, {"operation": item.get("operation")}, path)
        case "shell_call" if object_of(item.get("environment")).get("type", "local") == "local":
            return _native("shell", item, required_mapping(item, "action", path), path)
        case "local_shell_call":
            return _native("local_shell", item, required_mapping(item, "action", path), path)
        case "tool_search_call" if item.get("execution") == "client":
            return ToolCall(_call_id(item, path), SEARCH, *decode_arguments(item, path))
        case _:
            return None


def _name(item: Json, path: str, names: Names | None) -> str:
    """The canonical name of the tool that an item calls."""
    name = required_string(item, "name", path)
    given = names.get((string_of(item.get("namespace")), name)) if names else None
    return given or qualified(item.get("namespace"), name)


def _native(name: str, item: Json, action: Json, path: str) -> ToolCall:
    arguments = {field: value for field, value in action.items() if value is not None and field != "type"}
    return ToolCall(_call_id(item, path), name, arguments, msgspec.json.encode(arguments).decode())


def decode_result(item: Json, path: str) -> ToolResult | None:
    """Read an item that answers a call; None for any other."""
    kind = item.get("type")
    match kind:
        case "function_call_output" | "custom_tool_call_output":
            content = decode_content(item.get("output"), f"{path}.output", RESPONSES)
            read = (Text(part.text) if isinstance(part, Refusal) else part for part in content)
            parts = tuple(part for part in read if isinstance(part, ResultPart))
            name = qualified(item.get("namespace"), string(item, "name", path))
            custom = kind == "custom_tool_call_output"
            return ToolResult(_call_id(item, path), parts, name=name, kind="custom" if custom else "function")
        case "apply_patch_call_output":
            failed = item.get("status") == "failed"
            text = string(item, "output", path) or ("failed" if failed else "done")
            return ToolResult(_call_id(item, path), (Text(text),), is_error=failed, name="apply_patch")
        case "shell_call_output":
            chunks = objects_of(item.get("output"))
            return ToolResult(_call_id(item, path), tuple(_shell_output(chunk) for chunk in chunks), name="shell")
        case "local_shell_call_output":
            text = required_string(item, "output", path)
            return ToolResult(_call_id(item, path), (Text(text),), name="local_shell")
        case "tool_search_output" if item.get("execution") == "client":
            return ToolResult(_call_id(item, path), (_found(item, path),), name=SEARCH)
        case _:
            return None


def _found(item: Json, path: str) -> Opaque:
    """What a search for tools has found: all of it is among the request's tools."""
    found, _ = decode_tools(item, path)
    listed = "\n".join(f"- {tool.name}: {tool.description}".removesuffix(": ") for tool in found)
    summary = f"These tools can be called now:\n{listed}" if found else "No tool was found."
    return Opaque(RESPONSES, "found_tools", item, summary=summary)


def _shell_output(chunk: Json) -> Opaque:
    """What a command printed and how it ended; other protocols see it as text."""
    outcome = object_of(chunk.get("outcome"))
    ended = f"(exit code {outcome['exit_code']})" if "exit_code" in outcome else "(timed out)"
    texts = [*(string_of(chunk.get(stream)).rstrip("\n") for stream in ("stdout", "stderr")), ended]
    return Opaque(RESPONSES, "shell_output", chunk, summary="\n".join(text for text in texts if text))


def _call_id(item: Json, path: str) -> str:
    return filled_string({"call_id": item.get("call_id") or item.get("id")}, "call_id", path)


def decode_output(item: Json, path: str) -> tuple[Part, ...]:
    """The parts of one item of an answer; what OpenAI itself ran stays as it is."""
    if item.get("type") == "message":
        return decode_content(item.get("content"), f"{path}.content", RESPONSES)
    if item.get("type") == "reasoning":
        thinking = decode_thinking(item)
        return () if thinking is None else (thinking,)
    call = decode_call(item, path)
    return (of_vendor(str(item.get("type")), item) if call is None else call,)


def encode_call(call: ToolCall, call_id: str, tools: dict[str, Tool]) -> Json:
    """Write a call as the item that its tool's declaration asks for, without the item's own id."""
    tool = tools.get(call.name)
    # A search may be of an earlier request, when the client still declared it.
    native = native_item(SEARCH if tool is None and call.name == SEARCH else native_type(tool), call.arguments)
    if native is not None:
        return {**native, "call_id": call_id}
    item, member = call_item(call.kind, call_id, wire_name(call.name, tools))
    raw = call.raw if call.kind == "custom" or call.raw.strip() else msgspec.json.encode(call.arguments).decode()
    return {**item, member: raw}


def call_item(kind: ToolKind, call_id: str, named: Json) -> tuple[Json, str]:
    """The item of a call without its arguments, and the member that holds them."""
    if kind == "custom":
        return {"type": "custom_tool_call", "call_id": call_id, **named}, "input"
    return {"type": "function_call", "call_id": call_id, **named}, "arguments"


def native_item(native: str, arguments: Json) -> Json | None:
    """The item of a built-in tool, without ids; None when there is none for these arguments."""
    match native, arguments:
        case "tool_search", _:
            return {"type": "tool_search_call", "execution": "client", "arguments": arguments, "status": "completed"}
        case "apply_patch", {"type": str(kind), "path": str(), **_rest} if kind in _PATCHES:
            return native_item(native, {"operation": arguments})
        case "apply_patch", {"operation": {"type": str(kind), "path": str(path), **rest}} if kind in _PATCHES:
            operation: Json = {"type": kind, "path": path}
            if kind != "delete_file":
                operation["diff"] = rest.get("diff") if isinstance(rest.get("diff"), str) else ""
            return {"type": "apply_patch_call", "operation": operation, "status": "completed"}
        case "shell", {"commands": list(commands)} if _strings(commands):
            action = {"commands": commands, **_options(arguments, _SHELL_OPTIONS)}
            return {"type": "shell_call", "action": action, "status": "completed"}
        case "local_shell", {"command": list(command)} if _strings(command):
            given = arguments.get("env")
            env = {k: v for k, v in given.items() if isinstance(v, str)} if isinstance(given, dict) else {}
            action = {"type": "exec", "command": command, "env": env, **_options(arguments, _EXEC_OPTIONS)}
            return {"type": "local_shell_call", "action": action, "status": "completed"}
        case _:
            return None


def _strings(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _options(arguments: Json, known: Mapping[str, type]) -> Json:
    return {field: arguments[field] for field, kind in known.items() if isinstance(arguments.get(field), kind)}


def encode_result(result: ToolResult, output: str | list[Json], answered: Json | None) -> Json:
    """Write a result as the type of item that matches `answered`, the item of the call.

    OpenAI has no error flag, so errors are marked in the output.
    """
    call_id = legal_call_id(result.call_id)
    texts = (part.text for part in result.parts if isinstance(part, Text))
    plain = output if isinstance(output, str) else "\n".join(texts)
    match (answered or {}).get("type"):
        case "apply_patch_call":
            status = "failed" if result.is_error else "completed"
            return {"type": "apply_patch_call_output", "call_id": call_id, "status": status, "output": plain}
        case "shell_call":
            chunks = [part.raw for part in result.parts if isinstance(part, Opaque) and part.kind == "shell_output"]
            ended = {"type": "exit", "exit_code": 1 if result.is_error else 0}
            whole = [{"stdout": plain, "stderr": "", "outcome": ended}]
            return {"type": "shell_call_output", "call_id": call_id, "output": chunks or whole}
        case "local_shell_call":
            return {"type": "local_shell_call_output", "id": call_id, "output": plain}
        case "tool_search_call":
            members: Json = {"type": "tool_search_output", "execution": "client", "status": "completed", "tools": []}
            found = [part.raw for part in result.parts if isinstance(part, Opaque)]
            return {**members, **(found[0] if found else {}), "call_id": call_id}
        case called:
            custom = called == "custom_tool_call" or (called is None and result.kind == "custom")
            kind = "custom_tool_call_output" if custom else "function_call_output"
            return {"type": kind, "call_id": call_id, "output": _with_error(result, output)}


def _with_error(result: ToolResult, output: str | list[Json]) -> str | list[Json]:
    if not result.is_error:
        return output
    if isinstance(output, str):
        return output if output.lower().startswith("error") else f"Error: {output}"
    return [{"type": "input_text", "text": "Error:"}, *output]


def is_content(part: Opaque) -> bool:
    """Whether an unknown part of this protocol stood inside a message, not as an item of its own."""
    named = part.kind.startswith(("input_", "output_")) or part.kind == "computer_screenshot"
    return part.protocol == RESPONSES and named


def encode_content(part: ResultPart) -> Json:
    """Write a part of a user's message or of a tool's result."""
    match part:
        case Opaque(raw=raw):
            return raw
        case Text(text=text):
            return {"type": "input_text", "text": text}
        case Media():
            return encode_responses_media(part)


def result_parts(result: ToolResult) -> list[ResultPart]:
    """The parts of a result that can be written; OpenAI's own items as their summaries."""
    shown = (Text(p.summary) if isinstance(p, Opaque) and not is_content(p) else p for p in result.parts)
    return [part for part in shown if part != Text("")]


def input_items(body: Json) -> list[Json]:
    """The items of a request; a plain string is one message of the user."""
    given = body.get("input")
    return [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else objects_of(given)


def output_items(response: Json) -> list[Json]:
    """The items of an answer, as a later request may send them back."""
    return objects_of(response.get("output"))


def continued(body: Json, earlier_items: list[Json]) -> Json:
    """The request with what came before it, so that it needs no conversation that OpenAI keeps.

    A client that sends `previous_response_id` sends only what is new. References to earlier items are resolved;
    instructions are not carried over (API reference, "previous_response_id").
    """
    known = {item["id"]: item for item in earlier_items if isinstance(item.get("id"), str)}
    own = [_resolved(item, known) for item in input_items(body)]
    rest = {field: value for field, value in body.items() if field != "previous_response_id"}
    return {**rest, "input": [*earlier_items, *own]}


def without_identity(items: list[Json]) -> list[Json]:
    """The items without what binds them to the account that stores them, for another one.

    That is reasoning, which no other account can read, and the ids of what followed it, which would demand it.
    """
    kept = [item for item in items if item.get("type") != "reasoning"]
    return [{name: item[name] for name in item if name != "id" or not item.keys() & _FOLLOWING} for item in kept]


def _resolved(item: Json, known: dict[str, Json]) -> Json:
    """What a reference names, where that is known; any other item as it is."""
    named = item.get("id")
    refers = item.get("type") == "item_reference" or item.keys() == {"id"}
    return known.get(named, item) if refers and isinstance(named, str) else item


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
    item = with_readable_task(item)
    parts = objects_of(item.get("content"))
    encrypted = any("encrypted_content" in part for part in parts)
    hidden = "[encrypted: it cannot be read here]"
    texts = [hidden if "encrypted_content" in part else string_of(part.get("text")) for part in parts]
    way = f"Message from {string_of(item.get('author')) or 'an agent'} to {string_of(item.get('recipient')) or 'you'}:"
    summary = "\n\n".join([way, *filter(None, texts)]) if any(texts) else ""
    return Opaque(RESPONSES, "agent_message", item, summary=summary, lost=_ENCRYPTED if encrypted else "")


def with_readable_task(item: Json) -> Json:
    """A message to an agent with its plain text as text; the item itself where there is none.

    Codex takes for encrypted what its parent's model wrote, and sends it back as such, even if that model was another
    vendor's and wrote plain text (openai/codex#45233, #37237, 2026-09; Codex 0.169.0).
    """
    parts = array_of(item.get("content"))
    made = [_readable(part) for part in parts]
    return item if item.get("type") != "agent_message" or made == parts else {**item, "content": made}


def _readable(part: Any) -> Any:
    text = string_of(object_of(part).get("encrypted_content"))
    return {"type": "input_text", "text": text} if text and not _CIPHERTEXT.fullmatch(text) else part


def _code(item: Json) -> str:
    """The code that OpenAI ran and its output."""
    texts = (item.get("code"), *(row.get("logs") for row in objects_of(item.get("outputs"))))
    return "\n".join(f"```\n{text}\n```" for text in map(string_of, texts) if text)


def _files(item: Json) -> str:
    """What a search in uploaded files has found."""
    rows = [row for row in objects_of(item.get("results")) if string_of(row.get("text"))]
    found = [f"{string_of(row.get('filename'))}:\n{row['text']}" for row in rows]
    return "\n\n".join(["Found in files:", *found]) if found else ""


def _mcp_call(item: Json) -> str:
    """A call of a tool on an MCP server, and its result."""
    if not item.get("name"):
        return ""
    error = item.get("error")
    answer = f"Error: {msgspec.json.encode(error).decode()}" if error else string_of(item.get("output"))
    return f"Called {_mcp_tool(item)} with {string_of(item.get('arguments'))}:\n{answer}"


def _mcp_tool(item: Json) -> str:
    return f"{string_of(item.get('server_label'))}.{string_of(item.get('name'))}"


def _approval(item: Json) -> str:
    return f"The call is {'approved' if item.get('approve') else 'refused'}. {string_of(item.get('reason'))}".strip()


_WORDS: dict[str, Callable[[Json], str]] = {
    "code_interpreter_call": _code,
    "file_search_call": _files,
    "mcp_call": _mcp_call,
    "mcp_approval_request": lambda item: f"May {_mcp_tool(item)} be called with {string_of(item.get('arguments'))}?",
    "mcp_approval_response": _approval,
    "program": _code,
    "program_output": lambda item: string_of(item.get("result")),
    TRIGGER: lambda item: REQUEST,
}

"""Requests for services that speak the Responses API without what only OpenAI's own has.

Custom tools and OpenAI's built-in ones become functions, its items become words. The client's stream encoder turns the
calls back.
"""

from __future__ import annotations

import re

import msgspec

from bm.chat.parts import Opaque, Part, ResultPart, ToolCall, ToolResult
from bm.chat.request import ChatRequest, Loss, Turn
from bm.names import Operation
from bm.protocols.openai_responses.items import is_content
from bm.protocols.tools import as_function
from bm.protocols.turns import LOOKUP

_COMPACTION = re.compile(rb'"type"\s*:\s*"(?:compaction(?:_trigger|_summary)?|context_compaction)"')
_OPENAI_ONLY = re.compile(
    rb'"type"\s*:\s*"(?:custom|namespace|tool_search|apply_patch|shell|local_shell|custom_tool_call|tool_search_call'
    rb"|apply_patch_call|shell_call|local_shell_call|agent_message|additional_tools|configuration_update|program"
    rb')(?:_output)?"'
)
LOCAL = "local"
"""Stands for a server on this machine where its dialect says nothing: vLLM, llama.cpp."""
_LIMITED = frozenset({"xai", "ollama", "lmstudio", LOCAL})
"""Services that take functions, some of them hosted tools, and nothing else of OpenAI's.

xAI refuses other types (docs.x.ai, "Tools overview", 2026-11). Ollama, LM Studio, llama.cpp and vLLM refuse namespaces,
or return names that Codex does not know (ollama/ollama#17618, #18284; lmstudio-ai/lmstudio-bug-tracker#1810;
ggml-org/llama.cpp#20156; vllm-project/vllm#49493, #46737; 2026-04 to 2026-09).
"""
_HOSTED = {"ollama": (), "lmstudio": ("mcp",)}
"""Hosted tools by service: docs.ollama.com, "OpenAI compatibility"; lmstudio.ai, "LM Studio 0.3.29" (2025-10)."""
_OTHERS_HOSTED = ("web_search", "x_search", "code_execution", "file_search", "mcp")


def only_for_openai(body: bytes, operation: Operation, service: str) -> bool:
    """Whether a request of the Responses API asks for what this service lacks.

    `service` is the name of its dialect, or `LOCAL`. The summaries of one vendor cannot be read by another; of other
    services nothing else is known.
    """
    if service == "openai":
        return False
    if operation == "compact" or (b"compaction" in body and _COMPACTION.search(body) is not None):
        return True
    return service in _LIMITED and _OPENAI_ONLY.search(body) is not None


def portable(request: ChatRequest, service: str, losses: list[Loss]) -> ChatRequest:
    """The request without what only OpenAI has."""
    tools = (as_function(tool, f"tools[{at}]", losses) for at, tool in enumerate(request.tools))
    functions = [msgspec.structs.replace(tool, kind="function", protocol="", extra={}) for tool in tools]
    hosted = tuple(tool for tool in request.hosted_tools if tool.kind in _HOSTED.get(service, _OTHERS_HOSTED))
    others = (tool.kind for tool in request.hosted_tools if tool not in hosted and not tool.kind.startswith(LOOKUP))
    losses += [Loss(f"tools ({kind})", "the service has no such tool") for kind in others]
    turns = tuple(Turn(turn.role, tuple(map(_part, turn.parts))) for turn in request.turns)
    return msgspec.structs.replace(request, tools=tuple(functions), hosted_tools=hosted, turns=turns)


def _part(part: Part) -> Part:
    match part:
        case ToolCall(kind="custom"):
            return msgspec.structs.replace(part, kind="function", raw=msgspec.json.encode(part.arguments).decode())
        case ToolResult(parts=parts):
            kept = [inner for each in parts if isinstance(inner := _part(each), ResultPart)]
            return msgspec.structs.replace(part, kind="function", parts=tuple(kept))
        case Opaque(protocol="openai-responses") if not is_content(part):
            return msgspec.structs.replace(part, protocol="openai")
        case _:
            return part

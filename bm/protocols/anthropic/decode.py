"""A client's Messages request, read into canonical form."""

from __future__ import annotations

import re

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, OutputFormat, Sampling
from bm.names import ANTHROPIC
from bm.protocols import reading
from bm.protocols.anthropic.thinking import decode_reasoning
from bm.protocols.anthropic.tools import decode_choice, decode_tools
from bm.protocols.anthropic.turns import decode_system, decode_turns

_SESSION = re.compile(r"session_(?:id\"\s*:\s*\")?([0-9a-fA-F][0-9a-fA-F-]{7,})")
"""Claude Code puts the user and the session into one string, in one of two forms."""
_KNOWN = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "stream", "metadata"}
    | {"temperature", "top_p", "top_k", "thinking", "output_config", "output_format"}
)


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a client's request."""
    unread = reading.Unread(ANTHROPIC)
    unread.rest(body, _KNOWN)
    turns, effort = decode_turns(body, unread)
    config = _rest(body, "output_config", ("effort", "format"), unread)
    user = reading.string(_rest(body, "metadata", ("user_id",), unread), "user_id", "metadata")
    session = _SESSION.search(user)
    tools, hosted = decode_tools(body)
    wanted = reading.boolean(body, "stream") or False
    return ChatRequest(
        protocol=ANTHROPIC,
        model=model or reading.required_string(body, "model"),
        turns=turns,
        system=decode_system(body, unread),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=decode_choice(body),
        sampling=Sampling(
            reading.number(body, "temperature"), reading.number(body, "top_p"), reading.integer(body, "top_k")
        ),
        reasoning=decode_reasoning(body, effort or reading.string(config, "effort", "output_config"), unread),
        output=_output(config, body),
        max_tokens=reading.integer(body, "max_tokens", least=0),
        stop=tuple(reading.strings(body, "stop_sequences")),
        stream=wanted if stream is None else stream,
        stream_usage=True,
        user=user,
        cache_key=session.group(1) if session else "",
        extras=tuple(unread.extras),
    )


def _output(config: Json, body: Json) -> OutputFormat:
    """`output_config.format`, or the `output_format` of the older beta."""
    older = config.get("format") is None
    place = "output_format" if older else "output_config.format"
    raw = reading.mapping(body, "output_format") if older else reading.mapping(config, "format", "output_config")
    if not raw:
        return OutputFormat()
    if raw.get("type") != "json_schema":
        raise reading.refuse(f"{place}.type", "expected json_schema")
    return OutputFormat(
        "schema", schema=reading.required_mapping(raw, "schema", place), name=reading.string(raw, "name", place)
    )


def _rest(body: Json, name: str, known: tuple[str, ...], unread: reading.Unread) -> Json:
    """An object of the request; its members that are not `known` are kept for Anthropic."""
    found = reading.mapping(body, name) or {}
    if rest := {member: value for member, value in found.items() if member not in known and value is not None}:
        unread.add(name, rest)
    return found

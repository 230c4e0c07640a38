"""A client's Messages request, read into canonical form."""

from __future__ import annotations

import re

from bm.chat.parts import Json
from bm.chat.request import ChatRequest, OutputFormat, Sampling
from bm.names import ANTHROPIC
from bm.protocols.anthropic.thinking import decode_reasoning
from bm.protocols.anthropic.tools import decode_choice, decode_tools
from bm.protocols.anthropic.turns import decode_system, decode_turns
from bm.protocols.reading import (
    Unread,
    boolean,
    integer,
    mapping,
    number,
    refuse,
    required_mapping,
    required_string,
    string,
    strings,
)

_SESSION = re.compile(r"session_(?:id\"\s*:\s*\")?([0-9a-fA-F][0-9a-fA-F-]{7,})")
_KNOWN = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "stream", "metadata"}
    | {"temperature", "top_p", "top_k", "thinking", "output_config", "output_format"}
)


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a client's request.

    Raises:
        RequestError: the body is not a Messages request; the failure's `param` names the place.
    """
    unread = Unread(ANTHROPIC)
    unread.rest(body, _KNOWN)
    turns, effort = decode_turns(body, unread)
    config = mapping(body, "output_config") or {}
    effort = effort or string(config, "effort", "output_config")
    rest = {name: value for name, value in config.items() if name not in ("effort", "format") and value is not None}
    if rest:
        unread.add("output_config", rest)
    reasoning = decode_reasoning(body, effort, unread)
    tools, hosted = decode_tools(body)
    user, cache_key = _identity(body, unread)
    wanted = boolean(body, "stream") or False
    return ChatRequest(
        protocol=ANTHROPIC,
        model=model or required_string(body, "model"),
        turns=turns,
        system=decode_system(body, unread),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=decode_choice(body),
        sampling=Sampling(
            temperature=number(body, "temperature"),
            top_p=number(body, "top_p"),
            top_k=integer(body, "top_k"),
        ),
        reasoning=reasoning,
        output=_output(config, body),
        max_tokens=_max_tokens(body),
        stop=tuple(strings(body, "stop_sequences")),
        stream=wanted if stream is None else stream,
        stream_usage=True,
        user=user,
        cache_key=cache_key,
        extras=tuple(unread.extras),
    )


def _output(config: Json, body: Json) -> OutputFormat:
    """`output_config.format`, or the `output_format` of the older beta."""
    older = config.get("format") is None
    place = "output_format" if older else "output_config.format"
    raw = mapping(body, "output_format") if older else mapping(config, "format", "output_config")
    if not raw:
        return OutputFormat()
    if raw.get("type") != "json_schema":
        raise refuse(f"{place}.type", "expected json_schema")
    return OutputFormat("schema", schema=required_mapping(raw, "schema", place), name=string(raw, "name", place))


def _max_tokens(body: Json) -> int | None:
    tokens = integer(body, "max_tokens")
    if tokens is not None and tokens < 0:
        raise refuse("max_tokens", "must not be negative")
    return tokens


def _identity(body: Json, unread: Unread) -> tuple[str, str]:
    """The user and the session: Claude Code puts both into one string, in one of two forms."""
    metadata = mapping(body, "metadata") or {}
    rest = {name: member for name, member in metadata.items() if name != "user_id" and member is not None}
    if rest:
        unread.add("metadata", rest)
    user = string(metadata, "user_id", "metadata")
    session = _SESSION.search(user)
    return user, session.group(1) if session else ""

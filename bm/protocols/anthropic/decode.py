"""A client's Messages request, read into canonical form."""

from __future__ import annotations

import re

from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, OutputFormat, Sampling, Turn
from bm.names import ANTHROPIC
from bm.protocols.anthropic.content import TEXT_MEMBERS, decode_content, decode_text
from bm.protocols.anthropic.thinking import decode_reasoning
from bm.protocols.anthropic.tools import decode_tool_choice, decode_tools
from bm.protocols.reading import (
    Unread,
    boolean,
    elements,
    integer,
    mapping,
    mismatch,
    number,
    refuse,
    required_array,
    required_mapping,
    required_string,
    string,
    strings,
)

_ATTRIBUTION = "x-anthropic-billing-header:"
_SESSION = re.compile(r"session_(?:id\"\s*:\s*\")?([0-9a-fA-F][0-9a-fA-F-]{7,})")
_KNOWN = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "stream", "metadata"}
    | {"temperature", "top_p", "top_k", "thinking", "output_config", "output_format"}
)
_MESSAGE = frozenset({"role", "content", "output_config"})


def decode_request(body: Json, *, model: str = "", stream: bool | None = None) -> ChatRequest:
    """Read a client's request.

    The attribution block that Claude Code puts first in `system` (`x-anthropic-billing-header: …`) is left out: it is
    meant for Anthropic, which gets its requests untranslated, and it would break the caches of other vendors.

    Raises:
        RequestError: the body is not a Messages request; the failure's `param` names the place.
    """
    unread = Unread(ANTHROPIC)
    unread.rest(body, _KNOWN)
    turns, effort = _turns(body, unread)
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
        system=_system(body, unread),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=decode_tool_choice(body),
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


def _turns(body: Json, unread: Unread) -> tuple[tuple[Turn, ...], str]:
    """The turns, and the effort set by the last message that sets one: it applies from there on."""
    required_array(body, "messages")
    turns: list[Turn] = []
    effort = ""
    for message, place in elements(body, "messages"):
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise refuse(f"{place}.role", "expected user, assistant or system")
        content = message.get("content")
        if content is None:
            raise mismatch(f"{place}.content", "a string or an array", content)
        unread.rest(message, _MESSAGE, place)
        config = mapping(message, "output_config", place) or {}
        effort = string(config, "effort", f"{place}.output_config") or effort
        unread.rest(config, frozenset({"effort"}), f"{place}.output_config")
        turns.append(Turn(role, decode_content(content, f"{place}.content", unread)))
    return tuple(turns), effort


def _system(body: Json, unread: Unread) -> tuple[Text, ...]:
    if isinstance(body.get("system"), str):
        return (Text(body["system"]),) if body["system"] else ()
    texts: list[Text] = []
    for raw, place in elements(body, "system"):
        if not required_string(raw, "text", place).startswith(_ATTRIBUTION):
            unread.rest(raw, TEXT_MEMBERS, place)
            texts.append(decode_text(raw, place, unread))
    return tuple(texts)


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

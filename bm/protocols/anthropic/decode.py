"""A client's Messages request, read into canonical form."""

from __future__ import annotations

import re
from typing import Any

from bm.chat.parts import Json, Text
from bm.chat.request import ChatRequest, OutputFormat, Sampling, Turn
from bm.protocols.anthropic.citations import decode_citation
from bm.protocols.anthropic.content import decode_content
from bm.protocols.anthropic.thinking import decode_reasoning
from bm.protocols.anthropic.tools import decode_tool_choice, decode_tools
from bm.protocols.anthropic.wire import (
    PROTOCOL,
    Unmapped,
    array,
    boolean,
    cache_mark,
    fault,
    integer,
    members,
    number,
    obj,
    refused,
    string,
    words,
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
    unmapped = Unmapped()
    unmapped.rest(body, _KNOWN, "")
    turns, effort = _turns(body, unmapped)
    config = members(body.get("output_config"), "output_config")
    effort = effort or words(config.get("effort"), "output_config.effort")
    rest = {name: value for name, value in config.items() if name not in ("effort", "format") and value is not None}
    if rest:
        unmapped.add("output_config", rest)
    reasoning = decode_reasoning(body.get("thinking"), effort, unmapped)
    tools, hosted = decode_tools(body.get("tools"))
    user, cache_key = _identity(body.get("metadata"), unmapped)
    wanted = boolean(body.get("stream"), "stream") or False
    return ChatRequest(
        protocol=PROTOCOL,
        model=model or string(body.get("model"), "model"),
        turns=turns,
        system=_system(body.get("system"), unmapped),
        tools=tools,
        hosted_tools=hosted,
        tool_choice=decode_tool_choice(body.get("tool_choice")),
        sampling=Sampling(
            temperature=number(body.get("temperature"), "temperature"),
            top_p=number(body.get("top_p"), "top_p"),
            top_k=integer(body.get("top_k"), "top_k"),
        ),
        reasoning=reasoning,
        output=_output(config.get("format"), body.get("output_format")),
        max_tokens=_max_tokens(body.get("max_tokens")),
        stop=tuple(string(s, "stop_sequences") for s in array(body.get("stop_sequences"), "stop_sequences")),
        stream=wanted if stream is None else stream,
        stream_usage=True,
        user=user,
        cache_key=cache_key,
        extras=tuple(unmapped.extras),
    )


def _turns(body: Json, unmapped: Unmapped) -> tuple[tuple[Turn, ...], str]:
    """The turns, and the effort that the last message with one asks for: it holds from there on."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise fault("messages", "an array", messages)
    if not messages:
        raise refused("messages", "at least one message is required")
    turns: list[Turn] = []
    effort = ""
    for index, item in enumerate(messages):
        place = f"messages[{index}]"
        message = obj(item, place)
        role = message.get("role")
        if role not in ("user", "assistant", "system"):
            raise refused(f"{place}.role", "expected user, assistant or system")
        content = message.get("content")
        if not isinstance(content, str | list):
            raise fault(f"{place}.content", "a string or an array", content)
        unmapped.rest(message, _MESSAGE, place)
        config = members(message.get("output_config"), f"{place}.output_config")
        effort = words(config.get("effort"), f"{place}.output_config.effort") or effort
        unmapped.rest(config, frozenset({"effort"}), f"{place}.output_config")
        turns.append(Turn(role, decode_content(content, f"{place}.content", unmapped)))
    return tuple(turns), effort


def _system(value: Any, unmapped: Unmapped) -> tuple[Text, ...]:
    if isinstance(value, str):
        return (Text(value),) if value else ()
    texts: list[Text] = []
    for index, item in enumerate(array(value, "system")):
        place = f"system[{index}]"
        raw = obj(item, place)
        text = string(raw.get("text"), f"{place}.text")
        if text.startswith(_ATTRIBUTION):
            continue
        unmapped.rest(raw, frozenset({"type", "text", "cache_control", "citations"}), place)
        cited = array(raw.get("citations"), f"{place}.citations")
        citations = tuple(decode_citation(obj(each, f"{place}.citations")) for each in cited)
        texts.append(Text(text, cache=cache_mark(raw, place), citations=citations))
    return tuple(texts)


def _output(config_format: Any, older: Any) -> OutputFormat:
    """`output_config.format`, or the `output_format` of the older beta."""
    place = "output_format" if config_format is None else "output_config.format"
    raw = members(older if config_format is None else config_format, place)
    if not raw:
        return OutputFormat()
    if raw.get("type") != "json_schema":
        raise refused(f"{place}.type", "expected json_schema")
    return OutputFormat("schema", schema=obj(raw.get("schema"), f"{place}.schema"), name=words(raw.get("name"), place))


def _max_tokens(value: Any) -> int | None:
    tokens = integer(value, "max_tokens")
    if tokens is not None and tokens < 0:
        raise refused("max_tokens", "must not be negative")
    return tokens


def _identity(value: Any, unmapped: Unmapped) -> tuple[str, str]:
    """The user, and the session in it: Claude Code names both in one string, of either of its two forms."""
    metadata = members(value, "metadata")
    rest = {name: member for name, member in metadata.items() if name != "user_id" and member is not None}
    if rest:
        unmapped.add("metadata", rest)
    user = words(metadata.get("user_id"), "metadata.user_id")
    session = _SESSION.search(user)
    return user, session.group(1) if session else ""

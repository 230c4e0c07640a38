"""A request for an answer, in canonical form."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from bm.chat.parts import CacheMark, Json, Part, Text, ToolKind
from bm.names import Level, ProtocolName

Role = Literal["user", "assistant", "system"]
LEVELS: tuple[Level, ...] = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
"""Levels in rising order, without `auto`."""
ULTRA = "ultra"
"""A word of Codex and Ollama for a level above all others; the models of most vendors know no such level."""


class Turn(msgspec.Struct, frozen=True):
    """One message. Tool results stand in user turns. `system` turns are instructions in mid-conversation."""

    role: Role
    parts: tuple[Part, ...]


class Tool(msgspec.Struct, frozen=True):
    """A tool of the client.

    `schema` is the arguments' JSON Schema as the client wrote it, None when it gave none. `extra` holds the further
    members of the definition for an encoder of the same `protocol` (`defer_loading`, `eager_input_streaming`).
    """

    name: str
    description: str = ""
    schema: Json | None = None
    strict: bool | None = None
    kind: ToolKind = "function"
    cache: CacheMark | None = None
    protocol: str = ""
    extra: Json = {}


class HostedTool(msgspec.Struct, frozen=True):
    """A tool that the vendor runs: `web_search`, `web_fetch`, `code_execution`, or another name of the vendor's.

    `raw` is the definition in `protocol`, for an encoder of the same protocol.
    """

    kind: str
    protocol: str
    raw: Json


class ToolChoice(msgspec.Struct, frozen=True):
    """`required`: the model must call a tool, one of `names` if there are any.

    `parallel` False allows one call at most; None means not given.
    """

    mode: Literal["auto", "required", "none"] = "auto"
    names: tuple[str, ...] = ()
    parallel: bool | None = None


class Sampling(msgspec.Struct, frozen=True):
    """None means not given."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much to think. `budget` is in tokens; None means not given for `level` and `budget`.

    `visible` is whether the client wants to see the thinking; None means not given.
    """

    level: Level | None = None
    budget: int | None = None
    visible: bool | None = None


class OutputFormat(msgspec.Struct, frozen=True):
    """`json` is any JSON object, `schema` is JSON that matches `schema`."""

    kind: Literal["text", "json", "schema"] = "text"
    schema: Json | None = None
    name: str = ""
    description: str = ""
    strict: bool | None = None


class Extra(msgspec.Struct, frozen=True):
    """A field of the request that the canonical form does not have; an encoder of the same protocol writes it back."""

    protocol: ProtocolName
    field: str
    value: Any


class Loss(msgspec.Struct, frozen=True):
    """A part of the request that a target cannot take: the field by the client's name, and the reason."""

    field: str
    reason: str


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asked for. `choices` is OpenAI's `n`; `cache_key` names the conversation, `user` its owner.

    `legacy_functions` clients wrote OpenAI's first form, `functions`, and understand calls only as `function_call`.
    `groq_usage` clients came by Groq's path, and may read the usage of a stream only where Groq puts it.
    """

    protocol: ProtocolName
    model: str
    turns: tuple[Turn, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    hosted_tools: tuple[HostedTool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    sampling: Sampling = Sampling()
    reasoning: Reasoning = Reasoning()
    output: OutputFormat = OutputFormat()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    choices: int = 1
    stream: bool = False
    stream_usage: bool = False
    groq_usage: bool = False
    legacy_functions: bool = False
    user: str = ""
    cache_key: str = ""
    extras: tuple[Extra, ...] = ()
